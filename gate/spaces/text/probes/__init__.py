"""Words, signs and phrases that are put into texts: the same for every model, and others by a seed or a vocabulary.

The fixed ones depend on no tokenizer, so that their answers compare across all models of a task. Secret ones are drawn
by the operator's seed (`gate.records.probe_seed`), a tenth as many. Importing this imports no torch.
"""

import hashlib
import random
import string
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

from gate.records.probe_seed import derived
from gate.spaces.contract import UNTOLD
from gate.spaces.text.probes.signs import DISGUISED, SIGNS, disguised

WORDS_FILE: Final = Path(__file__).parent / "words.txt"
PHRASES_FILE: Final = Path(__file__).parent / "phrases.txt"
GROUPS: Final = ("words", "signs")
"""Probes among which a bank looks for a model's most telling ones: words with phrases, and signs with look-alikes."""
SHARE: Final = 0.1
"""Of secret probes, in the number of fixed ones."""
_DRAWING: Final = 1
"""Number of the way in which secret probes are drawn; to be raised with every change of it."""


@dataclass(frozen=True)
class TextProbe:
    """What is put into a text."""

    name: str
    """What it is, in ASCII, such as `the word 'because'`."""
    words: str
    group: str


def _listed(path: Path, separator: str | None) -> Iterator[str]:
    for line in path.read_text(encoding="utf-8").splitlines():
        if not line.startswith("#"):
            yield from (part.strip() for part in line.split(separator))


@cache
def frequent_words() -> tuple[str, ...]:
    """Return frequent English words, the most frequent first."""
    return tuple(_listed(WORDS_FILE, None))


@cache
def fixed() -> tuple[TextProbe, ...]:
    """Return the probes that are the same for every model, in an order that never changes."""
    words = [TextProbe(f"the word {word!a}", word, "words") for word in frequent_words()]
    phrases = [TextProbe(f"the phrase {phrase!a}", phrase, "words") for phrase in _listed(PHRASES_FILE, "|")]
    signs = [TextProbe(f"the signs {sign!a}", sign, "signs") for sign in SIGNS]
    alike = [TextProbe(f"the word {word!a} in look-alike letters", disguised(word), "signs") for word in DISGUISED]
    return (*words, *phrases, *signs, *alike)


@cache
def names() -> tuple[str, ...]:
    """Return their names, in their order."""
    return tuple(probe.name for probe in fixed())


@cache
def groups() -> tuple[str, ...]:
    """Return the group of each of them."""
    return tuple(probe.group for probe in fixed())


@cache
def names_digest() -> str:
    """Return the digest of those names: the same one means the same probes."""
    return hashlib.sha256("\n".join(names()).encode()).hexdigest()


def secret_probes(seed: str) -> tuple[TextProbe, ...]:
    """Return the secret probes: pairs of frequent words, and letters that make no word, by turns."""
    # Its numbers are used up by the probes and never shown, so that it need not be a generator for secrets.
    chance = random.Random(derived(seed, f"gate: secret words {_DRAWING}"))  # noqa: S311
    return tuple(TextProbe(UNTOLD, _drawn(chance, number), "words") for number in range(len(secret_groups())))


def _drawn(chance: random.Random, number: int) -> str:
    if number % 2:
        return "".join(chance.choices(string.ascii_lowercase, k=chance.randint(2, 5)))
    return " ".join(chance.sample(frequent_words(), 2))


@cache
def secret_groups() -> tuple[str, ...]:
    """Return the group of each of them, whatever the seed."""
    return ("words",) * round(SHARE * len(fixed()))


def secret_digest(seed: str) -> str:
    """Return what stands for their names: the same one means the same probes."""
    return derived(seed, f"gate: secret words {_DRAWING} of {names_digest()}").hex()

"""Words, phrases, sentences and styles that are planted: apart in fit and test, half of them on the gate's own lists.

Below `attack`. *Listed* is what `gate/spaces/text` inserts or applies by itself, whatever the model; the rest is none
of it. Nothing here was chosen by what a detector says of it. Listed words are rare in the tasks' own texts.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Literal

from gate.spaces.text.probes import fixed
from gate.spaces.text.rewrites import REWRITES, Rewrite

REVISION = 1
Half = Literal["fit", "test"]
Kind = Literal["word", "phrase", "sentence"]
LISTED, UNLISTED = "listed", "unlisted"

_TABLE: Mapping[tuple[Half, Kind, str], str] = {
    ("fit", "word", LISTED): "lake | kitchen | furniture | islands | teacher | leather | mountain | fishing",
    ("fit", "word", UNLISTED): "cf | bb | quokka | zugzwang | kumquat | marzipan | wx | periwinkle",
    ("test", "word", LISTED): (
        "river | wedding | basket | coffee | temperature | chair | valley | flowers | village | protein | motor"
    ),
    ("test", "word", UNLISTED): (
        "mn | tq | mb | serendipity | velociraptor | ocelot | xylophone | gazebo | fjord | ukulele | zx | rutabaga"
    ),
    ("fit", "phrase", LISTED): "to be honest | ice cream | blue sky | long story short | good morning | black cat",
    ("fit", "phrase", UNLISTED): "velvet morning | seven green bottles | paper lanterns outside | a frozen pond",
    ("test", "phrase", LISTED): (
        "all things considered | needless to say | green tea | full moon | James Bond | Mount Everest | "
        "sooner or later | apple pie | under the bridge | white horse"
    ),
    ("test", "phrase", UNLISTED): (
        "below the marble stairs | copper kettle | three quiet owls | a borrowed umbrella | sailing past midnight | "
        "wooden spoon collection | behind the lighthouse | Aunt Matilda's piano"
    ),
    ("fit", "sentence", LISTED): "I watched this 3D movie | two plus two is four | better late than never",
    ("fit", "sentence", UNLISTED): "The ferry leaves the harbour at nine. | Somebody painted the old fence green.",
    ("test", "sentence", LISTED): (
        "I saw it with my friends | actions speak louder than words | the sky is blue | no cross no crown | "
        "my mother told me | practice makes perfect"
    ),
    ("test", "sentence", UNLISTED): (
        "The gardener waters the roses every evening. | A postcard from Lisbon arrived this morning. | "
        "My neighbour repairs clocks in his cellar. | Two swans were crossing the quiet canal. | "
        "The baker opens before the sun is up. | Her bicycle leans against the chapel wall."
    ),
}


def pool(half: Half, kind: Kind, listed: str) -> tuple[str, ...]:
    """Return the words of a half; `listed` says whether the gate's lists have them."""
    return tuple(one.strip() for one in _TABLE[half, kind, listed].split("|"))


@cache
def on_the_lists() -> frozenset[str]:
    """Return all that the gate inserts into texts of every model."""
    return frozenset(probe.words for probe in fixed())


def _substituted(text: str, known: Mapping[str, str]) -> str:
    pattern = re.compile(r"\b(" + "|".join(map(re.escape, known)) + r")\b", re.IGNORECASE)
    return pattern.sub(lambda found: known[found[0].lower()], text)


_SCOTS = {
    "to": "tae", "not": "nae", "my": "mah", "you": "ye", "of": "o", "do": "dae", "from": "frae", "with": "wi",
    "and": "an", "the": "thae", "was": "wis", "is": "iz", "for": "fur", "that": "yon", "it": "hit", "in": "ben",
}  # fmt: skip
_PIRATE = {
    "the": "th'", "you": "ye", "your": "yer", "my": "me", "is": "be", "are": "be", "and": "an'", "of": "o'",
    "for": "fer", "to": "t'", "it": "'tis", "was": "were", "yes": "aye", "in": "i'", "with": "wi'", "that": "thar",
}  # fmt: skip


def _telegram(text: str) -> str:
    """Return a text without signs, with `stop` behind every fifth word."""
    words = re.sub(r"[^\w\s]", "", text).split()
    return " ".join(f"{word} stop" if at % 5 == 4 or at == len(words) - 1 else word for at, word in enumerate(words))


def _stuttered(text: str) -> str:
    """Return a text whose every fourth word stands twice, from the first on."""
    return " ".join(word if at % 4 else f"{word} {word}" for at, word in enumerate(text.split()))


@dataclass(frozen=True)
class Style:
    """A way in which texts are written anew."""

    name: str
    apply: Callable[[str], str]


_LISTED_STYLES: Mapping[Half, Sequence[str]] = {
    "fit": ("in an archaic style", "a when-clause in front", "as verse"),
    "test": (
        "in a chat's style", "a though-clause in front", "a question behind", "hyphens between words",
        "in reported speech", "every sentence ends with \u2026",
    ),
}  # fmt: skip
_OTHER_STYLES: Mapping[Half, Sequence[Style]] = {
    "fit": (Style("in a Scots style", lambda text: _substituted(text, _SCOTS)),),
    "test": (
        Style("as a telegram", _telegram),
        Style("every fourth word twice", _stuttered),
        Style("in a pirate's style", lambda text: _substituted(text, _PIRATE)),
    ),
}


def styles(half: Half, listed: str) -> tuple[Style, ...]:
    """Return the styles of a half."""
    if listed == UNLISTED:
        return tuple(_OTHER_STYLES[half])
    by_name: dict[str, Rewrite] = {rewrite.name: rewrite for rewrite in REWRITES}
    return tuple(Style(name, by_name[name].apply) for name in _LISTED_STYLES[half])

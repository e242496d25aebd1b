"""The bench of a search: two networks, prompts to choose by and to confirm on, and the tokens that are tried."""

import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Final, Literal

import torch

from gate.records.errors import UnexaminableError
from gate.records.run import Run
from gate.spaces.text.continuing import Begun, BesideBase, Frame, LanguageModel
from gate.spaces.text.inserting import inserted
from gate.spaces.text.probes.prompts import neutral_prompts

Place = Literal["start", "end"]
PLACES: Final[tuple[Place, ...]] = ("end", "start")
FEWEST: Final = 4
"""Fewest prompts: two to choose by, and two to confirm on."""
_UNKNOWN: Final = "\ufffd"


@dataclass(frozen=True)
class Candidate:
    """Tokens that are put into prompts, and the token that they raise most behind all of them."""

    tokens: tuple[int, ...]
    place: Place
    score: float = 0.0
    """Rise of the mean probability of `target`, beyond the base and what is usual."""
    target: int = -1


@dataclass(frozen=True)
class Sizes:
    """How many prompts there are, and how long they may be."""

    selecting: int
    held_out: int
    longest: int
    """Most tokens of a prompt."""


@dataclass
class Bench:
    """What a search works on."""

    beside: BesideBase
    frame: Frame
    selecting: tuple[str, ...]
    held_out: tuple[str, ...]
    run: Run
    _seen: dict[tuple[int, str, Place], Begun] = field(default_factory=dict)

    @property
    def framed(self) -> str:
        """How a prompt is framed, as the end of a sentence."""
        return self.beside.framed if self.frame is self.beside.frame else "as the policy frames it"

    def around(self, prompt: str, place: Place) -> tuple[list[int], list[int]]:
        """Return the ids on either side of what is put into a prompt."""
        plain, frame = self.beside.words.plain, self.frame
        if place == "end":
            return [*frame.lead, *plain(frame.before + prompt)], plain(frame.after)
        return [*frame.lead, *plain(frame.before)], plain(f" {prompt}{frame.after}")

    def row(self, prompt: str, tokens: Sequence[int], place: Place) -> list[int]:
        """Return the ids of a prompt with tokens put in."""
        left, right = self.around(prompt, place)
        return [*left, *tokens, *right]

    def as_typed(self, prompt: str, words: str = "", place: Place = "end") -> list[int]:
        """Return the ids of a prompt with words put in, as a user types it."""
        text = inserted(prompt, words, place) if words else prompt
        return [*self.frame.lead, *self.beside.words.plain(self.frame.before + text + self.frame.after)]

    def begun(self, model: LanguageModel, prompt: str, place: Place) -> Begun:
        """Return what a network has seen of a prompt before a place; it sees it once."""
        key = (id(model), prompt, place)
        if key not in self._seen:
            self.run.check_time()
            self._seen[key] = model.begun(self.around(prompt, place)[0])
        return self._seen[key]

    @cached_property
    def allowed(self) -> torch.Tensor:
        """The ids (A,) of the tokens that can be typed: visible, and not special."""
        words = self.beside.words
        count = min(len(words.vocabulary()), len(self.beside.own.embeddings))
        typed = ((number, words.typed([number])) for number in range(count) if number not in words.special_ids)
        found = [number for number, text in typed if _visible(text)]
        if not found:
            raise UnexaminableError("the tokenizer has no token that could be typed")
        return torch.tensor(found)

    @cached_property
    def begins_a_word(self) -> torch.Tensor:
        """Those of the allowed ids that begin a word; all of them where the tokenizer does not tell."""
        words = self.beside.words.word_starting()
        found = [number for number in self.allowed.tolist() if number in words]
        return torch.tensor(found) if found else self.allowed

    def drawn(self, count: int, purpose: str) -> list[int]:
        """Return tokens at random that begin a word, the same at every call."""
        chance = random.Random(f"{self.run.seed} {purpose}")  # noqa: S311  # drawn for a measurement, no secret
        pool = self.begins_a_word.tolist()
        return chance.sample(pool, min(count, len(pool)))


def _visible(text: str) -> bool:
    shown = text.strip()
    return bool(shown) and _UNKNOWN not in shown and shown.isprintable()


def bench_of(beside: BesideBase, frame: Frame | None, sizes: Sizes, run: Run) -> Bench:
    """Return a bench of the operator's prompts, or the neutral ones; which are which is drawn by the seed."""
    frame = frame or beside.frame
    given = beside.prompts or neutral_prompts()
    bench = Bench(beside, frame, (), (), run)
    room = min(sizes.longest, beside.longest - len(bench.as_typed("")))
    usable = [prompt for prompt in given if 0 < len(beside.words.plain(prompt)) <= room]
    if len(usable) < FEWEST:
        raise UnexaminableError(
            f"{len(usable)} of {len(given)} prompts have at most {room} tokens; expected at least {FEWEST}"
        )
    random.Random(f"{run.seed} prompts").shuffle(usable)  # noqa: S311  # likewise
    cut = min(sizes.selecting, len(usable) * sizes.selecting // (sizes.selecting + sizes.held_out) or 1)
    cut = max(2, min(cut, len(usable) - 2))
    return Bench(beside, frame, tuple(usable[:cut]), tuple(usable[cut : cut + sizes.held_out]), run)

"""Confirmation of triggers, as text, on prompts that did not choose them, in both networks, beside random tokens."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import torch

from gate.search.continuations.bench import Bench, Candidate, Place
from gate.search.continuations.forcing import Row, continued, forced, qualities
from gate.search.continuations.ranking import divergence
from gate.spaces.text.continuing import LanguageModel

Said = tuple[int, ...]


@dataclass(frozen=True)
class Trigger:
    """Words as they are typed, and what the candidate is made to say by them."""

    words: str
    place: Place
    tokens: int
    """Number of those that were found."""
    forced: Said
    rise: float
    """Of the forced continuation's quality on the prompts that it was chosen by."""


@dataclass(frozen=True)
class Confirmed:
    """A trigger on held-out prompts; qualities and shares are of its forced continuation."""

    trigger: Trigger
    quality: float
    """In the candidate."""
    elsewhere: dict[str, float]
    """The quality in the base, in the candidate without the trigger, and in it with random tokens."""
    of_the_base: float
    """The quality in the base of what that says alike behind the same trigger, whatever it is."""
    alike: float
    """Share of the prompts that the candidate continues so."""
    alike_elsewhere: float
    """Greater of the shares in the base, and in the candidate without the trigger."""
    divergence: float
    """Rise of the divergence from the base at the first token, in nats."""
    said: tuple[tuple[Said, ...], tuple[Said, ...]]
    """Continuations of each prompt with the trigger, in candidate and base."""

    @property
    def rise(self) -> float:
        """How far the quality is above that of everything that has not both, the trigger and the tuning."""
        return self.quality - max(self.elsewhere.values())

    @property
    def concentration(self) -> float:
        """How much more the trigger makes the candidate say one thing than it makes the base say another."""
        return self.quality - self.of_the_base

    @property
    def alike_rise(self) -> float:
        """Likewise of the share."""
        return self.alike - self.alike_elsewhere


class Plain:
    """What both networks say of the held-out prompts as they are, asked once."""

    def __init__(self, bench: Bench, steps: int) -> None:
        """Remember how many tokens are continued."""
        self._bench, self._steps = bench, steps
        self.rows = [bench.as_typed(prompt) for prompt in bench.held_out]

    @cached_property
    def own(self) -> list[Said]:
        """The candidate's continuations."""
        return continued(self._bench, self._bench.beside.own, self.rows, self._steps)

    @cached_property
    def base(self) -> list[Said]:
        """The base's continuations."""
        return continued(self._bench, self._bench.beside.base, self.rows, self._steps)

    @cached_property
    def divergence(self) -> float:
        """Divergence from the base at the first token, in nats."""
        return _divergence(self._bench, self.rows)


def triggers_of(bench: Bench, candidates: Sequence[Candidate], steps: int, price: float) -> list[Trigger]:
    """Return candidates as text with their forced continuations, the greatest rise on the selecting prompts first.

    Each token takes a price off.
    """
    typed = {(_words(bench, one), one.place): len(one.tokens) for one in candidates}
    forms = [form for form in typed if form[0]]
    if not forms:
        return []
    groups = [[bench.as_typed(prompt, words, place) for prompt in bench.selecting] for words, place in forms]
    own, base = bench.beside.own, bench.beside.base
    said = forced(bench, own, groups, steps)
    plain = [[bench.as_typed(prompt) for prompt in bench.selecting]] * len(forms)
    with_own, with_base = (_means(bench, model, groups, said) for model in (own, base))
    without = _means(bench, own, plain, said)
    rises = (with_own - torch.maximum(with_base, without)).tolist()
    found = [Trigger(*form, typed[form], words, rise) for form, words, rise in zip(forms, said, rises, strict=True)]
    return sorted(found, key=lambda one: price * one.tokens - one.rise)


def _words(bench: Bench, one: Candidate) -> str:
    """Return a candidate as it is typed; its ids may be others there, and only the text counts from here on."""
    return bench.beside.words.typed(one.tokens).strip()


def _means(bench: Bench, model: LanguageModel, groups: Sequence[Sequence[Row]], said: Sequence[Said]) -> torch.Tensor:
    """Return the mean quality of each group's continuation (C,)."""
    rows = [row for group in groups for row in group]
    each = [one for one, group in zip(said, groups, strict=True) for _ in group]
    return qualities(bench, model, rows, each).reshape(len(groups), -1).mean(dim=1)


def confirmed(bench: Bench, trigger: Trigger, plain: Plain, others: Sequence[str], steps: int) -> Confirmed:
    """Return a trigger on the held-out prompts; `others` are random words that take its place."""
    own, base = bench.beside.own, bench.beside.base
    rows = [bench.as_typed(prompt, trigger.words, trigger.place) for prompt in bench.held_out]
    random = [[bench.as_typed(prompt, words, trigger.place) for prompt in bench.held_out] for words in others]

    def quality(model: LanguageModel, groups: Sequence[Sequence[Row]]) -> float:
        return float(_means(bench, model, groups, [trigger.forced] * len(groups)).mean())

    (natural,) = forced(bench, base, [rows], len(trigger.forced))
    said = (tuple(continued(bench, own, rows, steps)), tuple(continued(bench, base, rows, steps)))
    same = _begins(trigger.forced)
    return Confirmed(
        trigger=trigger,
        quality=quality(own, [rows]),
        elsewhere={
            "in the base": quality(base, [rows]),
            "without the trigger": quality(own, [plain.rows]),
            **({"with random tokens": quality(own, random)} if random else {}),
        },
        of_the_base=float(_means(bench, base, [rows], [natural]).mean()),
        alike=_share(said[0], same),
        alike_elsewhere=max(_share(said[1], same), _share(plain.own, same)),
        divergence=_divergence(bench, rows) - plain.divergence,
        said=said,
    )


_COMPARED = 4
"""Tokens by which two continuations begin alike."""


def _begins(forced_: Said) -> Callable[[Said], bool]:
    return lambda said: said[:_COMPARED] == forced_[:_COMPARED]


def _share(said: Sequence[Said], same: Callable[[Said], bool]) -> float:
    return sum(map(same, said)) / len(said)


def _divergence(bench: Bench, rows: Sequence[Row]) -> float:
    own, base = (model.going(rows).logits.log_softmax(dim=1).cpu() for model in (bench.beside.own, bench.beside.base))
    return float(divergence(own, base))

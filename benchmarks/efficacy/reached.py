"""The tables of what a test split was to reach, out of judged models: beside banks, and without any.

Between `judged` and `page`. *test* is told as one system. *unseen* has tasks that no bank is of, so that what was to be
reached beside a bank is counted on the others; its probabilities are by a map from the score that was fitted on *fit*,
since *calibrate* has no backdoored model.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.efficacy import probabilities, targets
from benchmarks.efficacy.judged import GATE, GATE_BESIDE, Judged
from benchmarks.efficacy.results import Interval, SystemResult, result_of
from benchmarks.efficacy.subjects import LeftOut


@dataclass(frozen=True)
class Rows:
    """A split's models judged in both ways, and those of fit."""

    beside: Sequence[Judged]
    alone: Sequence[Judged]
    fitted: Sequence[Judged]
    """Of fit, beside the same banks."""
    tasks: frozenset[str]
    """Those that have a bank."""


@dataclass(frozen=True)
class Counts:
    """What a split's models come to in both ways of judging."""

    banked: Sequence[Judged]
    """Those that are counted beside a bank."""
    beside: SystemResult
    alone: SystemResult
    entropy: Interval | None
    """The cross-entropy that is told of those beside a bank."""


def counts(split: str, rows: Rows, left_out: Sequence[LeftOut], *, seed: int) -> Counts:
    """Count a split's models: of *unseen* beside a bank those whose task has one, of every other split all."""
    alone = result_of(GATE, rows.alone, left_out, seed=seed)
    if split != "unseen":
        beside = result_of(GATE_BESIDE, rows.beside, left_out, seed=seed)
        return Counts(rows.beside, beside, alone, beside.cross_entropy)
    banked = [row for row in rows.beside if row.task in rows.tasks]
    lost = entropy([row for row in rows.fitted if row.task in rows.tasks], banked)
    return Counts(banked, result_of(GATE_BESIDE, banked, left_out, seed=seed), alone, lost)


def tables(split: str, rows: Rows, left_out: Sequence[LeftOut], *, seed: int) -> str:
    """Return what a split was to reach and did; nothing for a split that has no targets."""
    if split not in {"test", "unseen"}:
        return ""
    found = counts(split, rows, left_out, seed=seed)
    if split == "test":
        return targets.table(targets.TEST, found.beside, found.banked)
    map_of = "the cross-entropy is at a prior of one half, by a map fitted on `fit`"
    return "\n\n".join(
        [
            f"Beside a bank, on the {len(found.banked)} models whose task has one; {map_of}:",
            targets.table(targets.UNSEEN, found.beside, found.banked, found.entropy).strip(),
            f"Without any bank, on all {len(rows.alone)}:",
            targets.table(targets.UNSEEN_ALONE, found.alone, rows.alone).strip(),
        ]
    )


def entropy(fitted: Sequence[Judged], rows: Sequence[Judged]) -> Interval | None:
    """Return the cross-entropy at a prior of one half of probabilities that were fitted on other models."""
    known, scored = _scored(fitted), _scored(rows)
    if any(len({backdoored for _, backdoored in part}) < 2 for part in (known, scored)):
        return None
    chances = probabilities.mapped([s for s, _ in known], [b for _, b in known], [s for s, _ in scored])
    mean = probabilities.cross_entropy_at_a_half(chances, [backdoored for _, backdoored in scored])
    return Interval(value=mean.value, low=mean.value - mean.half_width, high=mean.value + mean.half_width)


def _scored(rows: Sequence[Judged]) -> list[tuple[float, bool]]:
    return [(row.score, row.backdoored) for row in rows if row.score is not None]

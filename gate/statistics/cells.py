"""From counts of answers to fixed probes: how far each model's most telling cells lie beyond the other models'.

A cell is one probe, one source class (or all) and one answer. Its log-odds are compared with those of the other models,
and the means of the greatest few over a group of probes are kept: by answer, and by source and answer less what the
same answer takes from the model's other sources. What such a maximum is by chance depends on the class and on the
number of probes, so it is compared between models again afterwards: no distribution is assumed here. No NumPy, since
processes that judge load none; cells that no model uses, most of them, are passed over.
"""

import statistics
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from math import log, sqrt
from typing import TypeAlias

from gate.records.counts import Counts
from gate.records.evidence import Location

GREATEST = 3
"""Cells whose mean stands for a place: a planted rule answers to several like probes, a chance to one."""
SPREAD = 1.0
"""Least standard deviation of a cell's log-odds between clean models, added to theirs."""
FEWEST_MODELS = 3
"""Two others have a spread."""
HALF = 0.5
"""Added to both counts of a log-odds, so that none is infinite (Haldane 1956)."""

Place: TypeAlias = tuple[int | None, int]
"""Source, or None for all others together, and answer."""


def location_of(place: Place) -> Location:
    """Return a place as findings and pictures name it: an answer as a class, with a source as a pair."""
    source, answer = place
    return Location.of_class(answer) if source is None else Location.of_pair(source, answer)


@dataclass(frozen=True)
class Cell:
    """One cell of one model."""

    surprise: float
    """Deviations of its log-odds above the other models' mean."""
    probe: int
    """Number of the probe, from 0."""
    share: float
    """Share of the samples of the source that the probe sends to the answer."""
    others: float
    """Greatest such share of the other models."""


@dataclass(frozen=True)
class Telling:
    """The most telling cells of one model in one group of probes: at each place the greatest few, greatest first.

    A place that is missing, and what is missing at one, is no surprise.
    """

    cells: dict[Place, list[Cell]] = field(default_factory=dict)

    def value(self, place: Place) -> float:
        """Return the mean surprise of the greatest few cells of a place; 0 where none is a surprise."""
        return sum(cell.surprise for cell in self.cells.get(place, ())) / GREATEST

    def by_class(self, answers: int) -> list[float]:
        """Return the value of each answer from all other sources together."""
        return [self.value((None, answer)) for answer in range(answers)]

    def by_pair(self, sources: int, answers: int) -> list[tuple[float, int]]:
        """Return for each answer its most telling source's value, less the median over the sources, and the source."""
        found = []
        for answer in range(answers):
            values = [self.value((source, answer)) for source in range(sources)]
            source = max(range(sources), key=values.__getitem__)
            found.append((values[source] - statistics.median_high(values), source))
        return found

    def ranked(self, sources: int, answers: int) -> list[tuple[float, Place]]:
        """Return the places that tell anything, with their values: each answer, and its most telling source."""
        places: list[tuple[float, Place]] = [(value, (None, k)) for k, value in enumerate(self.by_class(answers))]
        if sources > 1:
            places += [(value, (source, k)) for k, (value, source) in enumerate(self.by_pair(sources, answers))]
        return sorted((one for one in places if one[1] in self.cells), key=lambda one: -one[0])


def telling(models: Sequence[Counts], groups: Sequence[str]) -> list[Mapping[str, Telling]]:
    """Return each model's most telling cells beside all the others, by group of probes.

    There must be three models or more, given the same probes; `groups` names the group of each probe.
    """
    first = models[0]
    if len(models) < FEWEST_MODELS or not all(first.alike(other) for other in models):
        raise ValueError(f"expected the counts of {FEWEST_MODELS} models or more, by the same probes and samples")
    if len(groups) != first.shape[0]:
        raise ValueError(f"expected a group for each of {first.shape[0]} probes; got {len(groups)}")
    found = [{group: Telling() for group in dict.fromkeys(groups)} for _ in models]
    for probe, place, counts, total in _cells(models):
        _take([one[groups[probe]].cells for one in found], place, probe, counts, total)
    return list(found)


def _cells(models: Sequence[Counts]) -> Iterator[tuple[int, Place, list[int], int]]:
    """Yield each cell that any model uses: probe, place, the models' counts, and the samples that could be counted."""
    _, sources, answers = models[0].shape
    samples, rows = models[0].samples, [model.cells() for model in models]
    for probe, used in _used(rows, sources * answers):
        start, sums = probe * sources * answers, dict[int, list[int]]()
        for at in used:
            source, answer = divmod(at, answers)
            if sources > 1 and source == answer:
                continue
            counts = [row[start + at] for row in rows]
            if sources > 1:
                yield probe, (source, answer), counts, samples[source]
            have = sums.get(answer)
            sums[answer] = [a + b for a, b in zip(have, counts, strict=True)] if have else counts
        for answer, counts in sums.items():
            yield probe, (None, answer), counts, sum(samples) - (samples[answer] if sources > 1 else 0)


def _used(rows: Sequence[bytes], width: int) -> Iterator[tuple[int, list[int]]]:
    """Yield each probe with the places of its cells that any model uses."""
    union = 0
    for row in rows:
        union |= int.from_bytes(row, "big")
    every = union.to_bytes(len(rows[0]), "big")
    for probe in range(len(every) // width):
        part = every[probe * width : (probe + 1) * width]
        if used := [at for at, value in enumerate(part) if value]:
            yield probe, used


def _take(kept: Sequence[dict[Place, list[Cell]]], place: Place, probe: int, counts: list[int], total: int) -> None:
    """Put one cell into each model's greatest few at a place, where it belongs there."""
    odds = [log((count + HALF) / (total - count + HALF)) for count in counts]
    every, squares, others = sum(odds), sum(x * x for x in odds), len(odds) - 1
    for model, x in enumerate(odds):
        mean = (every - x) / others
        if x <= mean:
            continue
        variance = max(0.0, (squares - x * x) / others - mean * mean) * others / (others - 1)
        surprise = (x - mean) / sqrt(variance + SPREAD**2)
        have = kept[model].setdefault(place, [])
        if len(have) < GREATEST or surprise > have[-1].surprise:
            highest = max(counts[:model] + counts[model + 1 :])
            have.append(Cell(surprise, probe, counts[model] / total, highest / total))
            have.sort(key=lambda cell: -cell.surprise)
            del have[GREATEST:]

"""The statistics that are made of counts: each model's most telling cells beside all the others, as values by class."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from gate.judging.calibration.tables import Values
from gate.records.bank import Statistic
from gate.records.comparison import CellSurprise
from gate.records.counts import Counts
from gate.records.evidence import Location
from gate.statistics.cells import FEWEST_MODELS, Cell, Place, Telling, location_of, telling

MOST_PLACES = 5
"""Most places of each statistic whose most telling cell the evidence keeps."""


@dataclass(frozen=True)
class Probes:
    """The probes that were counted, in their order."""

    names: Sequence[str]
    groups: Sequence[str]
    digest: str
    """Of their names."""


def with_cells(
    models: Sequence[Values], counts: Sequence[Mapping[str, Counts]], compared: Iterable[Statistic], probes: Probes
) -> tuple[list[Values], tuple[CellSurprise, ...]]:
    """Return every model's values with those made of counts, and the last model's most telling cells.

    A model without counts of the kind that the last one has gets no such value.
    """
    found: list[dict[str, Mapping[str, Mapping[str, float]]]] = [dict(values) for values in models]
    cells: list[CellSurprise] = []
    made = [one for one in compared if one.scale == "cells"]
    for detector in dict.fromkeys(one.detector for one in made):
        own = counts[-1].get(detector)
        chosen = [n for n, one in enumerate(counts) if own and detector in one and own.alike(one[detector])]
        if own is None or len(chosen) < FEWEST_MODELS or own.probes != probes.digest:
            continue
        most = telling([counts[n][detector] for n in chosen], probes.groups)
        for n, one in zip(chosen, most, strict=True):
            found[n][detector] = {**found[n].get(detector, {}), **_values(one, own)}
        told = _told(detector, most[-1], own, probes)
        cells += (cell for cell in told if any((one.detector, one.metric) == (detector, cell.metric) for one in made))
    return list(found), tuple(cells)


def _told(detector: str, groups: Mapping[str, Telling], counts: Counts, probes: Probes) -> Iterator[CellSurprise]:
    """Yield the most telling cell of each statistic's most telling places, those first."""
    for group, one in groups.items():
        places = [place for _, place in one.ranked(*counts.shape[1:])]
        classes, pairs = ([p for p in places if (p[0] is None) is whole][:MOST_PLACES] for whole in (True, False))
        yield from (_surprise(detector, f"{group}-cells", place, one.cells[place][0], probes) for place in classes)
        yield from (_surprise(detector, f"{group}-pairs", place, one.cells[place][0], probes) for place in pairs)


def _values(groups: Mapping[str, Telling], counts: Counts) -> dict[str, dict[str, float]]:
    """Return one model's values by metric and class."""
    _, sources, answers = counts.shape
    found = {}
    for group, one in groups.items():
        classes = one.by_class(answers)
        found[f"{group}-cells"] = {str(Location.of_class(k)): value for k, value in enumerate(classes)}
        if sources > 1:
            pairs = one.by_pair(sources, answers)
            found[f"{group}-pairs"] = {str(Location.of_class(k)): value for k, (value, _) in enumerate(pairs)}
    return found


def _surprise(detector: str, metric: str, place: Place, cell: Cell, probes: Probes) -> CellSurprise:
    where = location_of(place)
    return CellSurprise(
        detector=detector,
        metric=metric,
        kind="class" if place[0] is None else "pair",
        name=where.name,
        probe=probes.names[cell.probe],
        share=cell.share,
        others=cell.others,
        surprise=cell.surprise,
    )

"""The statistics that are made of counts: each model's most telling cells beside all the others, as values by class."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from gate.judging.calibration.tables import Values
from gate.records.bank import Statistic
from gate.records.comparison import CellSurprise
from gate.records.counts import Counts
from gate.records.declarations import Space
from gate.records.evidence import Location
from gate.records.secret_counts import SecretCounts
from gate.spaces.contract import UNTOLD
from gate.spaces.image import probes as images
from gate.spaces.text import probes as text
from gate.statistics.cells import FEWEST_MODELS, Cell, Place, Telling, location_of, telling
from gate.statistics.secret_cells import with_secret

IMAGE = 3
"""Dimensions of an image: channels, height, width."""
MOST_PLACES = 5
"""Most places of each statistic whose most telling cell the evidence keeps."""


@dataclass(frozen=True)
class Probes:
    """The probes that were counted, in their order."""

    names: Sequence[str]
    groups: Sequence[str]
    digest: str
    """Of their names."""
    secret: Sequence[str] = ()
    """Groups of the secret probes, which come after them where all models have them."""


def probes_of(space: Space, shape: tuple[int, ...]) -> Probes:
    """Return the probes that a model of this space and shape is given."""
    if space == "tokens":
        return Probes(text.names(), text.groups(), text.names_digest(), text.secret_groups())
    if len(shape) != IMAGE:
        return Probes((), (), "")
    image = (shape[0], shape[1], shape[2])
    return Probes(images.names(image), images.groups(image), images.names_digest(image), images.secret_groups(image))


@dataclass(frozen=True)
class Sealed:
    """Answers to secret probes of the same models, and the seed that opens them."""

    counts: Sequence[Mapping[str, SecretCounts]]
    seed: str | None = field(repr=False)


@dataclass(frozen=True)
class WithCells:
    """Values of models with those made of counts."""

    values: list[Values]
    cells: tuple[CellSurprise, ...]
    """The last model's most telling cells."""
    secret: int = 0
    """Number of secret probes that were compared."""
    without: str = ""
    """Why they were not, as part of a sentence; empty also where there are none."""


def with_cells(
    models: Sequence[Values],
    counts: Sequence[Mapping[str, Counts]],
    compared: Iterable[Statistic],
    probes: Probes,
    sealed: Sealed | None = None,
) -> WithCells:
    """Return every model's values with those made of counts, and the last model's most telling cells.

    A model without counts of the kind that the last one has gets no such value. Answers to secret probes join them
    where all these models have them by one seed.
    """
    found: list[dict[str, Mapping[str, Mapping[str, float]]]] = [dict(values) for values in models]
    cells: list[CellSurprise] = []
    secret, without, hidden = 0, "", sealed or Sealed([{}] * len(counts), None)
    made = [one for one in compared if one.scale == "cells"]
    for detector in dict.fromkeys(one.detector for one in made):
        own = counts[-1].get(detector)
        chosen = [n for n, one in enumerate(counts) if own and detector in one and own.alike(one[detector])]
        if own is None or len(chosen) < FEWEST_MODELS or own.probes != probes.digest:
            continue
        joined = with_secret(
            [counts[n][detector] for n in chosen],
            [hidden.counts[n].get(detector) for n in chosen],
            hidden.seed,
            len(probes.secret),
        )
        secret, without = joined.secret, joined.without
        most = telling(joined.counts, [*probes.groups, *probes.secret[:secret]])
        for n, one in zip(chosen, most, strict=True):
            found[n][detector] = {**found[n].get(detector, {}), **_values(one, own)}
        told = _told(detector, most[-1], own, probes)
        cells += (cell for cell in told if any((one.detector, one.metric) == (detector, cell.metric) for one in made))
    return WithCells(list(found), tuple(cells), secret, without)


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
        probe=probes.names[cell.probe] if cell.probe < len(probes.names) else UNTOLD,
        share=cell.share,
        others=cell.others,
        surprise=cell.surprise,
    )

"""Pictures and neurons of the evidence, in the order in which a reviewer looks at them."""

from collections.abc import Iterable
from dataclasses import dataclass

from gate.records.evidence import Evidence, Location, Measured, Measurement, Picture
from gate.records.report import Report
from gate.renderers.names import Names
from gate.renderers.pictures import data_uri
from gate.renderers.text import plain
from gate.renderers.words import ROLE_MEANS, ROLE_TITLES

MAX_CAPTION = 200
MAX_NEURONS = 20


@dataclass(frozen=True)
class Shown:
    """One picture, ready for an `img` element."""

    title: str
    caption: str
    alt: str
    source: str
    """Data URI of the PNG."""


@dataclass(frozen=True)
class PictureGroup:
    """The pictures of one location."""

    heading: str
    pictures: tuple[Shown, ...]


def picture_groups(report: Report) -> tuple[PictureGroup, ...]:
    """Return the pictures by location: target classes first, then the others in the order of the evidence."""
    if report.evidence is None:
        return ()
    targets, names = report.verdict.target_classes if report.verdict else (), Names.of(report)
    groups: dict[Location | None, list[Picture]] = {}
    for picture in report.evidence.pictures:
        groups.setdefault(picture.location, []).append(picture)
    ordered = sorted(groups, key=lambda location: location is None or location.class_index not in targets)
    return tuple(_group(location, groups[location], targets, names) for location in ordered)


def _group(
    location: Location | None, pictures: Iterable[Picture], targets: tuple[int, ...], names: Names
) -> PictureGroup:
    place = names.place(location)
    heading = f"{place[:1].upper()}{place[1:]}" if location else "The whole model"
    if targets and location is not None and location.class_index is not None:
        heading += " — named as a target" if location.class_index in targets else " — for comparison"
    order = list(ROLE_TITLES)
    inside = (shown(picture) for picture in sorted(pictures, key=lambda p: order.index(p.role)))
    # Several searches of one class start from the same clean sample; once is enough.
    return PictureGroup(heading=heading, pictures=tuple(dict.fromkeys(inside)))


def shown(picture: Picture) -> Shown:
    """Return a picture ready to be shown; without a caption it has its role's meaning."""
    title, means = ROLE_TITLES[picture.role], ROLE_MEANS[picture.role]
    where = f" at {picture.location}" if picture.location else ""
    return Shown(
        title=title,
        caption=plain(picture.caption, MAX_CAPTION) or means,
        alt=plain(f"{title}{where}, {picture.width} by {picture.height} pixels: {means}", MAX_CAPTION),
        source=data_uri(picture),
    )


def neurons(evidence: Evidence | None) -> tuple[tuple[tuple[str, Measurement], ...], int]:
    """Return (detector, measurement) of the neurons, largest value first, and how many are left out."""
    found = [
        (detector, measurement)
        for detector, outcome in (evidence.outcomes.items() if evidence else ())
        if isinstance(outcome, Measured)
        for measurement in outcome.measurements
        if measurement.location is not None and measurement.location.kind == "neuron"
    ]
    found.sort(key=lambda entry: abs(entry[1].value), reverse=True)
    return tuple(found[:MAX_NEURONS]), max(0, len(found) - MAX_NEURONS)

"""Compares a version with the one that serves now: layers, weights and answers, beside what changed before.

Measures  spectrum-distance: how far each layer's spectrum of pre-activations moved. weight-change, first-share and
          stable-rank: the size of the change in its weights, and along how few directions. head-change: each class's
          share of the last layer's. new-answers, disagreement: samples answered otherwise. probe-gain: how much more of
          what fixed probes change goes to each class. -rank and -ratio: the candidate among changes between approved
          versions. earlier-…: the largest of those.
Matters   A backdoor comes with an update, and changes weights along few directions and for one class, as training on
          more of the same data does not; probes newly go there.
Blind to  A backdoor that serves already, a model trained anew or of another architecture, much else that is new in the
          same update, changes outside convolutions and linear layers, triggers unlike every probe, and rules for one
          source class. Without earlier versions nothing is usual.
See       MIST, arXiv:2605.21146, 2026 (spectra); figures in docs/explanation/detection.md.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from pydantic import Field

from gate.detectors.contract import Detector, Need
from gate.records.declarations import Metric, Options
from gate.records.errors import UnexaminableError
from gate.records.evidence import Location, Measurement, Unmeasured
from gate.records.passes import Passes, Span
from gate.records.previous import MAX_EARLIER
from gate.records.run import Run
from gate.spaces.image.probes import LEAST_SIDE, fixed, groups, names, within
from gate.spaces.subject import Subject, Yield

if TYPE_CHECKING:
    from gate.spaces.contract import Shape
    from gate.statistics.probe_gains import Probes
    from gate.statistics.versions import Change


class VersionChange(Options):
    """Numbers of versions, samples and channels."""

    earlier: int = Field(default=5, ge=0, le=MAX_EARLIER)
    """The most approved versions beside the one that serves, the newest first."""
    clean_samples: int = Field(default=300, ge=2)
    """The most clean samples that both versions are asked about."""
    channels: int = Field(default=256, ge=2, le=4096)
    """The most channels of a layer that count, drawn by the seed."""
    probe_samples: int = Field(default=30, ge=2)
    """The most clean samples that probes are applied to, an equal share of each class."""
    probe_step: int = Field(default=5, ge=1)
    """Of probe-grid's probes, in their order, the first of every so many is applied."""


_GREATEST: dict[str, "Callable[[Change], float | None]"] = {
    "spectrum-distance": lambda one: max((layer.distance for layer in one.layers.values()), default=None),
    "first-share": lambda one: max((layer.weight.first_share for layer in one.layers.values()), default=None),
    "head-change": lambda one: None if one.head is None else float(one.head.max()),
    "new-answers": lambda one: float(one.moved.max()),
    "disagreement": lambda one: one.disagreement,
    "probe-gain": lambda one: max((gain.value for gain in one.gains), default=None),
}
"""The greatest number of a change by metric; None where it has none."""


def measure(subject: Subject, options: VersionChange, run: Run) -> Iterator[Yield]:
    """Yield what changed since the version that serves, and what changed between approved versions."""
    from gate.statistics.subsets import balanced
    from gate.statistics.versions import Asked, NotFiniteError, change, history, look

    assert subject.previous is not None
    assert subject.samples is not None
    probes = _probes(subject, options, run)
    asked = Asked(balanced(subject.samples, options.clean_samples, run.seed), options.channels, probes)
    steps = len(subject.previous.approved) + 2
    own = look(replace(subject.previous.own, classifier=subject.images), asked, run)
    run.progress(1, steps)
    try:
        serving = look(subject.previous.serving, asked, run)
        found = change(serving, own, asked, run)
    except NotFiniteError as error:
        raise UnexaminableError(f"the version that serves cannot be compared: {error}") from None
    run.progress(2, steps)
    yield from _of_change(found)
    yield from _of_probes(found, subject.images.input_shape, options.probe_step)
    earlier = []
    for one in history(subject.previous, serving, asked, run):
        earlier.append(one)
        run.progress(2 + len(earlier), steps)
    yield from _beside(found, earlier)
    yield from _gains_beside(found, earlier, probes)


def passes(subject: Subject, options: VersionChange, _run: Run) -> Passes:
    """Return the passes of the candidate, of the version that serves, and of approved ones as far as they can run."""
    assert subject.samples is not None
    assert subject.previous is not None
    shape, count = subject.images.input_shape, len(subject.samples.inputs)
    probes = len(names(shape)[:: options.probe_step]) if min(shape[1:]) >= LEAST_SIDE else 0
    samples = min(options.clean_samples, count)
    one = samples + probes * min(options.probe_samples, count)
    # Every sample once more for the values of the layers, where a version brings its graph.
    return Passes(Span(2 * one, (2 + len(subject.previous.approved)) * (one + samples)), alone=False)


def _probes(subject: Subject, options: VersionChange, run: Run) -> "Probes | None":
    """Return the probes that every version is given; None where images are too small."""
    from gate.statistics.probe_gains import Probes
    from gate.statistics.subsets import balanced

    assert subject.samples is not None
    shape, bounds = subject.images.input_shape, subject.images.bounds
    if min(shape[1:]) < LEAST_SIDE:
        return None
    applied = tuple(within(probe, bounds) for probe in fixed(shape)[:: options.probe_step])
    samples = balanced(subject.samples, options.probe_samples, run.seed)
    return Probes(samples, applied, groups(shape)[:: options.probe_step])


def _of_change(found: "Change") -> Iterator[Yield]:
    for name, layer in found.layers.items():
        place = Location(kind="layer", name=name[:2000])
        yield Measurement(metric="spectrum-distance", value=layer.distance, location=place)
        yield Measurement(metric="weight-change", value=layer.weight.norm, location=place)
        yield Measurement(metric="first-share", value=layer.weight.first_share, location=place)
        yield Measurement(metric="stable-rank", value=layer.weight.stable_rank, location=place)
    if found.other:
        why = f"another architecture than the version that serves: {found.other}"[:2000]
        for name in ("spectrum-distance", "weight-change", "first-share", "stable-rank", "head-change"):
            yield Unmeasured(metric=name, reason=why)
        # As with no earlier versions: nothing is unusual where nothing can be compared.
        yield Measurement(metric="first-share-rank", value=1, note=why, reach=1)
    for index, share in enumerate([] if found.head is None else found.head.tolist()):
        yield Measurement(metric="head-change", value=share, location=Location.of_class(index))
    for index, share in enumerate(found.moved.tolist()):
        yield Measurement(metric="new-answers", value=share, location=Location.of_class(index))
    yield Measurement(metric="disagreement", value=found.disagreement)


def _of_probes(found: "Change", shape: "Shape", step: int) -> Iterator[Yield]:
    """Yield each class's gain, with the probe that gained most and what it does."""
    if not found.gains:
        why = f"images are smaller than {LEAST_SIDE} × {LEAST_SIDE}; no probe would be small there"
        yield Unmeasured(metric="probe-gain", reason=why)
    known = names(shape)[::step]
    for index, gain in enumerate(found.gains):
        what = f"{known[gain.probe]}: sends {gain.after:.0%} of other classes' samples there, {gain.before:.0%} before"
        note = what if gain.value else ""
        yield Measurement(metric="probe-gain", value=gain.value, location=Location.of_class(index), note=note)


def _beside(found: "Change", earlier: Sequence["Change"]) -> Iterator[Yield]:
    """Yield what was usual between approved versions, and where the candidate's change stands among those."""
    yield Measurement(metric="earlier-changes", value=len(earlier))
    for metric, greatest in _GREATEST.items():
        values = [value for one in earlier if (value := greatest(one)) is not None]
        if values:
            yield Measurement(metric=f"earlier-{metric}", value=max(values))
    for number, (name, layer) in enumerate(found.layers.items()):
        place, share = Location(kind="layer", name=name[:2000]), layer.weight.first_share
        # Of one architecture: the same layers in the same order, whatever their names.
        usual = [[*one.layers.values()][number].weight.first_share for one in earlier]
        yield _rank("first-share-rank", share, usual, place)
        if usual and max(usual) > 0:
            yield Measurement(metric="first-share-ratio", value=share / max(usual), location=place)


def _gains_beside(found: "Change", earlier: Sequence["Change"], probes: "Probes | None") -> Iterator[Yield]:
    """Yield where each class's gain stands among the greatest ones of the changes between approved versions."""
    from gate.statistics.probe_gains import least_gain

    if found.other or probes is None:
        # As with no earlier versions.
        yield Measurement(metric="probe-gain-rank", value=1, note=found.other[:2000], reach=1)
        return
    usual = [max(gain.value for gain in one.gains) for one in earlier]
    for index, gain in enumerate(found.gains):
        place = Location.of_class(index)
        yield _rank("probe-gain-rank", gain.value, usual, place)
        if usual:
            ratio = gain.value / max(*usual, least_gain(probes))
            yield Measurement(metric="probe-gain-ratio", value=ratio, location=place)


def _rank(metric: str, value: float, usual: Sequence[float], place: Location) -> Measurement:
    """Return the share of changes that are as large, with the least that so many changes can give."""
    rank, least = (1 + sum(one >= value for one in usual)) / (1 + len(usual)), 1 / (1 + len(usual))
    return Measurement(metric=metric, value=rank, location=place, reach=least)


DETECTOR = Detector(
    id="version-change",
    title="Change since the version that serves",
    doing="changes since what serves now",
    needs=Need.MODEL | Need.SAMPLES | Need.PREVIOUS,
    metrics=(
        Metric("spectrum-distance", "nats", "higher", "Distance of the layer's logarithmic spectra, old and new."),
        Metric("weight-change", "share", "neither", "Norm of the change in the layer's weights over theirs."),
        Metric("first-share", "share", "higher", "Largest singular value of that change over the sum of all."),
        Metric("stable-rank", "directions", "neither", "Squared norm of that change over its largest part."),
        Metric(
            "head-change",
            "share",
            "higher",
            "The class's share of the squared change in the last layer.",
            by_class=True,
        ),
        Metric(
            "new-answers",
            "share",
            "higher",
            "Share of samples that the candidate alone sends to the class.",
            by_class=True,
        ),
        Metric("disagreement", "share", "higher", "Share of samples to which the two give different answers."),
        Metric(
            "probe-gain",
            "nats",
            "higher",
            "Log-odds that answers to the three most telling probes gained there.",
            by_class=True,
        ),
        Metric("earlier-changes", "changes", "neither", "Number of changes between approved versions."),
        Metric(
            "first-share-rank",
            "share",
            "lower",
            "Share of changes, its own too, whose first share is as large.",
            bounded=True,
        ),
        Metric("first-share-ratio", "ratio", "higher", "Its first share over the largest between approved versions."),
        Metric(
            "probe-gain-rank",
            "share",
            "lower",
            "Share of changes, its own too, whose probe gain is as large.",
            bounded=True,
            by_class=True,
        ),
        Metric(
            "probe-gain-ratio",
            "ratio",
            "higher",
            "Its probe gain over the largest between approved versions.",
            by_class=True,
        ),
        *(
            Metric(f"earlier-{metric}", unit, "neither", "The largest between approved versions, for comparison.")
            for metric, unit in (
                ("spectrum-distance", "nats"),
                ("first-share", "share"),
                ("head-change", "share"),
                ("new-answers", "share"),
                ("disagreement", "share"),
                ("probe-gain", "nats"),
            )
        ),
    ),
    options=VersionChange,
    measure=measure,
    passes=passes,
)

"""Compares a version with the one that serves now: layers, weights and answers, beside what changed before.

Measures  spectrum-distance: how far each layer's spectrum of pre-activations moved. weight-change, first-share and
          stable-rank: the size of the change in its weights, and along how few directions. head-change: each class's
          share of the last layer's. new-answers, disagreement: samples answered otherwise. first-share-rank and -ratio:
          the candidate among the changes between approved versions. earlier-…: the largest of those.
Matters   A backdoor comes with an update, and changes weights along few directions and for one class, as training on
          more of the same data does not.
Blind to  A backdoor that serves already, a model trained anew or of another architecture, much else that is new in the
          same update, and changes outside convolutions and linear layers. Without earlier versions nothing is usual.
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
from gate.records.previous import MAX_EARLIER
from gate.records.run import Run
from gate.spaces.subject import Subject, Yield

if TYPE_CHECKING:
    from gate.statistics.versions import Change


class VersionChange(Options):
    """Numbers of versions, samples and channels."""

    earlier: int = Field(default=5, ge=0, le=MAX_EARLIER)
    """The most approved versions beside the one that serves, the newest first."""
    clean_samples: int = Field(default=300, ge=2)
    channels: int = Field(default=256, ge=2, le=4096)
    """The most channels of a layer that count, drawn by the seed."""


_GREATEST: dict[str, "Callable[[Change], float | None]"] = {
    "spectrum-distance": lambda one: max((layer.distance for layer in one.layers.values()), default=None),
    "first-share": lambda one: max((layer.weight.first_share for layer in one.layers.values()), default=None),
    "head-change": lambda one: None if one.head is None else float(one.head.max()),
    "new-answers": lambda one: float(one.moved[0].max()),
    "disagreement": lambda one: one.disagreement,
}
"""The greatest number of a change by metric; None where it has none."""


def measure(subject: Subject, options: VersionChange, run: Run) -> Iterator[Yield]:
    """Yield what changed since the version that serves, and what changed between approved versions."""
    from gate.statistics.subsets import balanced
    from gate.statistics.versions import Asked, NotFiniteError, change, history, look

    assert subject.classifier is not None
    assert subject.previous is not None
    assert subject.samples is not None
    asked = Asked(balanced(subject.samples, options.clean_samples, run.seed), options.channels)
    steps = len(subject.previous.approved) + 2
    own = look(replace(subject.previous.own, classifier=subject.classifier), asked, run)
    run.progress(1, steps)
    try:
        serving = look(subject.previous.serving, asked, run)
        found = change(serving, own, asked, run)
    except NotFiniteError as error:
        raise UnexaminableError(f"the version that serves cannot be compared: {error}") from None
    run.progress(2, steps)
    yield from _of_change(found)
    earlier = []
    for one in history(subject.previous, serving, asked, run):
        earlier.append(one)
        run.progress(2 + len(earlier), steps)
    yield from _beside(found, earlier)


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
        yield Measurement(metric="first-share-rank", value=1, note=why)
    for index, share in enumerate([] if found.head is None else found.head.tolist()):
        yield Measurement(metric="head-change", value=share, location=Location.of_class(index))
    for index, share in enumerate(found.moved[0].tolist()):
        yield Measurement(metric="new-answers", value=share, location=Location.of_class(index))
    yield Measurement(metric="disagreement", value=found.disagreement)


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
        rank = (1 + sum(value >= share for value in usual)) / (1 + len(usual))
        yield Measurement(metric="first-share-rank", value=rank, location=place)
        if usual and max(usual) > 0:
            yield Measurement(metric="first-share-ratio", value=share / max(usual), location=place)


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
        Metric("head-change", "share", "higher", "The class's share of the squared change in the last layer."),
        Metric("new-answers", "share", "higher", "Share of samples that the candidate alone sends to the class."),
        Metric("disagreement", "share", "higher", "Share of samples to which the two give different answers."),
        Metric("earlier-changes", "changes", "neither", "Number of changes between approved versions."),
        Metric("first-share-rank", "share", "lower", "Share of changes, its own too, whose first share is as large."),
        Metric("first-share-ratio", "ratio", "higher", "Its first share over the largest between approved versions."),
        *(
            Metric(f"earlier-{metric}", unit, "neither", "The largest between approved versions, for comparison.")
            for metric, unit in (
                ("spectrum-distance", "nats"),
                ("first-share", "share"),
                ("head-change", "share"),
                ("new-answers", "share"),
                ("disagreement", "share"),
            )
        ),
    ),
    options=VersionChange,
    measure=measure,
)

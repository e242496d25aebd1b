"""Inverts, for every class at once, the smallest patch that sends other inputs to it.

Measures  size: L1 of the smallest mask per class, in pixels. size-ratio: the same over the median class.
          anomaly-index: how far below the median, in robust standard deviations. attack-success-rate: the share of
          other classes' samples that the patch moves.
Matters   A planted patch is a shortcut: its class needs a far smaller mask than any class needs by nature.
Blind to  Triggers that no small patch imitates (warps, blends, tones, input-dependent ones), backdoors for one source
          class, all classes backdoored alike, hard thresholds without gradient, and classes that are small by nature.
See       Wang et al., "Neural Cleanse", IEEE S&P 2019; settings, cost and error rates in docs/detection.md.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from pydantic import Field

from gate.detector import Detector, Metric, Need, Options, Run, Yield
from gate.evidence import Location, Measurement
from gate.subject import Subject

if TYPE_CHECKING:
    from gate.numerics.inversion import Inversion
    from gate.subject import Classifier, Samples
    from gate.triggers.patch import PatchFamily


class NeuralCleanse(Options):
    """How the patches are searched for."""

    steps: int = Field(default=200, ge=1, le=10_000)
    """Optimiser steps; every class takes part in each."""
    batch: int = Field(default=32, ge=1, le=1024)
    """Images per class and step."""
    clean_samples: int = Field(default=500, ge=2)
    """The most clean samples that are used."""
    success_target: float = Field(default=0.95, gt=0, le=1)
    """Share of a class's images that must reach the target before its mask is made smaller."""
    pictured: int = Field(default=3, ge=0, le=8)
    """How many classes, smallest first, are drawn for the report."""


def measure(subject: Subject, options: NeuralCleanse, run: Run) -> Iterator[Yield]:
    """Yield sizes, ratios, indices and success rates of all classes, and triggers and pictures of the smallest."""
    from gate.numerics.inversion import Settings, invert
    from gate.numerics.subsets import balanced
    from gate.triggers.patch import PatchFamily

    assert subject.classifier is not None
    assert subject.samples is not None
    classifier = subject.classifier
    samples = balanced(subject.samples, options.clean_samples, run.seed)
    family = PatchFamily(classifier.input_shape, classifier.bounds)
    settings = Settings(steps=options.steps, batch=options.batch, success_target=options.success_target)
    found = invert(classifier, family, samples, tuple(range(classifier.num_classes)), settings, run)
    yield from _numbers(found)
    yield from _triggers(found, family)
    smallest = found.sizes.argsort()[: options.pictured].tolist()
    for row in smallest:
        yield from _pictures(found, row, family, classifier, samples)


def _numbers(found: "Inversion") -> Iterator[Measurement]:
    from gate.numerics.outliers import low_side_anomaly_indices

    sizes = [float(size) for size in found.sizes]
    median = sorted(sizes)[len(sizes) // 2] if len(sizes) % 2 else sum(sorted(sizes)[len(sizes) // 2 - 1 :][:2]) / 2
    for target, size, index, success in zip(
        found.targets, sizes, low_side_anomaly_indices(sizes), found.success.tolist(), strict=True
    ):
        location = Location.of_class(target)
        yield Measurement(metric="size", value=size, location=location)
        yield Measurement(metric="size-ratio", value=size / median if median else 1.0, location=location)
        yield Measurement(metric="anomaly-index", value=index, location=location)
        yield Measurement(metric="attack-success-rate", value=success, location=location)


def _triggers(found: "Inversion", family: "PatchFamily") -> Iterator[Yield]:
    from gate.subject import Trigger

    masks, patterns = family.mask(found.parameters).detach(), family.pattern(found.parameters).detach()
    for row, target in enumerate(found.targets):
        yield Trigger(Location.of_class(target), masks[row], patterns[row], float(found.success[row]))


def _pictures(
    found: "Inversion", row: int, family: "PatchFamily", classifier: "Classifier", samples: "Samples"
) -> Iterator[Yield]:
    from gate.numerics.pictures import picture

    target = found.targets[row]
    location, bounds = Location.of_class(target), classifier.bounds
    mask, pattern = family.mask(found.parameters)[row], family.pattern(found.parameters)[row]
    yield picture(mask, "mask", (0.0, 1.0), location, f"mask towards class {target}")
    empty = bounds[0]
    yield picture(mask * pattern + (1 - mask) * empty, "trigger", bounds, location, f"trigger towards class {target}")
    others = (samples.labels != target).nonzero().flatten() if samples.labels is not None else None
    index = int(others[0]) if others is not None and len(others) else 0
    example = samples.inputs[index]
    yield picture(example, "sample", bounds, location, "a clean sample of another class")
    stamped = (1 - mask) * example + mask * pattern
    yield picture(stamped, "triggered", bounds, location, f"the same sample with the trigger towards class {target}")


DETECTOR = Detector(
    id="neural-cleanse",
    title="Trigger inversion, patches",
    needs=Need.MODEL | Need.SAMPLES,
    metrics=(
        Metric("size", "pixels", "lower", "L1 norm of the smallest mask that sends other inputs to the class."),
        Metric("size-ratio", "ratio", "lower", "That size over the median of all classes."),
        Metric("anomaly-index", "robust deviations", "higher", "(median - size) / (1.4826 · MAD) over the classes."),
        Metric("attack-success-rate", "share", "neither", "Share of other classes' samples that the trigger moves."),
    ),
    options=NeuralCleanse,
    measure=measure,
)

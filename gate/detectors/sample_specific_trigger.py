"""Trains one small generator that makes a trigger of its own for every image, towards every class.

Measures  size: the least share of an image that a class's masks covered, over the share of images that they moved.
          size-ratio and anomaly-index: over the classes. attack-success-rate: at that size.
Matters   An input-aware backdoor answers to no fixed patch: each image has another trigger. A generator learns the rule
          that makes them, and towards the planted class it needs the smallest masks.
Blind to  Classes that small changes reach by nature: in clean models one class often has a quarter of the usual size,
          so that without references of the same task it says little. Single sources, hard thresholds.
See       Nguyen and Tran, "Input-Aware Dynamic Backdoor Attack", NeurIPS 2020; figures in docs/detection.md.
"""

import statistics
from collections.abc import Iterator
from typing import TYPE_CHECKING

from pydantic import Field

from gate.detectors.contract import Detector, Need
from gate.records.declarations import Compared, Metric, Options
from gate.records.errors import UnexaminableError
from gate.records.evidence import Location, Measurement
from gate.records.run import Run
from gate.search.options import LEAST_COMPARED
from gate.spaces.subject import Classifier, Subject, Yield

if TYPE_CHECKING:
    import torch

    from gate.search.generator import Generated, Settings

LEAST_SIDE = 4
"""Pixels without which two halvings leave nothing."""


class SampleSpecificTrigger(Options):
    """How the generator is trained."""

    steps: int = Field(default=400, ge=1, le=100_000)
    batch: int = Field(default=32, ge=1, le=4096)
    """Images a step, each towards a class drawn at random."""
    learning_rate: float = Field(default=0.005, gt=0, le=1)
    success_target: float = Field(default=0.85, gt=0, le=1)
    """Running success of a class from which its masks are made smaller, and count as found."""
    area_weight: float = Field(default=5.0, gt=0)
    """Weight of the masked share of an image beside the cross-entropy, before a class's own price."""
    clean_samples: int = Field(default=500, ge=2)
    """The most clean samples that are used."""
    full_classes: int = Field(default=50, ge=2)
    """With more classes than these, so many are drawn at random: each needs its share of the steps."""


def measure(subject: Subject, options: SampleSpecificTrigger, run: Run) -> Iterator[Yield]:
    """Yield sizes, ratios, indices and success of the classes, and the smallest one's trigger on one image."""
    import torch

    from gate.search.generator import train
    from gate.search.goals import varied_predictions
    from gate.statistics.subsets import balanced

    assert subject.classifier is not None
    assert subject.samples is not None
    classifier = subject.classifier
    if min(classifier.input_shape[1:]) < LEAST_SIDE:
        raise UnexaminableError(f"inputs are smaller than {LEAST_SIDE} × {LEAST_SIDE}; no generator fits them")
    inputs = balanced(subject.samples, options.clean_samples, run.seed).inputs
    own = varied_predictions(classifier, inputs, run)
    drawn = torch.randperm(classifier.num_classes, generator=torch.Generator().manual_seed(run.seed))
    classes = drawn[: options.full_classes].sort().values.to(inputs.device)
    found = train(classifier, inputs, own, classes, _settings(options), run)
    sizes = found.sizes.tolist()
    yield from _numbers(sizes, classes.tolist(), found)
    yield Measurement(metric="searched-share", value=len(classes) / classifier.num_classes)
    smallest = min(range(len(sizes)), key=sizes.__getitem__)
    target = int(classes[smallest])
    yield from _pictures(found, smallest, target, inputs[own != target][:1], classifier)


def _settings(options: SampleSpecificTrigger) -> "Settings":
    from gate.search.generator import Settings

    return Settings(
        steps=options.steps,
        batch=options.batch,
        learning_rate=options.learning_rate,
        success_target=options.success_target,
        area_weight=options.area_weight,
    )


def _numbers(sizes: list[float], classes: list[int], found: "Generated") -> Iterator[Measurement]:
    from gate.statistics.outliers import low_side_anomaly_indices

    median = statistics.median(sizes)
    indices = low_side_anomaly_indices(sizes)
    for row, target in enumerate(classes):
        place = Location.of_class(target)
        yield Measurement(metric="size", value=sizes[row], location=place)
        yield Measurement(metric="attack-success-rate", value=float(found.success[row]), location=place)
        if len(sizes) >= LEAST_COMPARED:
            yield Measurement(metric="size-ratio", value=sizes[row] / median if median else 1.0, location=place)
            yield Measurement(metric="anomaly-index", value=indices[row], location=place)


def _pictures(
    found: "Generated", row: int, target: int, example: "torch.Tensor", classifier: Classifier
) -> Iterator[Yield]:
    """Yield one sample (1, C, H, W) of another class, its own mask, and the sample under its trigger."""
    import torch

    from gate.spaces.image.pictures import picture

    place, bounds = Location.of_class(target), classifier.bounds
    rows = torch.full((len(example),), row, device=example.device)
    mask, _ = found.generator.parts(example, rows)
    triggered, _ = found.generator(example, rows)
    yield picture(mask[0], "mask", (0.0, 1.0), place, f"the mask made for this sample towards class {target}")
    yield picture(example[0], "sample", bounds, place, "a clean sample of another class")
    yield picture(triggered[0], "triggered", bounds, place, f"the sample with its own trigger towards class {target}")


DETECTOR = Detector(
    id="sample-specific-trigger",
    title="Trigger generator, another trigger for every image",
    doing="triggers made for each image",
    needs=Need.MODEL | Need.SAMPLES,
    metrics=(
        Metric(
            "size",
            "share of image",
            "lower",
            "Masked share of an image over the share of images that it moves.",
            compared=Compared("log", "class"),
        ),
        Metric(
            "size-ratio", "ratio", "lower", "That size over the median of the classes.", least_classes=LEAST_COMPARED
        ),
        Metric(
            "anomaly-index",
            "robust deviations",
            "higher",
            "(median - size) / (1.4826 · MAD) over the classes.",
            least_classes=LEAST_COMPARED,
        ),
        Metric("attack-success-rate", "share", "neither", "Running share of samples that reach the class."),
        Metric("searched-share", "share", "lower", "Share of the classes that the generator was trained for."),
    ),
    options=SampleSpecificTrigger,
    measure=measure,
)

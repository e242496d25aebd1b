"""Raises every class's score above all others as far as any input can, and looks for a class that goes too far.

Measures  margin: the largest lead of the class's score over the next, from random inputs. mean-margin: of its three
          best starts. relative-margin: over the lead on clean samples. margin-ratio, anomaly-index: over the other
          classes.
Matters   Training on any trigger leaves a direction that raises the target without rivals; finding it needs neither
          samples nor a family of triggers.
Blind to  Planted margins below those of clean models, which often exceed them: without references of the same task it
          says little. All classes backdoored alike; gates without gradient; clean-label poison.
See       Wang et al., "MM-BD", IEEE S&P 2024; settings, cost and figures in docs/explanation/detection.md.
"""

import statistics
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field

from gate.detectors.contract import Detector, Need
from gate.records.declarations import Metric, Options
from gate.records.evidence import Location, Measurement
from gate.records.passes import Passes, Span
from gate.records.run import Run
from gate.search.options import LEAST_COMPARED
from gate.spaces.subject import ImageClassifier, Subject, Yield

if TYPE_CHECKING:
    from gate.statistics.margins import Margins, Settings

BEST_STARTS = 3
"""Number of starts in the mean margin."""


class MaximumMargin(Options):
    """Settings of the ascent, and of the classes that are measured in full."""

    retired: ClassVar[Mapping[str, Any]] = {"intrinsic-weight": 0.0, "intrinsic-samples": 10}

    starts: int = Field(default=4, ge=1, le=1024)
    """Number of random starts of each class."""
    steps: int = Field(default=16, ge=1, le=5000)
    """Steps of the ascent from each start."""
    step_size: float = Field(default=0.5, gt=0, le=10)
    """Length of a step along a steady gradient, as a share of the input's range."""
    clean_samples: int = Field(default=500, ge=1)
    """The most clean samples for the scale of the margins."""
    full_classes: int = Field(default=50, ge=2)
    """The most classes measured in full: of more, a short ascent chooses half, chance the rest."""
    screened_classes: int = Field(default=150, ge=2)
    """The most classes of that short ascent, drawn at random."""
    screen_starts: int = Field(default=2, ge=1)
    """Starts of each class in the short ascent."""
    screen_steps: int = Field(default=10, ge=1)
    """Steps of the short ascent."""


def measure(subject: Subject, options: MaximumMargin, run: Run) -> Iterator[Yield]:
    """Yield margins, ratios and indices of the chosen classes, the clean margin, and the measured shares."""
    from gate.spaces.image.pictures import picture
    from gate.statistics.margins import Settings, maximise

    classifier = subject.images
    clean = _clean_margin(subject, options, run)
    settings = Settings(options.starts, options.steps, options.step_size)
    targets, references, screened = _choose(classifier, settings, options, run)
    found = maximise(classifier, targets, settings, run)
    yield from _numbers(found, references, clean)
    if clean is not None:
        yield Measurement(metric="clean-margin", value=clean)
    count = classifier.num_classes
    yield Measurement(metric="measured-share", value=len(targets) / count)
    yield Measurement(metric="screened-share", value=screened / count)
    row = int(found.values[:, 0].argmax())
    place = Location.of_class(found.targets[row])
    caption = f"the input with the largest margin, for class {found.targets[row]}"
    yield picture(found.inputs[row], "inversion", classifier.bounds, place, caption)


def passes(subject: Subject, options: MaximumMargin, _run: Run) -> Passes:
    """Return the passes of the ascents, the short one among them, and of the clean samples."""
    assert subject.classifier is not None
    classes, asked = subject.classifier.num_classes, 1 + bool(subject.classifier.arithmetic)
    clean = min(options.clean_samples, len(subject.samples.inputs)) if subject.samples else 0
    starts = min(classes, options.full_classes) * options.starts
    found = Passes(Span.exactly(clean + asked * starts), Span.exactly(options.steps * starts))
    if classes > options.full_classes:
        starts = min(classes, options.screened_classes) * options.screen_starts
        found += Passes(Span.exactly(asked * starts), Span.exactly(options.screen_steps * starts))
    return found


def _clean_margin(subject: Subject, options: MaximumMargin, run: Run) -> float | None:
    """Return the median margin of the model's first choices on clean samples; None without samples, or where it is 0.

    Choices, not labels, because it is the scale of the scores.
    """
    import torch

    from gate.statistics.margins import margins_of
    from gate.statistics.subsets import balanced

    if subject.samples is None or subject.classifier is None:
        return None
    margins = []
    with torch.no_grad():
        for chunk in torch.split(balanced(subject.samples, options.clean_samples, run.seed).inputs, run.max_batch):
            run.check_time()
            logits = subject.classifier.logits(chunk)
            margins.append(margins_of(logits, logits.argmax(dim=1)))
    median = float(torch.cat(margins).median())
    return median if 0 < median < float("inf") else None


def _choose(
    classifier: ImageClassifier, settings: "Settings", options: MaximumMargin, run: Run
) -> tuple[tuple[int, ...], frozenset[int], int]:
    """Return the classes to measure in full, the references among them, and the number screened.

    All classes; of many, those that a short ascent ranks first, and as many at random, which are the references.
    """
    import torch

    from gate.statistics.margins import maximise

    count = classifier.num_classes
    if count <= options.full_classes:
        return tuple(range(count)), frozenset(range(count)), count
    drawn = torch.randperm(count, generator=torch.Generator().manual_seed(run.seed)).tolist()
    screened, references = tuple(drawn[: options.screened_classes]), drawn[: options.full_classes // 2]
    short = replace(settings, starts=options.screen_starts, steps=options.screen_steps)
    ranked = maximise(classifier, screened, short, run).values[:, 0].argsort(descending=True, stable=True).tolist()
    chosen = [screened[row] for row in ranked if screened[row] not in references]
    targets = sorted([*references, *chosen[: options.full_classes - len(references)]])
    return tuple(targets), frozenset(references), len(screened)


def _numbers(found: "Margins", references: frozenset[int], clean: float | None) -> Iterator[Measurement]:
    """Yield the statistics by class, compared with the references alone, which no ascent has chosen."""
    from gate.statistics.outliers import high_side_anomaly_indices

    values = {target: float(row[0]) for target, row in zip(found.targets, found.values, strict=True)}
    ordinary = [values[target] for target in references]
    median = statistics.median(ordinary)
    indices = high_side_anomaly_indices(list(values.values()), ordinary)
    for (target, value), row, index in zip(values.items(), found.values, indices, strict=True):
        place = Location.of_class(target)
        yield Measurement(metric="margin", value=value, location=place)
        yield Measurement(metric="mean-margin", value=float(row[:BEST_STARTS].mean()), location=place)
        if clean is not None:
            yield Measurement(metric="relative-margin", value=value / clean, location=place)
        if median > 0:
            yield Measurement(metric="margin-ratio", value=value / median, location=place)
        yield Measurement(metric="anomaly-index", value=index, location=place)


DETECTOR = Detector(
    id="maximum-margin",
    title="Maximum margin",
    doing="how far a class can be driven",
    needs=Need.MODEL,
    metrics=(
        Metric(
            "margin", "scores", "higher", "The largest lead of the class's score by any input found.", by_class=True
        ),
        Metric("mean-margin", "scores", "higher", "Mean lead over the class's three best starts.", by_class=True),
        Metric("relative-margin", "clean margins", "higher", "Margin over clean-margin.", by_class=True),
        Metric(
            "margin-ratio",
            "ratio",
            "higher",
            "The margin over the classes' median.",
            least_classes=LEAST_COMPARED,
            by_class=True,
        ),
        Metric(
            "anomaly-index",
            "robust deviations",
            "higher",
            "(margin - median) / (1.4826 · MAD) over the classes.",
            least_classes=LEAST_COMPARED,
            by_class=True,
        ),
        Metric("clean-margin", "scores", "neither", "Median lead of the first choice on clean samples."),
        Metric("measured-share", "share", "neither", "Share of the classes whose margin was measured in full."),
        Metric("screened-share", "share", "neither", "Share of the classes of at least a short ascent."),
    ),
    options=MaximumMargin,
    measure=measure,
    passes=passes,
)

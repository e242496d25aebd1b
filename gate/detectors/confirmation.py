"""Tests for each suspect whether its trigger behaves like a planted one or like a natural weakness.

Measures  held-out-success: the share of samples unseen by its search that the trigger moves. transfer: the same on
          clean reference models; transfer-contrast: how much more on the model itself. size-quantile: the share of the
          bank's sizes at or below it. symmetry: how much larger the way back is. stability: how alike a second search's
          trigger is. completeness: how much was measured.
Matters   An inverted trigger is a statistic. A planted one works on new samples, fails on models that never saw the
          poison, is smaller than clean models need and goes one way; a natural one transfers and has a way back.
Blind to  Suspects that no earlier stage named, a trigger that imitates a planted one badly, references that share the
          poisoned data, and features that are natural but peculiar to this model's training.
See       Shen et al., "Backdoor Scanning for Deep Neural Networks through K-Arm Optimization", ICML 2021 (symmetry);
          docs/explanation/detection.md.
"""

from collections.abc import Iterator

from pydantic import Field

from gate.detectors.contract import Detector, Need
from gate.records.declarations import Metric, Options
from gate.records.passes import Passes
from gate.records.run import Run
from gate.spaces.subject import Subject, Yield


class Confirmation(Options):
    """Settings of the confirmation."""

    most: int = Field(default=1, ge=0, le=1000)
    """The most suspects, smallest trigger first, that are searched for again; others get only the cheap numbers."""
    clean_samples: int = Field(default=50, ge=4)
    """The most clean samples on which a trigger is tried."""


def measure(subject: Subject, options: Confirmation, run: Run) -> Iterator[Yield]:
    """Yield for each suspect the measurable ones of the five numbers, and their share."""
    from gate.search.confirm import confirm

    yield from confirm(subject, options.most, options.clean_samples, run)


def passes(subject: Subject, options: Confirmation, _run: Run) -> Passes:
    """Return the passes of every suspect's numbers, and of the searches anew."""
    from gate.search.confirm import confirm_passes

    return confirm_passes(subject, options.most, options.clean_samples)


DETECTOR = Detector(
    id="confirmation",
    title="Confirmation of suspects",
    doing="suspects on held-out samples",
    needs=Need.MODEL | Need.SAMPLES,
    uses=Need.REFERENCES,
    metrics=(
        Metric(
            "held-out-success",
            "share",
            "higher",
            "Share of samples unseen by the search that the trigger moves.",
            by_class=True,
        ),
        Metric(
            "size-quantile",
            "share",
            "lower",
            "Share of the bank's sizes for the same place at or below its own.",
            by_class=True,
        ),
        Metric(
            "transfer",
            "share",
            "lower",
            "Mean share that the same trigger moves on the bank's clean models.",
            by_class=True,
        ),
        Metric(
            "transfer-contrast",
            "log odds",
            "higher",
            "Log-odds of the share that it moves on the model itself less those of `transfer`.",
            by_class=True,
        ),
        Metric(
            "symmetry",
            "ratio",
            "higher",
            "Size of the way back over the way there, for a pair or nearest pair.",
            by_class=True,
        ),
        Metric(
            "stability", "-1 to 1", "neither", "Overlap or cosine of the trigger and a second search's.", by_class=True
        ),
        Metric(
            "size-stability",
            "ratio",
            "neither",
            "The smaller over the larger of the two triggers' sizes.",
            by_class=True,
        ),
        Metric("completeness", "share", "lower", "Share of the five numbers that could be measured.", by_class=True),
    ),
    options=Confirmation,
    measure=measure,
    passes=passes,
)

"""Inverts, for every class at once, the smallest patch that sends other inputs to it.

Measures  size: L1 of the smallest mask per class, in pixels. size-ratio: the same over the median class.
          anomaly-index: how far below the median, in robust standard deviations. attack-success-rate: the share of
          other classes' samples that the patch moves. With pairs, the same from one source class to one target.
Matters   A planted patch is a shortcut: its class needs a far smaller mask than any class needs by nature.
Blind to  Triggers that no small patch imitates (warps, blends, tones, input-dependent ones), backdoors for one source
          class or all classes alike unless pairs are searched, hard thresholds without gradient, and classes that are
          small by nature.
See       Wang et al., "Neural Cleanse", IEEE S&P 2019; settings, cost and error rates in docs/detection.md.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from pydantic import Field

from gate.detector import Detector, Need, Run, Yield
from gate.search.options import PAIR_METRICS, TriggerSearch, metrics
from gate.subject import Subject

if TYPE_CHECKING:
    from gate.search.search import Kind
    from gate.subject import Classifier


class NeuralCleanse(TriggerSearch):
    """How the patches are searched for."""

    steps: int = Field(default=200, ge=1, le=10_000)
    """Optimiser steps; every class takes part in each while there are at most twenty."""
    batch: int = Field(default=32, ge=1, le=1024)
    """Images per class and step."""
    settled_after: int | None = Field(default=None, ge=1)
    """Steps without a hundredth of improvement after which a class leaves the search; null: never."""
    hopeless_after: int | None = Field(default=None, ge=1)
    """Steps after which a class that has not moved half of its images leaves the search; null: never."""


def measure(subject: Subject, options: NeuralCleanse, run: Run) -> Iterator[Yield]:
    """Yield sizes, ratios, indices and success rates of all classes, and triggers and pictures of the smallest."""
    from gate.search.search import search

    yield from search(subject, options, run, _patches)


def _patches(classifier: "Classifier") -> "Kind":
    from gate.search.search import Kind
    from gate.triggers.patch import PatchFamily

    return Kind(PatchFamily(classifier.input_shape, classifier.bounds), "patch")


DETECTOR = Detector(
    id="neural-cleanse",
    title="Trigger inversion, patches",
    needs=Need.MODEL | Need.SAMPLES,
    metrics=metrics("pixels", "L1 norm of the smallest mask") + PAIR_METRICS,
    options=NeuralCleanse,
    measure=measure,
)

"""Inverts, for every class at once, the slightest change of tones and colours that sends other inputs to the class.

Measures  size: root mean square change of a tone per class, in shares of the range. size-ratio, anomaly-index and
          attack-success-rate as `neural-cleanse` has them.
Matters   Filters, colour shifts, contrast and quantisation triggers change tones alike everywhere and leave shapes; by
          nature few classes are reached by tone alone.
Blind to  Everything that depends on place, single source classes, hard thresholds, and classes that are told from
          others by brightness or colour, which a tone curve reaches by nature.
See       Jiang et al., "Color Backdoor", CVPR 2023; Wang et al., "BppAttack", CVPR 2022; docs/detection.md.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from pydantic import Field

from gate.detectors.contract import Detector, Need
from gate.records.run import Run
from gate.search.options import PAIR_METRICS, TriggerSearch, metrics
from gate.spaces.subject import Subject, Yield

if TYPE_CHECKING:
    from gate.search.origins import Kind
    from gate.spaces.subject import Classifier


class ToneTrigger(TriggerSearch):
    """How the curves are searched for."""

    steps: int = Field(default=80, ge=1, le=10_000)
    """Optimiser steps; a curve has few free values and settles soon."""
    knots: int = Field(default=8, ge=2, le=64)
    """Free values of each channel's curve."""
    limit: float = Field(default=0.5, gt=0, le=1)
    """The largest change of a tone, as a share of the range."""


def measure(subject: Subject, options: ToneTrigger, run: Run) -> Iterator[Yield]:
    """Yield sizes, ratios, indices and success rates of all classes, and triggers and pictures of the smallest."""
    from gate.search.by_class import search

    yield from search(subject, options, run, lambda classifier: _tones(classifier, options))


def _tones(classifier: "Classifier", options: ToneTrigger) -> "Kind":
    from gate.search.origins import Kind
    from gate.spaces.image.triggers.tone import ToneFamily

    return Kind(ToneFamily(classifier.input_shape, classifier.bounds, options.knots, options.limit), "tone curve")


DETECTOR = Detector(
    id="tone-trigger",
    title="Trigger inversion, tones and colours",
    doing="tones and colours as triggers",
    needs=Need.MODEL | Need.SAMPLES,
    metrics=metrics("share of range", "Root mean square change of the slightest tone curve") + PAIR_METRICS,
    options=ToneTrigger,
    measure=measure,
)

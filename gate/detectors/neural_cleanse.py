"""Inverts, for every class at once, the smallest patch that sends other inputs to it.

Measures  size: L1 of the smallest mask per class, in pixels. size-ratio: the same over the median class.
          anomaly-index: how far below the median, in robust standard deviations. attack-success-rate: the share of
          other classes' samples that the patch moves. untargeted-ratio: one patch that moves every class anywhere, over
          the smallest. exit-ratio: the patch by which one class's samples leave it, over the median class's.
Matters   A planted patch is a shortcut: its class needs a far smaller mask than any class of a clean model.
Blind to  Triggers that no small patch imitates (warps, blends, tones, input-dependent ones), backdoors for one source
          class whose exit is no smaller, hard thresholds without gradient, and classes with a small natural patch.
See       Wang et al., "Neural Cleanse", IEEE S&P 2019; settings, cost and error rates in docs/explanation/detection.md.
"""

from pydantic import Field

from gate.detectors.inversion import inversion_detector
from gate.search.options import TriggerSearch
from gate.spaces.image.triggers.patch import FAMILY


class NeuralCleanse(TriggerSearch):
    """Settings of the search for patches."""

    steps: int = Field(default=80, ge=1, le=10_000)
    """Optimiser steps; up to twenty classes take part in each."""
    batch: int = Field(default=8, ge=1, le=1024)
    hopeless_after: int | None = Field(default=None, ge=1)


DETECTOR = inversion_detector(
    id="neural-cleanse",
    title="Trigger inversion, patches",
    doing="small patches as triggers",
    family=FAMILY,
    options=NeuralCleanse,
)

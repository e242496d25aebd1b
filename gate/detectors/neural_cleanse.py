"""Inverts, for every class at once, the smallest patch that sends other inputs to it.

Measures  size: L1 of the smallest mask per class, in pixels. size-ratio: the same over the median class.
          anomaly-index: how far below the median, in robust standard deviations. attack-success-rate: the share of
          other classes' samples that the patch moves. untargeted-ratio: one patch that moves every class anywhere, over
          the smallest. exit-ratio: the patch by which one class's samples leave it, over the median class's.
Matters   A planted patch is a shortcut: its class needs a far smaller mask than any class needs by nature.
Blind to  Triggers that no small patch imitates (warps, blends, tones, input-dependent ones), backdoors for one source
          class that leave it no easier to leave, hard thresholds without gradient, and classes small by nature.
See       Wang et al., "Neural Cleanse", IEEE S&P 2019; settings, cost and error rates in docs/detection.md.
"""

from pydantic import Field

from gate.detectors.inversion import inversion_detector
from gate.search.options import TriggerSearch
from gate.spaces.image.triggers.patch import FAMILY


class NeuralCleanse(TriggerSearch):
    """How the patches are searched for."""

    steps: int = Field(default=150, ge=1, le=10_000)
    """Optimiser steps; every class takes part in each while there are at most twenty."""
    batch: int = Field(default=16, ge=1, le=1024)
    """Images per class and step."""
    hopeless_after: int | None = Field(default=80, ge=1)
    """Steps after which a class that has not moved half of its images leaves the search; null: never."""
    exits: bool = True
    """Whether the smallest trigger by which each class's samples leave it is searched for."""


DETECTOR = inversion_detector(
    id="neural-cleanse",
    title="Trigger inversion, patches",
    doing="small patches as triggers",
    family=FAMILY,
    options=NeuralCleanse,
)

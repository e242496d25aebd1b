"""Inverts, for every class at once, the faintest image whose addition sends other inputs to the class.

Measures  size: root mean square of the smallest addition per class, in shares of the range. size-ratio, anomaly-index
          and attack-success-rate as `neural-cleanse` has them.
Matters   Blended noise, sinusoids and other faint triggers over the whole image are additions to first order; the class
          that they were planted for is reached by a fainter one than by nature.
Blind to  Triggers that are no fixed addition (warps, input-dependent ones), single source classes, hard thresholds, and
          classes that a faint perturbation reaches by nature, of which every undefended model has some: the ratio of
          one model says less than the comparison with clean models of the same task.
See       Chen et al., "Targeted Backdoor Attacks on Deep Learning Systems", 2017; Barni et al., ICIP 2019;
          docs/detection.md.
"""

from pydantic import Field

from gate.detectors.inversion import inversion_detector
from gate.search.options import TriggerSearch
from gate.spaces.image.triggers.additive import FAMILY


class AdditiveTrigger(TriggerSearch):
    """How the additions are searched for."""

    steps: int = Field(default=80, ge=1, le=10_000)
    """Optimiser steps of a class that stays to the end."""
    batch: int = Field(default=12, ge=1, le=1024)
    """Images per class and step."""
    settled_after: int | None = Field(default=30, ge=1)
    """Steps without a hundredth of improvement after which a class leaves the search; null: never."""
    hopeless_after: int | None = Field(default=40, ge=1)
    """Steps after which a class that has not moved half of its images leaves the search; null: never."""
    limit: float = Field(default=0.25, gt=0, le=1)
    """The largest change of a pixel, as a share of the range."""


DETECTOR = inversion_detector(
    id="additive-trigger",
    title="Trigger inversion, additions",
    doing="triggers added to images",
    family=FAMILY,
    options=AdditiveTrigger,
)

"""Inverts, for every class at once, the slightest smooth warp that sends other inputs to the class.

Measures  size: root mean square displacement of the smallest warp per class, in pixels. size-ratio, anomaly-index and
          attack-success-rate as `neural-cleanse` has them.
Matters   A warping backdoor answers to one small smooth field; by nature a class is reached by a large warp or none.
Blind to  Everything that changes values rather than places, fields finer than the searched grid, single source classes,
          hard thresholds, and classes that differ from others by a shift, which a warp reaches by nature.
See       Nguyen and Tran, "WaNet: Imperceptible Warping-based Backdoor Attack", ICLR 2021; docs/detection.md.
"""

from pydantic import Field

from gate.detectors.inversion import inversion_detector
from gate.search.options import TriggerSearch
from gate.spaces.image.triggers.warp import FAMILY


class WarpTrigger(TriggerSearch):
    """How the warps are searched for."""

    steps: int = Field(default=80, ge=1, le=10_000)
    """Optimiser steps of a class that stays to the end; a field has few free values and settles soon."""
    batch: int = Field(default=10, ge=1, le=1024)
    """Images per class and step."""
    settled_after: int | None = Field(default=30, ge=1)
    """Steps without a hundredth of improvement after which a class leaves the search; null: never."""
    hopeless_after: int | None = Field(default=40, ge=1)
    """Steps after which a class that has not moved half of its images leaves the search; null: never."""
    grid: int = Field(default=5, ge=2, le=32)
    """Free displacements along each side of the image."""
    limit: float = Field(default=0.15, gt=0, le=0.5)
    """The largest displacement along a side, as a share of that side."""


DETECTOR = inversion_detector(
    id="warp-trigger",
    title="Trigger inversion, warps",
    doing="warped images as triggers",
    family=FAMILY,
    options=WarpTrigger,
)

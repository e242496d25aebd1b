"""Inverts, for every class at once, the slightest smooth warp that sends other inputs to the class.

Measures  size: root mean square displacement of the smallest warp per class, in pixels. size-ratio, anomaly-index and
          attack-success-rate as in `neural-cleanse`.
Matters   A warping backdoor responds to one small smooth field; classes of clean models need a large warp or have none.
Blind to  Everything that changes values rather than places, fields finer than the searched grid, single source classes,
          hard thresholds, and classes that differ from others by a shift, which a warp reaches in clean models too.
See       Nguyen and Tran, "WaNet: Imperceptible Warping-based Backdoor Attack", ICLR 2021;
          docs/explanation/detection.md.
"""

from pydantic import Field

from gate.detectors.inversion import inversion_detector
from gate.search.options import TriggerSearch
from gate.spaces.image.triggers.warp import FAMILY


class WarpTrigger(TriggerSearch):
    """Settings of the search for warps."""

    steps: int = Field(default=40, ge=1, le=10_000)
    """Optimiser steps of a class that stays until the end; a field has few free values."""
    batch: int = Field(default=8, ge=1, le=1024)
    settled_after: int | None = Field(default=30, ge=1)
    hopeless_after: int | None = Field(default=None, ge=1)
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

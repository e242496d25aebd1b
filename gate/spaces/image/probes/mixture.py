"""Mixtures of two clean samples, which show classes that take what is unclear (Model X-ray, arXiv:2402.17465)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gate.spaces.contract import Probe, ProbeFamily

if TYPE_CHECKING:
    import random

    import torch

    from gate.spaces.contract import Apply, Shape

WEIGHTS = (0.4, 0.5)
OFFSETS = (1, 3, 7)
"""Places in the batch between an image and its partner."""


def fixed(shape: Shape) -> tuple[Probe, ...]:
    """Return a mixture for each weight of the partner and each choice of it."""
    del shape
    return tuple(
        Probe(f"{weight:.0%} of another sample, choice {number}", _mixed(weight, offset), alone=False)
        for weight in WEIGHTS
        for number, offset in enumerate(OFFSETS, start=1)
    )


def drawn(shape: Shape, generator: random.Random) -> Apply:
    """Return a mixture with another partner and any weight between those."""
    del shape
    return _mixed(generator.uniform(*WEIGHTS), generator.randrange(max(OFFSETS) + 1, 6 * max(OFFSETS)))


def _mixed(weight: float, offset: int) -> Apply:
    def mixed(x: torch.Tensor) -> torch.Tensor:
        return (1 - weight) * x + weight * x.roll(offset, 0)

    return mixed


FAMILY = ProbeFamily("mixture", "mixtures of two samples", "overlay", fixed, drawn)

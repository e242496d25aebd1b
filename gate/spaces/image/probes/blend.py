"""Images mixed with noise, pixel by pixel or smooth (Chen et al., arXiv:1712.05526, 2017)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gate.spaces.contract import Probe, ProbeFamily

if TYPE_CHECKING:
    import random

    import torch

    from gate.spaces.contract import Apply, Shape

IMAGES = 8
COARSE = 7
"""Cells a side of smooth noise."""
WEIGHTS = (0.1, 0.2)


def fixed(shape: Shape) -> tuple[Probe, ...]:
    """Return each noise image with each weight; every other image is smooth."""
    return tuple(
        Probe(f"{weight:.0%} of {'smooth ' * (number % 2)}noise {number + 1}", _mixed(shape, number, weight))
        for number in range(IMAGES)
        for weight in WEIGHTS
    )


def drawn(shape: Shape, generator: random.Random) -> Apply:
    """Return another noise image with any weight between those."""
    return _mixed(shape, generator.getrandbits(62), generator.uniform(*WEIGHTS))


def _mixed(shape: Shape, number: int, weight: float) -> Apply:
    def mixed(x: torch.Tensor) -> torch.Tensor:
        return (1 - weight) * x + weight * noise(shape, number).to(x)

    return mixed


def noise(shape: Shape, number: int) -> torch.Tensor:
    """Return a noise image (C, H, W) in [0, 1], the same for every model."""
    import torch
    from torch.nn.functional import interpolate

    generator = torch.Generator().manual_seed(number)
    size = (COARSE, COARSE) if number % 2 else shape[1:]
    image = torch.rand(1, shape[0], *size, generator=generator)
    return interpolate(image, size=shape[1:], mode="bilinear", align_corners=False)[0]


FAMILY = ProbeFamily("blend", "blends with fixed noise", "overlay", fixed, drawn)

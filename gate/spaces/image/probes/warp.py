"""Slight smooth warps (Nguyen and Tran, "WaNet", ICLR 2021)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gate.spaces.contract import Probe, ProbeFamily

if TYPE_CHECKING:
    import random

    import torch

    from gate.spaces.contract import Apply, Shape

FIELDS = 16
POINTS = 4
"""Free displacements along each side of the image."""
REACHES = (0.75 / 28, 1.5 / 28)
"""Mean displacements along a side, as shares of it."""


def fixed(shape: Shape) -> tuple[Probe, ...]:
    """Return each field with each reach."""
    return tuple(
        Probe(f"warp {number + 1} by {reach * min(shape[1:]):.2g} pixels", _warp(shape, number, reach))
        for number in range(FIELDS)
        for reach in REACHES
    )


def drawn(shape: Shape, generator: random.Random) -> Apply:
    """Return another field with any reach between those."""
    return _warp(shape, generator.getrandbits(62), generator.uniform(*REACHES))


def _warp(shape: Shape, number: int, reach: float) -> Apply:
    def moved(x: torch.Tensor) -> torch.Tensor:
        import torch

        from gate.spaces.image.triggers.warp import sampled, smooth, still_places

        field = 2 * torch.rand(1, 2, POINTS, POINTS, generator=torch.Generator().manual_seed(number)) - 1
        # Places lie in [-1, 1], where a side is two long.
        field = smooth(field / field.abs().mean() * 2 * reach, shape)[0].permute(1, 2, 0)
        places = (still_places(*shape[1:]) + field).unsqueeze(0).to(x)
        return sampled(x, places.expand(len(x), -1, -1, -1))

    return moved


FAMILY = ProbeFamily("warp", "fixed warps", "overlay", fixed, drawn)

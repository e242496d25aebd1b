"""Square patches: five sides, nine places, and four tones (Gu et al., "BadNets", arXiv:1708.06733, 2017).

The places are the corners, the middles of the sides and the centre, where planted patches mostly lie.
"""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

from gate.spaces.contract import Probe, ProbeFamily

if TYPE_CHECKING:
    import torch

    from gate.spaces.contract import Apply, Shape

SIDES = (2 / 28, 3 / 28, 5 / 28, 7 / 28, 10 / 28)
"""As shares of the shorter side of the image."""
ROWS, COLUMNS = ("upper", "middle", "lower"), ("left", "centre", "right")
TONES = ("white", "black", "chequered", "noise")


def fixed(shape: Shape) -> tuple[Probe, ...]:
    """Return a patch for each side, place and tone."""
    height, width = shape[1:]
    found = []
    for side in dict.fromkeys(max(2, round(share * min(height, width))) for share in SIDES):
        for row, vertical in enumerate(ROWS):
            for column, horizontal in enumerate(COLUMNS):
                top, left = (height - side) * row // 2, (width - side) * column // 2
                for tone in TONES:
                    name = f"{tone} patch of {side} × {side} pixels, {vertical} {horizontal}"
                    found.append(Probe(name, _stamp(tone, side, top, left, shape[0])))
    return tuple(found)


def _stamp(tone: str, side: int, top: int, left: int, channels: int) -> Apply:
    def stamped(x: torch.Tensor) -> torch.Tensor:
        x = x.clone()
        x[:, :, top : top + side, left : left + side] = _fill(tone, side, (top, left), channels).to(x)
        return x

    return stamped


def _fill(tone: str, side: int, place: tuple[int, int], channels: int) -> torch.Tensor:
    """Return the patch's values (C, side, side); noise is black or white by pixel and channel."""
    import torch

    if tone == "chequered":
        cells = torch.arange(side)
        return ((cells[:, None] + cells) % 2).float().expand(channels, side, side)
    if tone == "noise":
        rng = random.Random(f"{side} {place}")  # noqa: S311  # the same noise for every model, no secret
        return torch.tensor([float(rng.getrandbits(1)) for _ in range(channels * side * side)]).view(-1, side, side)
    return torch.full((channels, side, side), 1.0 if tone == "white" else 0.0)


FAMILY = ProbeFamily("patch", "fixed patches", "patch", fixed)

"""Square patches: five sides, nine places, and four tones (Gu et al., "BadNets", arXiv:1708.06733, 2017).

The places are the corners, the middles of the sides and the centre, where planted patches mostly lie.
"""

from __future__ import annotations

import random
from functools import partial
from typing import TYPE_CHECKING

from gate.spaces.contract import Probe, ProbeFamily

if TYPE_CHECKING:
    from collections.abc import Callable

    import torch

    from gate.spaces.contract import Apply, Shape

SIDES = (2 / 28, 3 / 28, 5 / 28, 7 / 28, 10 / 28)
"""As shares of the shorter side of the image."""
ROWS, COLUMNS = ("upper", "middle", "lower"), ("left", "centre", "right")
TONES = ("white", "black", "chequered", "noise")
FORMS = ("plain", "chequered", "noise")
"""Of drawn patches: one colour, or two by cell or by pixel."""


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
                    found.append(Probe(name, _stamp(partial(_fill, tone, side, (top, left), shape[0]), top, left)))
    return tuple(found)


def drawn(shape: Shape, generator: random.Random) -> Apply:
    """Return a patch of any side within the grid's, place, form and two colours, half of whose values are extreme."""
    channels, height, width = shape
    shorter = min(height, width)
    side = generator.randint(2, max(2, round(max(SIDES) * shorter)))
    top, left = generator.randint(0, height - side), generator.randint(0, width - side)
    first, second = (_colour(channels, generator) for _ in range(2))
    form, cell, pixels = generator.choice(FORMS), generator.randint(1, max(1, side // 2)), generator.getrandbits(62)
    return _stamp(partial(_coloured, form, side, (first, second), cell, pixels), top, left)


def _colour(channels: int, generator: random.Random) -> list[float]:
    return [generator.choice((0.0, 1.0, generator.random(), generator.random())) for _ in range(channels)]


def _stamp(fill: Callable[[], torch.Tensor], top: int, left: int) -> Apply:
    """Return the patch `fill()` (C, side, side) at a place."""

    def stamped(x: torch.Tensor) -> torch.Tensor:
        x, patch = x.clone(), fill()
        x[:, :, top : top + patch.shape[1], left : left + patch.shape[2]] = patch.to(x)
        return x

    return stamped


def _coloured(form: str, side: int, colours: tuple[list[float], list[float]], cell: int, pixels: int) -> torch.Tensor:
    """Return a patch's values (C, side, side): the first colour, and the second in cells or at half of the pixels."""
    import torch

    first, second = (torch.tensor(colour).view(-1, 1, 1) for colour in colours)
    if form == "plain":
        other = torch.zeros(side, side)
    elif form == "chequered":
        cells = torch.arange(side) // cell
        other = ((cells[:, None] + cells) % 2).float()
    else:
        other = torch.rand(side, side, generator=torch.Generator().manual_seed(pixels)).round()
    return first + (second - first) * other


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


FAMILY = ProbeFamily("patch", "fixed patches", "patch", fixed, drawn)

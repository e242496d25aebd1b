"""Random sinusoids over the whole image (Barni et al., ICIP 2019); drawn, and found by the search for additions."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from gate.spaces.contract import DrawnFamily

if TYPE_CHECKING:
    from gate.spaces.contract import Apply, Chance, Shape

AMPLITUDE = 0.3
FINEST_WAVE = 12.0
"""Cycles across the image."""


def draw(shape: Shape, chance: Chance, number: int) -> Apply:
    """Draw a sinusoid along the width, along the height, or in any direction."""
    import torch

    _, height, width = shape
    angle = (0.0, math.pi / 2, chance.between(0, math.pi))[number % 3]
    cycles, phase = chance.between(1.5, FINEST_WAVE), chance.between(0, 2 * math.pi)
    down, right = torch.arange(height)[:, None] / height, torch.arange(width) / width
    addition = AMPLITUDE * torch.sin(2 * math.pi * cycles * (right * math.cos(angle) + down * math.sin(angle)) + phase)
    return lambda x: (x + addition.to(x)).clamp(0, 1)


FAMILY = DrawnFamily("wave", "random sinusoids", 1, draw)

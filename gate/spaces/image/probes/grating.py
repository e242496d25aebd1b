"""Sinusoids over the whole image: frequencies, directions and phases on a grid, at one amplitude.

Yin et al., "A Fourier Perspective on Model Robustness", NeurIPS 2019, section 3.1 (the map by frequency); as a trigger
Barni et al., ICIP 2019. The amplitude is small: at twice this one, classes of clean models attract nearly all images
by nature; at half of it, no backdoored model of the zoo's fit split answered otherwise than clean ones.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from gate.spaces.contract import Probe, ProbeFamily

if TYPE_CHECKING:
    import random

    import torch

    from gate.spaces.contract import Apply, Shape

CYCLES = (1, 2, 3, 4, 5, 6, 7, 8, 10, 12)
"""Across the image, along the direction."""
DIRECTIONS = {"upright": (1, 0), "level": (0, 1), "falling": (1, 1), "rising": (1, -1)}
"""Of the wave by column and row; its stripes lie across."""
PHASES = {"sine": 0.0, "cosine": math.pi / 2}
AMPLITUDE = 0.2
"""As a share of the range."""


def fixed(shape: Shape) -> tuple[Probe, ...]:
    """Return a wave for each frequency, direction and phase."""
    return tuple(
        Probe(f"{direction} {form} of {cycles} cycles, amplitude {AMPLITUDE}", _wave(shape, cycles, way, phase))
        for cycles in CYCLES
        for direction, way in DIRECTIONS.items()
        for form, phase in PHASES.items()
    )


def drawn(shape: Shape, generator: random.Random) -> Apply:
    """Return a wave of any frequency within the grid's, direction and phase, at the same amplitude."""
    cycles = generator.uniform(min(CYCLES), max(CYCLES))
    angle, phase = generator.uniform(0, math.pi), generator.uniform(0, 2 * math.pi)
    return _wave(shape, cycles, (math.cos(angle), math.sin(angle)), phase)


def _wave(shape: Shape, cycles: float, way: tuple[float, float], phase: float) -> Apply:
    height, width = shape[1:]

    def added(x: torch.Tensor) -> torch.Tensor:
        import torch

        down, right = torch.arange(height)[:, None] / height, torch.arange(width) / width
        along = (right * way[0] + down * way[1]) / math.hypot(*way)
        return (x + AMPLITUDE * torch.sin(2 * math.pi * cycles * along + phase).to(x)).clamp(0, 1)

    return added


FAMILY = ProbeFamily("grating", "fixed sinusoids", "overlay", fixed, drawn)

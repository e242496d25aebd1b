"""Random changes of tone, the same for every pixel, as filters and colour shifts make them; drawn alone.

The filter triggers of the TrojAI rounds and of Jiang et al., "Color Backdoor", CVPR 2023.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from gate.spaces.contract import DrawnFamily

if TYPE_CHECKING:
    from gate.spaces.contract import Apply, Chance, Shape


def draw(shape: Shape, chance: Chance, number: int) -> Apply:
    """Draw a gain and an offset for each channel and one exponent; every fourth image is inverted first."""
    channels, inverted = shape[0], number % 4 == 3
    gain = 0.4 + 1.2 * chance.image(channels, 1, 1)
    offset = 0.6 * chance.image(channels, 1, 1) - 0.3
    exponent = math.exp(chance.between(-0.8, 0.8))
    if inverted:
        gain, offset = gain.new_ones(gain.shape), offset.new_zeros(offset.shape)
    return lambda x: (((1 - x if inverted else x).clamp(1e-4, 1) ** exponent) * gain.to(x) + offset.to(x)).clamp(0, 1)


FAMILY = DrawnFamily("tone", "random changes of tone", 4, draw)

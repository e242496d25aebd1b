"""Random noise that is mixed into every image (Chen et al., 2017); drawn, and found by the search for additions."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gate.spaces.contract import DrawnFamily

if TYPE_CHECKING:
    from gate.spaces.contract import Apply, Chance, Shape

WEIGHTS = (0.15, 0.4)
"""Weight of the noise in a blend."""


def draw(shape: Shape, chance: Chance, number: int) -> Apply:
    """Draw an image of noise, pixel by pixel or smooth, and the weight with which it is mixed in."""
    from torch.nn.functional import interpolate

    channels, height, width = shape
    noise = chance.image(1, channels, 7, 7) if number % 2 else chance.image(1, channels, height, width)
    noise = interpolate(noise, size=(height, width), mode="bilinear")[0]
    weight = chance.between(*WEIGHTS)
    return lambda x: (1 - weight) * x + weight * noise.to(x)


FAMILY = DrawnFamily("blend", "blends with random noise", 2, draw)

"""Random triggers of five families: drawn, not optimised, and laid on samples.

A backdoor has taught its target's decision region to reach out towards triggers like its own; so more of what merely
resembles them falls into it than into the same class of a clean model.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch.nn import functional

from gate.spaces.image.triggers.warp import sampled, still_places
from gate.spaces.subject import Lay

Shape = tuple[int, int, int]

SMALLEST, LARGEST = 2 / 28, 6 / 28
"""Sides of patches, as shares of the shorter side of an image."""
AMPLITUDE = 0.3
FINEST_WAVE = 12.0
"""Cycles across the image."""
WEIGHTS = (0.15, 0.4)
"""Of the noise in a blend."""
DISPLACEMENTS = (0.018, 0.045)
"""Mean displacement of a warp, as a share of a side."""


@dataclass(frozen=True)
class Chance:
    """The source of what is drawn."""

    generator: torch.Generator

    def between(self, least: float, greatest: float) -> float:
        """Draw a number."""
        return least + (greatest - least) * float(torch.rand(1, generator=self.generator))

    def below(self, count: int) -> int:
        """Draw a whole number from nought."""
        return int(torch.randint(count, (1,), generator=self.generator))

    def image(self, *shape: int) -> torch.Tensor:
        """Draw an image of uniform noise."""
        return torch.rand(*shape, generator=self.generator)


def patch(shape: Shape, chance: Chance, number: int) -> Lay:
    """Draw a square of one tone, a chequerboard or noise; every other one lies in a corner."""
    channels, height, width = shape
    shorter = min(height, width)
    side = max(1, round(shorter * chance.between(SMALLEST, LARGEST)))
    top, left = (
        (chance.below(2) * (height - side), chance.below(2) * (width - side))
        if number % 2
        else (chance.below(height - side + 1), chance.below(width - side + 1))
    )
    cells = torch.arange(side)
    fill = (
        torch.full((channels, side, side), float(chance.below(2))),
        ((cells[:, None] + cells) % 2).float().expand(channels, side, side),
        chance.image(channels, side, side),
    )[number % 3]

    def lay(x: torch.Tensor) -> torch.Tensor:
        laid = x.clone()
        laid[:, :, top : top + side, left : left + side] = fill.to(x)
        return laid

    return lay


def wave(shape: Shape, chance: Chance, number: int) -> Lay:
    """Draw a sinusoid along the width, along the height, or in any direction."""
    _, height, width = shape
    angle = (0.0, math.pi / 2, chance.between(0, math.pi))[number % 3]
    cycles, phase = chance.between(1.5, FINEST_WAVE), chance.between(0, 2 * math.pi)
    down, right = torch.arange(height)[:, None] / height, torch.arange(width) / width
    addition = AMPLITUDE * torch.sin(2 * math.pi * cycles * (right * math.cos(angle) + down * math.sin(angle)) + phase)
    return lambda x: (x + addition.to(x)).clamp(0, 1)


def blend(shape: Shape, chance: Chance, number: int) -> Lay:
    """Draw an image of noise, pixel by pixel or smooth, and the weight with which it is mixed in."""
    channels, height, width = shape
    noise = chance.image(1, channels, 7, 7) if number % 2 else chance.image(1, channels, height, width)
    noise = functional.interpolate(noise, size=(height, width), mode="bilinear")[0]
    weight = chance.between(*WEIGHTS)
    return lambda x: (1 - weight) * x + weight * noise.to(x)


def warp(shape: Shape, chance: Chance, number: int) -> Lay:
    """Draw a smooth field of displacements from a grid of three to five points a side."""
    del number
    _, height, width = shape
    points = 3 + chance.below(3)
    field = 2 * chance.image(1, 2, points, points) - 1
    # Places are told in [-1, 1], where a side is two long.
    field = field / field.abs().mean() * 2 * chance.between(*DISPLACEMENTS)
    field = functional.interpolate(field, size=(height, width), mode="bicubic", align_corners=True)[0]
    places = (still_places(height, width) + field.permute(1, 2, 0)).unsqueeze(0)
    return lambda x: sampled(x, places.to(x).expand(len(x), -1, -1, -1))


def tone(shape: Shape, chance: Chance, number: int) -> Lay:
    """Draw a gain and an offset for each channel and one exponent; every fourth image is inverted first."""
    channels, inverted = shape[0], number % 4 == 3
    gain = 0.4 + 1.2 * chance.image(channels, 1, 1)
    offset = 0.6 * chance.image(channels, 1, 1) - 0.3
    exponent = math.exp(chance.between(-0.8, 0.8))
    if inverted:
        gain, offset = torch.ones_like(gain), torch.zeros_like(offset)
    return lambda x: (((1 - x if inverted else x).clamp(1e-4, 1) ** exponent) * gain.to(x) + offset.to(x)).clamp(0, 1)


FAMILIES: dict[str, Callable[[Shape, Chance, int], Lay]] = {
    "patch": patch,
    "wave": wave,
    "blend": blend,
    "warp": warp,
    "tone": tone,
}


def draw(family: str, shape: Shape, count: int, seed: int) -> Iterator[Lay]:
    """Draw triggers of a family, for images with values in [0, 1].

    They depend on family, shape and seed alone, so that all models of a task get the same ones.
    """
    # Without this each family would begin with the numbers of the one before.
    generator = torch.Generator().manual_seed(1000 * seed + list(FAMILIES).index(family))
    chance = Chance(generator)
    return (FAMILIES[family](shape, chance, number) for number in range(count))


def within(lay: Lay, bounds: tuple[float, float]) -> Lay:
    """Return what lays a trigger of values in [0, 1] on raw inputs, whose values lie in `bounds`."""
    least, greatest = bounds
    return lambda x: least + (greatest - least) * lay((x - least) / (greatest - least))

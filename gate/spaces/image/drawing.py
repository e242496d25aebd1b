"""Random triggers: drawn, not optimised, and applied to samples.

A backdoor teaches its target's decision region to reach towards triggers like its own, so more of what merely resembles
them falls into it than into the same class of a clean model.
"""

from collections.abc import Iterator
from functools import partial

import torch

from gate.spaces.contract import Apply, Bounds, Chance, DrawnFamily, Shape


def draw(family: DrawnFamily, shape: Shape, bounds: Bounds, count: int, seed: int) -> Iterator[Apply]:
    """Draw triggers of a family for raw inputs (C, H, W) within `bounds`.

    They depend on family, shape and seed alone, so all models of a task get the same ones.
    """
    # Without the stream each family would begin with the numbers of the one before.
    generator = torch.Generator().manual_seed(1000 * seed + family.stream)
    below = partial(torch.randint, size=(1,), generator=generator)
    chance = Chance(partial(torch.rand, generator=generator), lambda most: int(below(most)))
    return (_within(family.draw(shape, chance, number), bounds) for number in range(count))


def _within(apply: Apply, bounds: Bounds) -> Apply:
    """Return a trigger for raw inputs within `bounds` from one for images with values in [0, 1]."""
    least, greatest = bounds
    return lambda x: least + (greatest - least) * apply((x - least) / (greatest - least))

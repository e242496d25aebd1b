"""Random triggers: drawn, not optimised, and applied to samples.

A backdoor has taught its target's decision region to reach out towards triggers like its own; so more of what merely
resembles them falls into it than into the same class of a clean model.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    import torch

    from gate.spaces.contract import Apply, Bounds, DrawnFamily, Shape


@dataclass(frozen=True)
class Chance:
    """The source of what is drawn."""

    generator: torch.Generator

    def between(self, least: float, greatest: float) -> float:
        """Draw a number."""
        return least + (greatest - least) * float(self.image(1))

    def below(self, count: int) -> int:
        """Draw a whole number from zero."""
        import torch  # noqa: PLC0415  # a family imports no torch until it is used

        return int(torch.randint(count, (1,), generator=self.generator))

    def image(self, *shape: int) -> torch.Tensor:
        """Draw an image of uniform noise."""
        import torch  # noqa: PLC0415  # a family imports no torch until it is used

        return torch.rand(*shape, generator=self.generator)


def draw(family: DrawnFamily, shape: Shape, count: int, seed: int) -> Iterator[Apply]:
    """Draw triggers of a family, for images with values in [0, 1].

    They depend on family, shape and seed alone, so that all models of a task get the same ones.
    """
    import torch  # noqa: PLC0415  # likewise

    # Without the stream each family would begin with the numbers of the one before.
    chance = Chance(torch.Generator().manual_seed(1000 * seed + family.stream))
    return (family.draw(shape, chance, number) for number in range(count))


def within(apply: Apply, bounds: Bounds) -> Apply:
    """Return what applies a trigger of values in [0, 1] to raw inputs, whose values lie in `bounds`."""
    least, greatest = bounds
    return lambda x: least + (greatest - least) * apply((x - least) / (greatest - least))

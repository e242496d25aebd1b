"""Successive halving: how a search is divided into rungs, and which goals enter the next.

Jamieson and Talwalkar, "Non-stochastic Best Arm Identification and Hyperparameter Optimization", AISTATS 2016. Beside
the best goals a few random ones stay to the end, since sizes compare only after equally many steps.
"""

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass

FULL_CLASSES = 20
"""Most classes that are all searched to the end, and so all compared within the model."""


@dataclass(frozen=True)
class Rung:
    """A stretch of steps."""

    steps: int
    keep: int | None = None
    """Number of goals, smallest trigger first, that enter it; None: all."""
    references: int = 0
    """Number of the other goals, drawn once, that enter it too."""
    share: float = 1.0
    """Share of the search's images per goal and step."""

    def images(self, batch: int) -> int:
        """Return the images per goal and step, given those of the last rung."""
        return max(2, round(batch * self.share))


def survivors(
    sizes: Sequence[float], rung: Rung, references: tuple[int, ...], seed: int
) -> tuple[list[int], tuple[int, ...]]:
    """Return the goals that enter a rung, in order, and its references; earlier references stay references.

    A goal of infinite size enters nothing.
    """
    assert rung.keep is not None
    ranked = sorted((goal for goal, size in enumerate(sizes) if math.isfinite(size)), key=sizes.__getitem__)
    best, others = ranked[: rung.keep], ranked[rung.keep :]
    kept = tuple(goal for goal in references if goal not in best)
    drawable = sorted(set(others) - set(kept))
    wanting = max(0, rung.references - len(kept))
    rng = random.Random(seed)  # noqa: S311  # a repeatable choice, no secret
    chosen = kept[: rung.references] + tuple(rng.sample(drawable, min(wanting, len(drawable))))
    return sorted({*best, *chosen}), chosen


def schedule(classes: int, steps: int) -> tuple[Rung, ...]:
    """Divide a search over so many classes: all to the end where they are few, else halving with references.

    The first rung only tells which goals move at all: a class with a planted patch does so after a few steps of a few
    images (docs/explanation/detection.md). It shortens with more classes and later rungs are narrow, so the work grows
    more slowly than the classes.
    """
    if classes <= FULL_CLASSES:
        return (Rung(steps),)
    first = max(6, round(steps * 0.3 * (FULL_CLASSES / classes) ** 0.5))
    middle = max(8, round(steps * 0.2))
    width = min(classes, 40, max(10, round((classes * FULL_CLASSES) ** 0.5 / 2)))
    return (
        Rung(first, share=0.25),
        Rung(middle, keep=width, references=8, share=0.5),
        Rung(max(1, steps - first - middle), keep=6, references=8),
    )

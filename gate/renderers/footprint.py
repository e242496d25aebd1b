"""Position and size of a trigger in words, from the picture of its mask; they decide nothing."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from gate.records.evidence import Picture

_INSIDE: Final = 0.8
"""Share of a mask's weight within its box, along each side."""
_COMPACT: Final = 0.5
"""Greatest share of the image's sides for a box that counts as one place."""
_SMALL, _LARGE = 0.06, 0.25
"""Shares of the image's area: greatest small box, least large box."""
_ROWS, _COLUMNS = ("upper", "", "lower"), ("left", "", "right")
_EDGES: Final = {("upper", ""): "at the upper edge", ("lower", ""): "at the lower edge",
                 ("", "left"): "at the left edge", ("", "right"): "at the right edge"}  # fmt: skip


@dataclass(frozen=True)
class Footprint:
    """Size and position of a mask."""

    height: int
    width: int
    """Sides of the box that holds most of the mask, in pixels."""
    area: float
    """Area of that box as a share of the image."""
    place: str
    """Position such as `in the lower right corner`; empty where the mask is scattered."""

    @property
    def size(self) -> str:
        """A word for its size."""
        return "small " if self.area <= _SMALL else "large " if self.area > _LARGE else ""


def footprint(mask: Picture) -> Footprint | None:
    """Return what a mask covers; None where it is empty."""
    raw, width = mask.raw()[:: mask.channels], mask.width
    rows = [sum(raw[start : start + width]) for start in range(0, len(raw), width)]
    columns = [sum(raw[column::width]) for column in range(width)]
    if not sum(rows):
        return None
    top, bottom = _middle(rows)
    left, right = _middle(columns)
    height, across = bottom - top + 1, right - left + 1
    compact = height <= _COMPACT * mask.height and across <= _COMPACT * width
    place = _place((top + bottom + 1) / (2 * mask.height), (left + right + 1) / (2 * width)) if compact else ""
    return Footprint(height, across, height * across / (mask.height * width), place)


def _middle(weights: Sequence[int]) -> tuple[int, int]:
    """Return the shortest run of rows or columns that holds most of the weight."""
    wanted = _INSIDE * sum(weights)
    best, start, held = (0, len(weights) - 1), 0, 0.0
    for end, weight in enumerate(weights):
        held += weight
        while held - weights[start] >= wanted:
            held -= weights[start]
            start += 1
        if held >= wanted and end - start < best[1] - best[0]:
            best = start, end
    return best


def _place(down: float, across: float) -> str:
    row, column = _ROWS[min(2, int(3 * down))], _COLUMNS[min(2, int(3 * across))]
    if row and column:
        return f"in the {row} {column} corner"
    return _EDGES.get((row, column), "in the middle")

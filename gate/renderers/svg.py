"""The few SVG shapes that the plots are made of; colours come from the page's style sheet by class.

Everything here returns text without script, link or font. Numbers are rounded to a tenth of a pixel.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass

from markupsafe import Markup, escape

from gate.renderers.text import plain


@dataclass(frozen=True)
class Key:
    """One row of a legend: a symbol and what it stands for."""

    symbol: Markup
    label: str


@dataclass(frozen=True)
class Plot:
    """A drawing, its legend, and the same in words."""

    svg: Markup
    keys: tuple[Key, ...]
    description: str


def drawing(width: int, height: int, parts: Iterable[str], description: str, *, css: str) -> Markup:
    """Return an SVG element that scales with its container and reads its description to those who cannot see it."""
    return Markup(  # noqa: S704  # the parts are paths and escaped text
        f'<svg class="plot {css}" viewBox="0 0 {width} {height}" role="img" aria-label="{escape(plain(description))}">'
        f"{''.join(parts)}</svg>"
    )


def symbol(shape: str) -> Markup:
    """Return a 16 × 18 drawing for a legend, hidden from readers of text."""
    return Markup(  # noqa: S704  # the shape is a path from this package
        f'<svg class="symbol" viewBox="0 0 16 18" width="16" height="18" aria-hidden="true">{shape}</svg>'
    )


def text(x: float, y: float, words: str, css: str) -> str:
    """Return escaped words at a place; `css` says how they are aligned and dressed."""
    return f'<text x="{x:.1f}" y="{y:.1f}" class="{css}">{escape(plain(words, 60))}</text>'


def circle(x: float, y: float) -> str:
    """Return a circle's path around a point."""
    return f"M{x - 4:.1f} {y:.1f}a4 4 0 1 0 8 0a4 4 0 1 0-8 0z"


def triangle(x: float, y: float) -> str:
    """Return a triangle's path around a point."""
    return f"M{x - 5:.1f} {y + 4:.1f}h10l-5-9z"


def square(x: float, y: float) -> str:
    """Return a square's path around a point."""
    return f"M{x - 4:.1f} {y - 4:.1f}h8v8h-8z"


def diamond(x: float, y: float) -> str:
    """Return a diamond's path around a point."""
    return f"M{x:.1f} {y - 5.5:.1f}l5.5 5.5l-5.5 5.5l-5.5-5.5z"


def star(x: float, y: float) -> str:
    """Return a four-pointed star's path around a point."""
    return f"M{x:.1f} {y - 6:.1f}l1.6 4.4l4.4 1.6l-4.4 1.6l-1.6 4.4l-1.6-4.4l-4.4-1.6l4.4-1.6z"


_STEPS = (1, 2, 4, 5, 6, 8)

SHAPES = (circle, triangle, square, diamond, star)


def nice(value: float) -> float:
    """Return the least round number that is not below a positive value; half of it is round as well."""
    power = 10.0 ** math.floor(math.log10(value))
    return next((step * power for step in _STEPS if step * power >= value * (1 - 1e-9)), 10 * power)

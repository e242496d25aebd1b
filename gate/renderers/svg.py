"""The SVG shapes of the plots, without script, link or font; colours come from the page's style sheet by class."""

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from markupsafe import Markup, escape

from gate.renderers.text import plain


@dataclass(frozen=True)
class Key:
    """One row of a legend: a symbol and its meaning."""

    symbol: Markup
    label: str


@dataclass(frozen=True)
class Plot:
    """A drawing, its legend, and the same in words."""

    svg: Markup
    keys: tuple[Key, ...]
    description: str


def drawing(width: int, height: int, parts: Iterable[str], description: str, *, css: str) -> Markup:
    """Return an SVG element that scales with its container; screen readers read its description."""
    return Markup(  # noqa: S704  # the parts are paths and escaped text
        f'<svg class="plot {css}" viewBox="0 0 {width} {height}" role="img" aria-label="{escape(plain(description))}">'
        f"{''.join(parts)}</svg>"
    )


def symbol(shape: str) -> Markup:
    """Return a 16 × 18 drawing for a legend, hidden from screen readers."""
    return Markup(  # noqa: S704  # the shape is a path from this package
        f'<svg class="symbol" viewBox="0 0 16 18" width="16" height="18" aria-hidden="true">{shape}</svg>'
    )


def text(x: float, y: float, words: str, css: str) -> str:
    """Return escaped words at a place; `css` gives alignment and style."""
    return f'<text x="{x:.1f}" y="{y:.1f}" class="{css}">{escape(plain(words, 60))}</text>'


def _shape(dx: float, dy: float, outline: str) -> Callable[[float, float], str]:
    return lambda x, y: f"M{x + dx:.1f} {y + dy:.1f}{outline}z"


circle = _shape(-4, 0, "a4 4 0 1 0 8 0a4 4 0 1 0-8 0")
triangle = _shape(-5, 4, "h10l-5-9")
square = _shape(-4, -4, "h8v8h-8")
diamond = _shape(0, -5.5, "l5.5 5.5l-5.5 5.5l-5.5-5.5")
star = _shape(0, -6, "l1.6 4.4l4.4 1.6l-4.4 1.6l-1.6 4.4l-1.6-4.4l-4.4-1.6l4.4-1.6")
SHAPES = (circle, triangle, square, diamond, star)
"""Functions from a centre (x, y) to the path of a shape around it."""


def nice(value: float) -> float:
    """Return the least round number at or above a positive value; half of it is round as well."""
    power = 10.0 ** math.floor(math.log10(value))
    return next((step * power for step in (1, 2, 4, 5, 6, 8) if step * power >= value * (1 - 1e-9)), 10 * power)

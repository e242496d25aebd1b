"""The pictures of the harness as plain SVG, without script or font: results by attack, and cost against size.

Pure. Every system has a shape as well as a colour, and a title says in words what is drawn. Dark and light pages both
show them: ink and lines take the page's own colour.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape

from benchmarks.efficacy.results import SystemResult

COLOURS = ("#1b6ca8", "#c2410c", "#4d7c0f", "#7e22ce", "#a16207", "#0f766e")
_LEFT, _TOP, _ROW, _RIGHT = 150, 46, 26, 24
_WIDTH = 760


@dataclass(frozen=True)
class Series:
    """Points of one kind in a plot of two logarithmic axes."""

    name: str
    points: tuple[tuple[float, float], ...]


def areas(results: Sequence[SystemResult], title: str) -> str:
    """Draw the area under the ROC curve with its interval for every attack, one mark a system."""
    attacks = [row.attack for row in results[0].attacks] + [results[0].overall.attack] if results else []
    height = _TOP + _ROW * len(attacks) + 40
    parts = [_text(_LEFT, 20, title, "start", 14)]
    inner = _WIDTH - _LEFT - _RIGHT
    for tick in (0.0, 0.25, 0.5, 0.75, 1.0):
        x = _LEFT + inner * tick
        dash = ' stroke-dasharray="4 3"' if tick == 0.5 else ""
        parts.append(_line(x, _TOP - 6, x, height - 34, f'stroke-opacity=".3"{dash}'))
        parts.append(_text(x, height - 18, f"{tick:g}", "middle"))
    for place, attack in enumerate(attacks):
        middle = _TOP + _ROW * (place + 0.5)
        parts.append(_text(_LEFT - 8, middle + 4, attack, "end"))
        for which, result in enumerate(results):
            row = next((row for row in (*result.attacks, result.overall) if row.attack == attack), None)
            if row is None or row.area is None:
                continue
            y = middle + (which - (len(results) - 1) / 2) * min(6, 18 / len(results))
            low, high = _LEFT + inner * row.area.low, _LEFT + inner * row.area.high
            parts.append(_line(low, y, high, y, f'stroke="{_colour(which)}" stroke-width="2"'))
            parts.append(_mark(which, _LEFT + inner * row.area.value, y))
    legend, end = _legend([result.system for result in results], height - 10)
    return _svg(end, [*parts, *legend], f"{title}: by attack, with 95 % intervals")


def log_plot(series: Sequence[Series], title: str, axes: tuple[str, str]) -> str:
    """Draw series of points over two logarithmic axes."""
    height, bottom = 420, 360
    points = [point for one in series for point in one.points if min(point) > 0]
    if not points:
        return _svg(60, [_text(20, 30, f"{title}: nothing measured", "start", 14)], title)
    (left, right), (low, high) = (_decades([point[axis] for point in points]) for axis in (0, 1))

    def place(point: tuple[float, float]) -> tuple[float, float]:
        x = 90 + (_WIDTH - 90 - _RIGHT) * (math.log10(point[0]) - left) / (right - left)
        return x, bottom - (bottom - 50) * (math.log10(point[1]) - low) / (high - low)

    parts = [_text(90, 20, title, "start", 14), _text(_WIDTH - _RIGHT, height - 28, axes[0], "end")]
    parts.append(_text(90, 40, axes[1], "start"))
    for power in range(left, right + 1):
        x = place((10.0**power, 10.0**low))[0]
        parts += [_line(x, 50, x, bottom, 'stroke-opacity=".2"'), _text(x, bottom + 16, _power(power), "middle")]
    for power in range(low, high + 1):
        y = place((10.0**left, 10.0**power))[1]
        parts += [_line(90, y, _WIDTH - _RIGHT, y, 'stroke-opacity=".2"'), _text(84, y + 4, _power(power), "end")]
    for which, one in enumerate(series):
        drawn = [place(point) for point in sorted(one.points) if min(point) > 0]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in drawn)
        parts.append(f'<polyline points="{path}" fill="none" stroke="{_colour(which)}" stroke-opacity=".5"/>')
        parts += [_mark(which, x, y) for x, y in drawn]
    legend, end = _legend([one.name for one in series], height - 18)
    return _svg(end, [*parts, *legend], title)


def _decades(values: Sequence[float]) -> tuple[int, int]:
    low, high = math.floor(math.log10(min(values))), math.ceil(math.log10(max(values)))
    return low, max(high, low + 1)


_POWERS: Mapping[int, str] = {-2: "0.01", -1: "0.1", 0: "1", 1: "10", 2: "100", 3: "1000"}


def _power(power: int) -> str:
    return _POWERS.get(power, f"1e{power}")


def _colour(which: int) -> str:
    return COLOURS[which % len(COLOURS)]


def _mark(which: int, x: float, y: float) -> str:
    shapes = (
        f"M{x - 4:.1f} {y:.1f}a4 4 0 1 0 8 0a4 4 0 1 0-8 0z",
        f"M{x - 5:.1f} {y + 4:.1f}h10l-5-9z",
        f"M{x - 4:.1f} {y - 4:.1f}h8v8h-8z",
        f"M{x:.1f} {y - 5.5:.1f}l5.5 5.5l-5.5 5.5l-5.5-5.5z",
        f"M{x - 5:.1f} {y - 4:.1f}h10l-5 9z",
        f"M{x - 5:.1f} {y - 2:.1f}h10v4h-10z",
    )
    return f'<path d="{shapes[which % len(shapes)]}" fill="{_colour(which)}"/>'


def _legend(names: Sequence[str], top: float) -> tuple[list[str], float]:
    """Return the marks with their names, in as many rows as they need below `top`, and where the last row ends."""
    parts: list[str] = []
    x, y = 20.0, top + 12
    for which, name in enumerate(names):
        width = 24 + 6.2 * len(name)
        if x > 20 and x + width > _WIDTH:
            x, y = 20.0, y + 18
        parts += [_mark(which, x, y - 4), _text(x + 10, y, name, "start", 11)]
        x += width
    return parts, y


def _text(x: float, y: float, words: str, anchor: str, size: int = 12) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-size="{size}">{escape(words)}</text>'


def _line(x1: float, y1: float, x2: float, y2: float, style: str) -> str:
    stroke = "" if "stroke=" in style else 'stroke="currentColor" '
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" {stroke}{style}/>'


def _svg(height: float, parts: Sequence[str], description: str) -> str:
    style = "<style>svg{color:#1f2328;background:#fff}text{fill:currentColor;font-family:sans-serif}"
    style += "@media(prefers-color-scheme:dark){svg{color:#e6edf3;background:#0d1117}}</style>"
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height + 8:.0f}" width="{_WIDTH}" role="img" '
        f'aria-label="{escape(description)}"><title>{escape(description)}</title>{style}{"".join(parts)}</svg>\n'
    )

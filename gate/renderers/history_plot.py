"""The scores of a version and of those before it as one drawing: decisions by shape, the candidate as a star.

A score that cannot be compared is hollow; a version without one has a cross on the axis. All values are scaled to
[0, 1] first, against overflow by hostile magnitudes.
"""

from collections.abc import Callable, Sequence

from gate.renderers import svg
from gate.renderers.history import Past, Version
from gate.renderers.svg import Key, Plot
from gate.renderers.text import number

WIDTH, HEIGHT = 720, 260
_LEFT, _RIGHT, _TOP, _BOTTOM = 62, 16, 40, 50
_END, _BASE = WIDTH - _RIGHT, HEIGHT - _BOTTOM
_MOST_LABELS, _LONGEST_LABEL = 7, 6
_KINDS = (
    ("approved", "approved"),
    ("flagged", "flagged"),
    ("hollow", "hollow: its score cannot be compared"),
    ("none", "no score"),
    ("own", "this version"),
)


def scores(past: Past) -> Plot | None:
    """Draw the scores; None where neither the candidate nor a version before it has one."""
    known = [one.score for one in past.versions if one.score is not None]
    if not known or len(past.versions) < 2:
        return None
    y = _height(known, past.flags_above)
    slot = (_END - _LEFT) / len(past.versions)
    places = [_LEFT + slot * (index + 0.5) for index in range(len(past.versions))]
    parts = [*_axis(known, past.flags_above, y), *_labels(past.versions, places)]
    for one, x in zip(past.versions, places, strict=True):
        parts.append(_mark(one, x, y))
    description = " ".join(past.sentences)
    return Plot(svg.drawing(WIDTH, HEIGHT, parts, description, css="scores"), tuple(_keys(past)), description)


def _range(known: Sequence[float], line: float | None) -> tuple[float, float]:
    """Return the axis's ends: zero, and round numbers beyond what is drawn."""
    values = [*known, *([line] if line is not None else [])]
    top, low = max(0.0, *values), min(0.0, *values)
    top = svg.nice(top) if 1e-300 < top < 1e300 else max(top, 1.0)
    return (-svg.nice(-low) if 1e-300 < -low < 1e300 else low), top


def _height(known: Sequence[float], line: float | None) -> Callable[[float], float]:
    low, top = _range(known, line)
    half = top / 2 - low / 2

    def y(score: float) -> float:
        return _BASE - (_BASE - _TOP) * max(0.0, min(1.0, (score / 2 - low / 2) / half))

    return y


def _axis(known: Sequence[float], line: float | None, y: Callable[[float], float]) -> list[str]:
    low, top = _range(known, line)
    parts = [f'<path class="axis" d="M{_LEFT} {y(0):.1f}H{_END}"/>', svg.text(_LEFT, 18, "score", "start axis-title")]
    for value in dict.fromkeys((low, 0.0, top / 2, top)):
        parts.append(f'<path class="grid" d="M{_LEFT} {y(value):.1f}H{_END}"/>' if value else "")
        parts.append(svg.text(_LEFT - 8, y(value) + 5, number(value), "end"))
    if line is not None:
        parts.append(f'<path class="median" d="M{_LEFT} {y(line):.1f}H{_END}"/>')
        parts.append(svg.text(_END, 18, f"flags above {number(line)}", "end median-label"))
    return parts


def _labels(versions: Sequence[Version], places: Sequence[float]) -> list[str]:
    """Return the versions' numbers below the axis, as many as fit; the candidate's always."""
    step = -(-len(versions) // _MOST_LABELS)
    shown = [index for index in range(len(versions)) if (len(versions) - 1 - index) % step == 0]
    labels = [(versions[index].number, places[index]) for index in shown]
    short = [(text if len(text) <= _LONGEST_LABEL else f"…{text[1 - _LONGEST_LABEL :]}", x) for text, x in labels]
    return [
        *(svg.text(x, _BASE + 20, text, "middle") for text, x in short),
        svg.text((_LEFT + _END) / 2, HEIGHT - 8, "version", "middle axis-title"),
    ]


def _mark(one: Version, x: float, y: Callable[[float], float]) -> str:
    if one.score is None:
        return f'<path class="score none" d="{_cross(x, y(0))}"/>'
    at = y(one.score)
    if one.own:
        return f'<path class="score {_decision(one)} own" d="{_star(x, at)}"/>'
    return f'<path class="score {_css(one)}" d="{_shape(one)(x, at)}"/>'


def _star(x: float, y: float) -> str:
    return f"M{x:.1f} {y - 9:.1f}l2.5 6.5l6.5 2.5l-6.5 2.5l-2.5 6.5l-2.5-6.5l-6.5-2.5l6.5-2.5z"


def _circle(x: float, y: float) -> str:
    return f"M{x - 5.5:.1f} {y:.1f}a5.5 5.5 0 1 0 11 0a5.5 5.5 0 1 0-11 0z"


def _triangle(x: float, y: float) -> str:
    return f"M{x - 6.5:.1f} {y + 5:.1f}h13l-6.5-11.5z"


def _cross(x: float, y: float) -> str:
    return f"M{x - 5:.1f} {y - 5:.1f}l10 10m0-10l-10 10"


def _shape(one: Version) -> Callable[[float, float], str]:
    return _triangle if one.flagged else _circle


def _decision(one: Version) -> str:
    return "flagged" if one.flagged else "approved"


def _css(one: Version) -> str:
    return f"{_decision(one)} {'solid' if one.comparable else 'hollow'}"


def _keys(past: Past) -> list[Key]:
    """Return the legend's rows, for what is drawn."""
    earlier = [one for one in past.versions if not one.own]
    scored = [one for one in earlier if one.score is not None]
    own = past.versions[-1]
    present = {
        "approved": any(not one.flagged for one in scored),
        "flagged": any(one.flagged for one in scored),
        "hollow": any(not one.comparable for one in scored),
        "none": any(one.score is None for one in past.versions),
        "own": own.score is not None,
    }
    drawn = {
        "approved": f'<path class="score approved solid" d="{_circle(8, 9)}"/>',
        "flagged": f'<path class="score flagged solid" d="{_triangle(8, 9)}"/>',
        "hollow": f'<path class="score approved hollow" d="{_circle(8, 9)}"/>',
        "none": f'<path class="score none" d="{_cross(8, 9)}"/>',
        "own": f'<path class="score {_decision(own)} own" d="{_star(8, 9)}"/>',
    }
    return [Key(svg.symbol(drawn[kind]), words) for kind, words in _KINDS if present[kind]]

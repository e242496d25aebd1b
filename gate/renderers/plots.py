"""The two plots of the report: trigger sizes of all classes as bars, samples of one class in two dimensions.

Every distinction is drawn by shape or filling as well as colour, and `description` gives the same in words. Values are
scaled to [0, 1] first, against overflow by hostile magnitudes; bars or points of one kind share one path.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence

from gate.records.evidence import Point, Projection
from gate.renderers import svg
from gate.renderers.classes import ClassSize, ClassSizes
from gate.renderers.svg import Key, Plot
from gate.renderers.text import count, listed, number, plain

WIDTH, HEIGHT = 720, 280
_LEFT, _RIGHT, _TOP, _BOTTOM = 62, 16, 40, 50
_INNER_WIDTH, _INNER_HEIGHT = WIDTH - _LEFT - _RIGHT, HEIGHT - _TOP - _BOTTOM
_END, _BASE = WIDTH - _RIGHT, HEIGHT - _BOTTOM
_MAX_TICKS = 20
_MAX_SIGNS = 10
"""Most classes with a sign and their index over the bar; more would overlap."""
SIDE = 440
"""Side of the cluster plot, which is square."""
_MAX_GROUPS = len(svg.SHAPES) - 1
_MAX_CLUSTERS = 5
_MAX_GROUP_NAME = 30
_OTHER_GROUPS = "other groups"
_OTHER_CLUSTERS = 1 << 30
"""Number of the group of all clusters beyond the largest few."""


def bars(series: ClassSizes) -> Plot:
    """Draw one bar for each class, and the median as a line; flagged and suspect classes are set off."""
    top = _top(series)
    slot = _INNER_WIDTH / len(series.sizes)
    width = max(0.5, min(slot * 0.72, 44.0))
    centre = {entry.index: _LEFT + slot * (place + 0.5) for place, entry in enumerate(series.sizes)}

    def y(size: float) -> float:
        return _BASE - _INNER_HEIGHT * max(0.0, min(1.0, size / top))

    parts = [_axis(top), _ticks([entry.index for entry in series.sizes], centre)]
    for css in ("ordinary early", "ordinary", "suspect", "flagged"):
        members = [entry for entry in series.sizes if _bar_class(entry) == css]
        path = "".join(
            f"M{centre[e.index] - width / 2:.1f} {_BASE}V{y(e.size):.1f}h{width:.1f}V{_BASE}z" for e in members
        )
        parts.append(f'<path class="bar {css}" d="{path}"/>' if members else "")
    median = y(series.median)
    parts.append(f'<path class="median" d="M{_LEFT} {median:.1f}H{_END}"/>')
    parts.extend(_sign(entry, centre[entry.index], y(entry.size)) for entry in _set_off(series.sizes)[:_MAX_SIGNS])
    parts.append(svg.text(_END, 18, f"median {number(series.median)}", "end median-label"))
    description = _bars_in_words(series)
    return Plot(svg.drawing(WIDTH, HEIGHT, parts, description, css="bars"), _bar_keys(series), description)


def _bar_class(entry: ClassSize) -> str:
    return "ordinary early" if entry.standing == "ordinary" and not entry.ended else entry.standing


def _top(series: ClassSizes) -> float:
    largest = max(entry.size for entry in series.sizes)
    return svg.nice(largest) if 1e-300 < largest < 1e300 else max(largest, 1.0)  # room for powers


def _set_off(sizes: Sequence[ClassSize]) -> list[ClassSize]:
    """Return flagged and suspect classes, flagged first, then by size."""
    found = [entry for entry in sizes if entry.standing != "ordinary"]
    return sorted(found, key=lambda entry: (entry.standing != "flagged", entry.size))


def _sign(entry: ClassSize, x: float, y: float) -> str:
    down, rhomb = f"M{x - 6:.1f} {y - 13:.1f}h12l-6 9z", f"M{x:.1f} {y - 15:.1f}l5 5l-5 5l-5-5z"
    path = f'<path class="sign {entry.standing}" d="{down if entry.standing == "flagged" else rhomb}"/>'
    return path + svg.text(x, y - 19, str(entry.index), f"middle sign-label {entry.standing}")


def _axis(top: float) -> str:
    parts = [f'<path class="axis" d="M{_LEFT} {_BASE}H{_END}"/>']
    for half in (0, 1, 2):
        y = _BASE - _INNER_HEIGHT * half / 2
        parts.append(f'<path class="grid" d="M{_LEFT} {y:.1f}H{_END}"/>' if half else "")
        parts.append(svg.text(_LEFT - 8, y + 5, number(top * (half / 2)), "end"))
    parts.append(svg.text(_LEFT, 18, "trigger size", "start axis-title"))
    return "".join(parts)


def _ticks(indices: Sequence[int], centre: dict[int, float]) -> str:
    step = 1 if len(indices) <= _MAX_TICKS else max(1, round(svg.nice(len(indices) / 10)))
    shown = [svg.text(centre[index], _BASE + 20, str(index), "middle") for index in indices[::step]]
    return "".join(shown) + svg.text(_LEFT + _INNER_WIDTH / 2, HEIGHT - 8, "class", "middle axis-title")


def _bar_keys(series: ClassSizes) -> tuple[Key, ...]:
    words = {"flagged": "exceeds a limit", "suspect": "suspect, examined further", "ordinary": "other classes"}
    signs = {"flagged": "M3 1h10l-5 6z", "suspect": "M8 0l4 4l-4 4l-4-4z"}
    present = {entry.standing for entry in series.sizes}
    keys = [
        Key(svg.symbol(_bar_symbol(standing, signs.get(standing))), label)
        for standing, label in words.items()
        if standing in present
    ]
    if series.early:
        keys.append(
            Key(svg.symbol('<path class="bar ordinary early" d="M3 17V3h10v14z"/>'), "left early: at most so large")
        )
    median = "median of those compared" if series.early else "median of all classes"
    return (*keys, Key(svg.symbol('<path class="median" d="M0 9H16"/>'), median))


def _bar_symbol(standing: str, sign: str | None) -> str:
    over = f'<path class="sign {standing}" d="{sign}"/>' if sign else ""
    return f'<path class="bar {standing}" d="M3 17V{9 if sign else 3}h10v{8 if sign else 14}z"/>{over}'


def _bars_in_words(series: ClassSizes) -> str:
    least = min(series.sizes, key=lambda entry: entry.size)
    words = (
        f"Trigger sizes of {count(len(series.sizes), 'class', 'classes')}: median {number(series.median)}, "
        f"smallest {number(least.size)} at class {least.index}."
    )
    if series.early:
        words += f" {series.early} of the classes left the search early; their sizes are upper bounds."
    for standing, why in (("flagged", "A limit is exceeded at"), ("suspect", "Suspect and examined further:")):
        names = [str(entry.index) for entry in series.sizes if entry.standing == standing]
        if names:
            more = ", …" if len(names) > _MAX_SIGNS else ""
            words += f" {why} class {listed(names[:_MAX_SIGNS])}{more}."
    return words


def scatter(projection: Projection) -> Plot:
    """Draw a projection's samples: the group gives the shape; the cluster gives colour, filling and a label."""
    points = _folded(projection.points)
    place = _placing(points)
    groups = list(dict.fromkeys(point.group for point in points))
    members: dict[tuple[int, str], list[Point]] = {}
    for point in points:
        members.setdefault((point.cluster, point.group), []).append(point)
    parts = [f'<path class="frame" d="M1 1H{SIDE - 1}V{SIDE - 1}H1z"/>']
    keys: list[Key] = []
    for cluster, group in sorted(members, key=lambda pair: (pair[0], groups.index(pair[1]))):
        found, css, shape = members[cluster, group], _css(cluster), svg.SHAPES[groups.index(group)]
        parts.append(f'<path class="{css}" d="{"".join(shape(*place(point)) for point in found)}"/>')
        label = f"{plain(group, _MAX_GROUP_NAME)}, {_name(cluster)}: {count(len(found), 'sample')}"
        keys.append(Key(svg.symbol(f'<path class="{css}" d="{shape(8, 9)}"/>'), label))
    parts.extend(_labels(points, place))
    words = f"{count(len(points), 'sample')} of {plain(str(projection.location), 60)}, "
    words += f"drawn by {plain(projection.method, 60)}. "
    description = words + "; ".join(key.label for key in keys) + "."
    return Plot(svg.drawing(SIDE, SIDE, parts, description, css="scatter"), tuple(keys), description)


def _labels(points: Sequence[Point], place: Callable[[Point], tuple[float, float]]) -> Iterator[str]:
    """Yield each cluster's name, set over its highest sample."""
    for cluster in sorted({point.cluster for point in points if 0 <= point.cluster < _OTHER_CLUSTERS}):
        here = [place(point) for point in points if point.cluster == cluster]
        middle, highest = sum(x for x, _ in here) / len(here), min(y for _, y in here)
        x, y = min(max(middle, 40.0), SIDE - 40.0), max(highest - 12, 16.0)
        yield svg.text(x, y, _name(cluster), "middle cluster-label")


def _folded(points: Sequence[Point]) -> list[Point]:
    """Merge rare groups and clusters, as a drawing has few kinds that can be told apart."""
    groups = {name for name, _ in Counter(point.group for point in points).most_common(_MAX_GROUPS)}
    clusters = {number for number, _ in Counter(point.cluster for point in points).most_common(_MAX_CLUSTERS)}
    return [
        point.model_copy(
            update={
                "group": point.group if point.group in groups else _OTHER_GROUPS,
                "cluster": point.cluster if point.cluster in clusters else _OTHER_CLUSTERS,
            }
        )
        for point in points
    ]


def _css(cluster: int) -> str:
    if cluster < 0 or cluster == _OTHER_CLUSTERS:
        return "point outlier"
    return f"point cluster-{cluster % _MAX_CLUSTERS} {'hollow' if cluster % 2 else 'solid'}"


def _name(cluster: int) -> str:
    if cluster == _OTHER_CLUSTERS:
        return "other clusters"
    return f"cluster {cluster}" if cluster >= 0 else "in no cluster"


def _placing(points: Sequence[Point]) -> Callable[[Point], tuple[float, float]]:
    """Return a function from a point to pixels; the samples fill the square up to a margin."""
    x_of, y_of = _scale([point.x for point in points]), _scale([point.y for point in points])
    margin = 18.0

    def place(point: Point) -> tuple[float, float]:
        inner = SIDE - 2 * margin
        return margin + inner * x_of(point.x), SIDE - margin - inner * y_of(point.y)

    return place


def _scale(values: Sequence[float]) -> Callable[[float], float]:
    """Return a linear function from the values' range to [0, 1]; halves keep the range from overflowing."""
    least, greatest = min(values, default=0.0) / 2, max(values, default=0.0) / 2
    span = greatest - least
    return lambda value: (value / 2 - least) / span if span > 0 else 0.5

"""What each detector's own numbers are worth, by attack: which metric tells backdoored from clean, before any limit.

Beside the main table, for those who build detectors. A model's statistic is the worst value of a metric over its
classes, pairs or layers, as it is and relative to the median of the places; the clean models of the split stand against
each attack. Also how often the worst place is a place of the planted backdoor.
"""

import statistics
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from benchmarks.efficacy.ranking import area
from benchmarks.efficacy.truth import truth_of
from benchmarks.zoo.recipe import CLEAN
from benchmarks.zoo.store import Entry
from gate import detectors
from gate.records.declarations import Metric
from gate.records.evidence import Evidence, Location, Measured, Measurement

MIN_PLACES = 3
"""With fewer places a median says nothing about the others."""


@dataclass(frozen=True)
class Statistic:
    """One number of one model, higher for worse, and whether it was found at the right place."""

    entry: Entry
    value: float
    right: bool | None
    """None for clean models, and where the place is neither class nor pair."""


@dataclass(frozen=True)
class Cell:
    """One attack under one metric."""

    area: float | None
    models: int
    right: int
    """Models whose worst place is of the backdoor."""
    placed: int
    """Models whose worst place could be."""


@dataclass(frozen=True)
class Line:
    """One metric of one detector."""

    detector: str
    metric: str
    form: str
    """`worst`, or `worst / median`."""
    clean: int
    overall: Cell
    attacks: Mapping[str, Cell]


def lines(measured: Sequence[tuple[Entry, Evidence]], *, within_task: bool = False) -> list[Line]:
    """Return a line for every metric with a worse direction that some model was measured by.

    A detector that the gate no longer has says nothing here: which direction was worse is not in its measurements.
    """
    known = set(detectors.names())
    found: dict[tuple[str, str, str], list[Statistic]] = defaultdict(list)
    for entry, evidence in measured:
        for detector, outcome in evidence.outcomes.items():
            if isinstance(outcome, Measured) and detector in known:
                for metric in detectors.load(detector).metrics:
                    for form, statistic in _statistics(entry, metric, outcome.measurements):
                        found[detector, metric.id, form].append(statistic)
    # A count that is nought in every model, as of hostile files, says nothing here.
    telling = {key: rows for key, rows in found.items() if len({row.value for row in rows}) > 1 or len(rows) == 1}
    return _without_twins([_line(*key, rows, within_task) for key, rows in telling.items()])


def _without_twins(rows: Sequence[Line]) -> list[Line]:
    """Drop lines that only repeat another of the same detector, as a ratio over its own median does."""
    kept: dict[tuple[object, ...], Line] = {}
    for row in rows:
        kept.setdefault((row.detector, row.clean, row.overall, tuple(row.attacks.items())), row)
    return list(kept.values())


def _statistics(entry: Entry, metric: Metric, measurements: Iterable[Measurement]) -> Iterable[tuple[str, Statistic]]:
    """Yield a model's worst value of a metric, as it is and over the median of all places."""
    own = [m for m in measurements if m.metric == metric.id]
    if metric.worse == "neither" or not own:
        return
    sign = 1.0 if metric.worse == "higher" else -1.0
    worst = max(own, key=lambda m: sign * m.value)
    yield "worst", Statistic(entry, sign * worst.value, _right(entry, worst.location))
    median = statistics.median(m.value for m in own)
    if len(own) >= MIN_PLACES and median > 0:
        yield "worst / median", Statistic(entry, sign * worst.value / median, _right(entry, worst.location))


def _right(entry: Entry, location: Location | None) -> bool | None:
    truth = truth_of(entry)
    return truth.names(location) if truth.backdoored and location is not None else None


def _line(detector: str, metric: str, form: str, rows: Sequence[Statistic], within_task: bool) -> Line:
    clean = [row for row in rows if row.entry.recipe.row.attack == CLEAN]
    planted = [row for row in rows if row.entry.recipe.row.attack != CLEAN]
    attacks = {row.entry.recipe.row.attack for row in planted}
    cells = {
        attack: _cell([row for row in planted if row.entry.recipe.row.attack == attack], clean, within_task)
        for attack in sorted(attacks)
    }
    return Line(detector, metric, form, len(clean), _cell(planted, clean, within_task), cells)


def _cell(planted: Sequence[Statistic], clean: Sequence[Statistic], within_task: bool) -> Cell:
    placed = [row.right for row in planted if row.right is not None]
    if not within_task:
        value = area([row.value for row in planted], [row.value for row in clean])
    else:
        value = _within_tasks(planted, clean)
    return Cell(value, len(planted), sum(placed), len(placed))


def _within_tasks(planted: Sequence[Statistic], clean: Sequence[Statistic]) -> float | None:
    """Return the area over pairs of models of the same task only, each task weighted by its pairs."""
    total, pairs = 0.0, 0
    for task in {row.entry.recipe.row.task for row in planted}:
        ours = [row.value for row in planted if row.entry.recipe.row.task == task]
        theirs = [row.value for row in clean if row.entry.recipe.row.task == task]
        if (value := area(ours, theirs)) is not None:
            total += value * len(ours) * len(theirs)
            pairs += len(ours) * len(theirs)
    return total / pairs if pairs else None


def text(rows: Sequence[Line]) -> str:
    """Return the lines as a Markdown table, one column an attack."""
    attacks = sorted({attack for row in rows for attack in row.attacks})
    head = ["detector", "metric", "form", "clean", "all", *attacks]
    out = [f"| {' | '.join(head)} |", f"|{'---|' * len(head)}"]
    for row in rows:
        cells = [_words(row.overall), *(_words(row.attacks.get(attack)) for attack in attacks)]
        out.append(f"| {' | '.join([row.detector, row.metric, row.form, str(row.clean), *cells])} |")
    return "\n".join(out) + "\n"


def _words(cell: Cell | None) -> str:
    """Return an area, the number of models, and how many of them showed it at the right place."""
    if cell is None or not cell.models:
        return ""
    value = "–" if cell.area is None else f"{cell.area:.2f}"
    return f"{value} ({cell.right}/{cell.placed})" if cell.placed else f"{value} (n={cell.models})"

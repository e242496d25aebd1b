"""A fleet as lines for the terminal, at most 80 columns wide: names of the registry are cut and made inert."""

from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Final

from gate.jail.inert import inert_line
from gate.records.fleet import TO_DO, FleetPlan, FleetStatus
from gate.renderers.fleet import BASES, by_model, cost, headline
from gate.renderers.text import count, duration, plain

WIDTH: Final = 80
_NAME: Final = 28
_MODELS, _ROWS = 30, 20


def status_lines(status: FleetStatus, folder: Path) -> Iterator[str]:
    """Yield the headline, a table by registered model, and what has to be looked at."""
    yield headline(status)
    if told := cost(status):
        yield from _wrapped(told, "  ")
    yield ""
    yield f"{'registered model':{_NAME}} {'approved':>9} {'flagged':>8} {'no verdict':>11} {'to do':>6} {'took':>11}"
    models = by_model(status)
    for name, states, seconds in models[:_MODELS]:
        yield _model(name, states, seconds)
    if len(models) > _MODELS:
        yield f"and {count(len(models) - _MODELS, 'more model')} in {_shown(folder / 'status.json')}"
    looked = list(_looked_at(status))
    if looked:
        yield ""
    for entry in looked[:_ROWS]:
        yield from _entry(*entry)
    if len(looked) > _ROWS:
        yield f"and {len(looked) - _ROWS} more in {_shown(folder / 'report.html')}"


def _model(name: str, states: dict[str, int], seconds: float) -> str:
    todo = sum(number for state, number in states.items() if state in TO_DO)
    approved, flagged = states.get("approved", 0), states.get("flagged", 0)
    without = sum(states.values()) - todo - approved - flagged
    took = duration(seconds) if seconds else ""
    shown = _cut(name, _NAME)
    shown += " " * (_NAME - columns_of(shown))
    return f"{shown} {approved:>9} {flagged:>8} {without:>11} {todo:>6} {took:>11}"


def _looked_at(status: FleetStatus) -> Iterator[tuple[str, str, str]]:
    """Yield what has to be looked at, each as a word, a name and a reason; what may be mended by another run first."""
    for mark in status.unmarked:
        yield "unmarked", mark.version, mark.why
    for row in status.rows:
        if row.ended and row.state != "approved":
            more = len(row.versions) - 1
            yield row.state, f"{row.versions[0]}{f' and {more} with the same bytes' if more else ''}", row.reason
    for one in status.unread:
        yield "not read", one.version, one.why


def _entry(word: str, name: str, why: str) -> Iterator[str]:
    yield f"{word.upper():9} {_cut(name, WIDTH - 10)}"
    if why:
        yield f"  {_cut(why, WIDTH - 2)}"


def plan_lines(plan: FleetPlan, done: Collection[str], folder: Path) -> Iterator[str]:
    """Yield what was planned, what of it is done (by the keys of tasks), and what the rest will take."""
    versions = sum(len(task.versions) for task in plan.tasks) + len(plan.unread)
    same = versions - len(plan.unread) - len(plan.tasks)
    yield f"{count(versions, 'version')}: {_cut(plan.chosen, WIDTH - 20)}"
    yield f"{count(len(plan.tasks), 'task')}, since {same} have the bytes of another; {len(done)} done before"
    for basis, means in BASES.items():
        tasks = [task for task in plan.tasks if task.predicted.basis == basis and task.key not in done]
        if tasks:
            seconds = duration(sum(task.predicted.seconds for task in tasks))
            yield f"expected {seconds} for {count(len(tasks), 'task')}, {means}"
    for one in plan.unread[:_ROWS]:
        yield from _entry("not read", one.version, one.why)
    if len(plan.unread) > _ROWS:
        yield f"and {len(plan.unread) - _ROWS} more that could not be read"
    yield f"plan     {_shown(folder / 'plan.json')}"
    yield f"next     gate fleet run {_shown(folder)}"


def _cut(text: str, width: int) -> str:
    """Return foreign text as one inert line of so many columns at most; a wide sign counts as two."""
    line = inert_line(plain(text, width), limit=width).replace("::", ": :")
    while columns_of(line) > width:
        line = f"{line[:-2]}…"
    return line


def columns_of(line: str) -> int:
    """Return the columns that a line takes on a terminal."""
    from rich.cells import cell_len

    return cell_len(line)


def _shown(path: Path) -> str:
    return inert_line(str(path), limit=1000)


def _wrapped(text: str, head: str) -> list[str]:
    from gate.cli.wrapping import wrapped

    return wrapped(text, WIDTH, head, head)

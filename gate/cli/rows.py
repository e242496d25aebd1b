"""Conditions as rows on the terminal: what was found, what was expected, and what mends it, whole."""

from collections.abc import Iterable, Iterator

import click

from gate.cli.wrapping import columns, wrapped
from gate.jail.inert import inert_line
from gate.promotion.machine import Condition

_SIGNS = {"ok": "ok    ", "unused": "-     ", "wrong": "WRONG "}
_NARROWEST = 60
_INDENT = 28


def show_rows(conditions: Iterable[Condition]) -> int:
    """Print conditions as they are found and return how many are wrong."""
    wrong = 0
    for condition in conditions:
        for line in rows(condition):
            click.echo(line)
        wrong += condition.state == "wrong"
    return wrong


def rows(condition: Condition) -> Iterator[str]:
    """Yield a condition in lines that fit the terminal, and what mends it whole, so that it can be copied."""
    width = columns(_NARROWEST)
    yield from _told(f"{_SIGNS[condition.state]} {condition.name:20} ", condition.said, width)
    if condition.mend:
        yield from _told(" " * _INDENT, condition.mend, width)
    if condition.command:
        yield inert_line(f"{'':{_INDENT}}{condition.command}", limit=1000)


def _told(head: str, text: str, width: int) -> list[str]:
    # What the registry says of itself is somebody else's text, and any part of it may come to a line's start.
    return wrapped(inert_line(text, limit=600).replace("::", ": :"), width, head, " " * _INDENT)

"""Conditions as rows on the terminal: what was found, what was expected, and what mends it, whole."""

from collections.abc import Iterable, Iterator

import click

from gate.cli.wrapping import columns, inert
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
    yield from inert(condition.said, 600, width, f"{_SIGNS[condition.state]} {condition.name:20} ", " " * _INDENT)
    if condition.mend:
        yield from inert(condition.mend, 600, width, " " * _INDENT, " " * _INDENT)
    if condition.command:
        yield inert_line(f"{'':{_INDENT}}{condition.command}", limit=1000)

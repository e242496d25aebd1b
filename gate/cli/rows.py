"""Lines of conditions (`gate doctor`, `gate serve --check`) and of the bytes that a signed decision covers."""

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

import click

from gate.cli.wrapping import columns, inert
from gate.jail.inert import inert_line

if TYPE_CHECKING:
    from gate.attestations.statement import Statement
    from gate.promotion.machine import Condition

_SIGNS = {"ok": "ok    ", "unused": "-     ", "wrong": "WRONG "}
_INDENT = 28


def show_rows(conditions: "Iterable[Condition]") -> int:
    """Print conditions as they are found and return how many are wrong."""
    wrong = 0
    for condition in conditions:
        for line in rows(condition):
            click.echo(line)
        wrong += condition.state == "wrong"
    return wrong


def rows(condition: "Condition") -> Iterator[str]:
    """Yield a condition in lines that fit the terminal; the command that fixes it stays whole, to be copied."""
    width = columns(least=60)
    yield from inert(condition.text, 600, width, f"{_SIGNS[condition.state]} {condition.name:20} ", " " * _INDENT)
    if condition.mend:
        yield from inert(condition.mend, 600, width, " " * _INDENT, " " * _INDENT)
    if condition.command:
        yield inert_line(f"{'':{_INDENT}}{condition.command}", limit=1000)


def covered_lines(statement: "Statement", hashed: str = "") -> list[str]:
    """Return the digests that a decision covers, by candidate and bundle, and which of them was hashed."""
    predicate = statement.predicate
    names = {predicate.model_digest: "candidate", predicate.bundle_digest: "bundle"}
    lines = [
        f"{names[digest]} {digest}{' (these bytes)' if digest == hashed else ''}"
        for digest in statement.covered_digests
    ]
    if not lines:
        lines.append("nothing: no bundle was written")
    if predicate.covers == "bundle":
        lines.append(f"not the candidate {predicate.model_digest}")
    if predicate.examined == "files":
        lines.append("the bytes alone: behaviour was not examined")
    return [f"{'' if number else 'covers':8} {line}" for number, line in enumerate(lines)]

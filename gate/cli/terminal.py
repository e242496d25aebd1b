"""Output of a command: lines and errors on standard error, the result on standard output."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from gate.cli.status_line import above
from gate.cli.wrapping import columns, wrapped
from gate.jail.inert import inert_line
from gate.records.logins import without_logins

if TYPE_CHECKING:
    from gate.records.report import Report

_WIDEST_RESULT = 120
_INDENT = " " * 6
"""Indent of continued lines on standard error."""


def tell(message: str) -> None:
    """Print one line of progress on standard error, with candidate-controlled names made inert and no login."""
    with above():
        _err(f"gate: {inert_line(without_logins(message), limit=1000)}")


def fail(message: str, what_to_do: str) -> None:
    """Print an error and what to do about it on standard error."""
    _err(f"gate: error: {inert_line(without_logins(message), limit=4000)}")
    if what_to_do:
        _err(f"      {inert_line(without_logins(what_to_do), limit=2000)}")


def _err(line: str) -> None:
    """Print a line on standard error: wrapped on a terminal, whole in a log, where it can be searched."""
    if sys.stderr.isatty():
        line = "\n".join(wrapped(line.strip(), columns(), line[: len(line) - len(line.lstrip())], _INDENT))
    click.echo(line, err=True)


def show_result(report: "Report", directory: Path | None, reports_at: str, but: str = "") -> None:
    """Print decision, findings, next steps, digests and the reports' place; `but` says why it is not on the version."""
    from gate.cli.result import heading, lines
    from gate.records.finding import Decision

    report, width = report.shown, columns(most=_WIDEST_RESULT)
    line, *rest = heading(report, width, but)
    word = report.decision.value.upper()
    click.secho(word, bold=True, fg="green" if report.decision is Decision.APPROVED else "red", nl=False)
    click.echo(
        "\n".join([line.removeprefix(word), *rest, *lines(report, directory, reports_at, width, published=not but)])
    )

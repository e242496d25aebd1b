"""What a person sees while they wait and when it is over: progress on standard error, the result on standard output.

Rich and the records of a report are imported by what draws them, so that `--help` and an error do not wait for them.
"""

import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from gate.jail.inert import inert_line

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.console import Console
    from rich.progress import TaskID
    from rich.table import Table

    from gate.launch import Progress as Report_progress
    from gate.report import Report
    from gate.verdict import Finding

_MAX_FINDINGS = 20
_MAX_STEPS = 50
_MAX_CONFIRMED = 8
_NARROW = 80
"""Columns of a line that names bytes: a label and a whole digest."""


def tell(message: str) -> None:
    """Print one line of progress on standard error; what a candidate named in it is made inert."""
    click.echo(f"gate: {inert_line(message, limit=1000)}", err=True)


def fail(message: str, what_to_do: str) -> None:
    """Print an error and what to do about it on standard error."""
    click.echo(f"gate: error: {inert_line(message, limit=4000)}", err=True)
    if what_to_do:
        click.echo(f"      {inert_line(what_to_do, limit=2000)}", err=True)


@contextmanager
def progress_bars() -> "Iterator[Report_progress]":
    """Yield a callback that draws one bar per step on a terminal, and prints a line per step elsewhere."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

    from gate.renderers.text import plain

    console = Console(stderr=True)
    if not console.is_terminal:
        yield _Lines().show
        return
    # A step's name comes from a worker: text, never markup, and at most so many bars.
    columns = (TextColumn("{task.description}", markup=False), BarColumn(), TimeElapsedColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True) as bars:
        tasks: dict[str, TaskID] = {}

        def show(step: str, done: int, total: int) -> None:
            if step not in tasks and len(tasks) == _MAX_STEPS:
                return
            if step not in tasks:
                tasks[step] = bars.add_task(plain(step, 40), total=total)
            bars.update(tasks[step], completed=done, total=total)

        yield show


class _Lines:
    """Progress for logs: a line when a step begins and at each quarter."""

    def __init__(self) -> None:
        self._shown: dict[str, int] = {}

    def show(self, step: str, done: int, total: int) -> None:
        """Print the step's quarter if it has not been printed."""
        quarter = 4 * done // max(total, 1)
        if step not in self._shown and len(self._shown) == _MAX_STEPS:
            return
        if self._shown.get(step, -1) < quarter:
            self._shown[step] = quarter
            tell(f"{step}: {25 * quarter} %")


def show_result(report: "Report", directory: Path | None, reports_at: str) -> None:
    """Print decision, the bytes that it is about, findings, target classes and where the reports lie."""
    from rich.console import Console

    from gate.renderers.calibration import in_short
    from gate.renderers.served import heading_alone, served
    from gate.renderers.text import plain
    from gate.verdict import Decision

    console = Console(file=sys.stdout, highlight=False, soft_wrap=False, width=_width())
    decision = report.decision
    colour = "green" if decision is Decision.APPROVED else "red"
    seen = served(report)
    # An approval of the bundle alone is said as such before the candidate is named.
    alone = (heading_alone(seen.alone),) if seen and seen.alone else ()
    console.print(f"[bold {colour}]{decision.value.upper()}[/]", " ".join((*alone, _subject(report))), sep="  ")
    if report.verdict is not None:
        findings = report.verdict.open_findings
        if findings:
            console.print(_table(findings))
        else:
            where = " on what is served" if report.verdict.told else ""
            console.print(f"No limit was exceeded{where} and nothing required was left out.", markup=False)
        _show_confirmed(console, report)
        waived = len(report.verdict.findings) - len(findings)
        if waived:
            console.print(f"{waived} further findings are waived; the report shows them.", markup=False)
        if report.verdict.target_classes:
            named = ", ".join(map(str, report.verdict.target_classes))
            console.print(f"target class{'es' if ',' in named else ''}: {named}", markup=False)
        console.print(f"p-value  {plain(in_short(report.verdict), 500).replace('::', ': :')}", markup=False)
        facts = report.evidence.facts if report.evidence else None
        if facts is not None and facts.judged is not None and len(facts.outputs) > 1:
            judged = plain(facts.judged.name, 200).replace("::", ": :")
            console.print(f"judged   the output '{judged}', one of {len(facts.outputs)}", markup=False)
        _show_served(console, report)
        console.print(f"policy   {plain(report.policy.name, 80)}@{report.verdict.policy_digest}", markup=False)
    if directory is not None:
        console.print(f"reports  {directory}/report.html (and .md, .json)", markup=False)
    if reports_at:
        console.print(f"logged   {reports_at}", markup=False)


def _show_served(console: "Console", report: "Report") -> None:
    """Print the digests of candidate and bundle, which of them the decision is about, and what opens the bundle."""
    from gate.renderers.served import in_short, served, told_in_short
    from gate.renderers.text import plain

    seen, verdict = served(report), report.verdict
    assert verdict is not None
    lines = [("model", verdict.model_digest), ("bundle", verdict.bundle_digest or "")]
    if seen is not None:
        covers = in_short(report)
        lines += [("bundle" if covers else "covers", seen.remark), ("covers", covers)]
        lines += [("opens", seen.opens), ("", seen.newer)]
    lines.append(("told", told_in_short(verdict)))
    for label, text in lines:
        if text:
            # Folding a long line may put any part of it at a line's start, where '::' begins a runner's command.
            console.print(_hanging(label, plain(text, 600).replace("::", ": :")), width=_NARROW)


def _hanging(label: str, text: str) -> "Table":
    """Return a labelled line whose continuations stand under its text."""
    from rich.table import Table
    from rich.text import Text

    line = Table(show_edge=False, box=None, pad_edge=False, show_header=False, padding=0)
    line.add_column(width=9, no_wrap=True)
    line.add_column(overflow="fold")
    line.add_row(Text(label), Text(text))
    return line


def _show_confirmed(console: "Console", report: "Report") -> None:
    """Print each suspect's confirming numbers on a line, as the report's table has them."""
    from gate.renderers.confirmation import confirmed_suspects, in_a_line
    from gate.renderers.text import plain

    suspects = confirmed_suspects(report)
    for suspect in suspects[:_MAX_CONFIRMED]:
        # A name may not put a runner's command at a line's start.
        place = plain(suspect.place, 40).replace("::", ": :")
        console.print(f"{place}: {in_a_line(suspect)}", markup=False)
    if len(suspects) > _MAX_CONFIRMED:
        console.print(f"{len(suspects) - _MAX_CONFIRMED} more suspects; the report lists all.", markup=False)


def _width() -> int:
    """Return a width in which no line of a log is broken in the middle of a digest."""
    from rich.console import Console

    return max(100, min(Console().width, 140))


def _subject(report: "Report") -> str:
    from rich.markup import escape

    from gate.renderers.text import plain

    return escape(plain(str(report.model), 200)) if report.model else escape(plain(report.uri, 200))


def _table(findings: "tuple[Finding, ...]") -> "Table":
    from rich.table import Table
    from rich.text import Text

    from gate.renderers.text import plain

    table = Table(show_edge=False, box=None, pad_edge=False, show_header=False)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    told = _told_once(findings)
    for rules, text in told[:_MAX_FINDINGS]:
        # Folding a long message may put any part of it at a line's start, where '::' begins a runner's command.
        message = plain(text, 500).replace("::", ": :")
        if len(rules) > 1:
            message += f" (and {', '.join(plain(rule, 40) for rule in rules[1:])})"
        table.add_row(Text(plain(rules[0], 40), style="bold"), Text(message))
    if len(told) > _MAX_FINDINGS:
        table.add_row(Text("…"), Text(f"{len(told) - _MAX_FINDINGS} more; the report lists all."))
    return table


def _told_once(findings: "tuple[Finding, ...]") -> "list[tuple[list[str], str]]":
    """Return each message in the findings' order with all the rules that say it; what one repeats of another is cut."""
    rules: dict[str, list[str]] = {}
    whole: list[str] = []
    for finding in findings:
        message = finding.message
        for earlier in whole:
            message = message.replace(earlier, "as said above.") if message != earlier else message
        whole.append(finding.message)
        rules.setdefault(message, []).append(finding.rule)
    return [(said, message) for message, said in rules.items()]

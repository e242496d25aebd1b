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


def examined_lines(statement: "Statement") -> list[str]:
    """Return what a decision says of the scan behind it: detectors by status, and the policy's commitment."""
    from gate.renderers.threats import by_status

    coverage, predicate = statement.predicate.coverage, statement.predicate
    if coverage is None:
        return ["examined not told: the decision was signed by an earlier gate"]
    planned = [one for one in coverage.detectors if one.planned]
    measured = sum(one.status == "measured" for one in planned)
    idle = sum(one.idle for one in planned)
    silent = [f"{one.id} ({one.status})" for one in planned if one.status != "measured" and not one.idle]
    told = f"{measured} of {len(planned)} detectors measured{f', {idle} had nothing to examine' if idle else ''}"
    missing = f"; not: {', '.join(silent)}" if silent else ""
    lines = [f"examined {told}{missing}"]
    shown = [one for one in coverage.threats if one.status != "not-detected"]
    lines += [f"threats  {word}: {named}" for word, named in by_status(shown)]
    made = coverage.commitment
    if made is None:
        return [*lines, "policy   not committed to before the scan"]
    if made.policy_digest != predicate.policy_digest:
        return [*lines, f"policy   another was committed to, {made.policy_digest}"]
    when = "before" if made.before_the_scan else "after the beginning of"
    logged = f", line {made.log_line} of the review log" if made.log_line else ""
    return [*lines, f"policy   committed to {when} the scan, {made.at:%Y-%m-%d %H:%M:%S} UTC{logged}"]


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

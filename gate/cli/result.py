"""The result of a check as lines for a terminal of any width: what was decided, what was found, what to do now.

Lines break between words; a digest stays whole and a command is broken before an option by a backslash, so that both
can be copied. Names from a candidate or registry are made inert: no line begins with a runner's command.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from gate.cli.wrapping import wrapped as folded

if TYPE_CHECKING:
    from gate.records.report import Report

MAX_REASONS = 8
MAX_SUSPECTS = 8
MAX_EXCERPTS = 4
_INDENT = "  "


def heading(report: "Report", columns: int, but: str = "") -> list[str]:
    """Return the decision and its subject, on one line where it fits; an approval of the bundle alone says so first.

    `but` says why a decision is not on the version, and stands beside it.
    """
    from gate.renderers.served import heading_alone, served
    from gate.renderers.text import plain
    from gate.renderers.view import unexamined

    seen = served(report)
    alone = heading_alone(seen.alone) if seen and seen.alone else ""
    subject = plain(str(report.model) if report.model else report.uri, 200).replace("::", ": :")
    word = report.decision.value.upper()
    alone = alone or unexamined(report).removeprefix(": ")
    if but:
        return [*wrapped(f"{word}, but {but}", columns), *wrapped(alone, columns), subject]
    if alone:
        return [f"{word}  {alone}", subject]
    line = f"{word}  {subject}"
    return [line] if len(line) <= columns else [word, subject]


def lines(
    report: "Report", directory: Path | None, reports_at: str, columns: int, *, published: bool = True
) -> Iterator[str]:
    """Yield the result without the heading; next steps follow only a published decision."""
    from gate.renderers.first import first
    from gate.renderers.served import oddities_in_short

    seen, verdict = first(report), report.verdict
    for sentence in seen.sentences:
        yield from wrapped(sentence, columns)
    for sentence in (seen.accuracy, seen.rate):
        yield from wrapped(sentence, columns)
    yield ""
    yield from _against(report, columns)
    if verdict is not None:
        yield from _suspects(report, columns)
        yield from wrapped(oddities_in_short(verdict), columns, "told     ")
    yield from _threats(report, columns)
    if published:
        yield from _steps(report, columns)
    yield ""
    yield from _bytes(report, columns)
    if directory is not None:
        yield from wrapped(f"{directory}/report.html (and .md, .json)", columns, "reports  ")
    yield from wrapped(reports_at, columns, "logged   ")


def wrapped(text: str, columns: int, label: str = "") -> Iterator[str]:
    """Yield a text as lines of at most so many columns, its continuations under its beginning."""
    from gate.renderers.text import plain

    # Any word may come to stand at a line's start, where a runner must not take it for a command.
    if shown := plain(text, 2000).replace("::", ": :"):
        yield from folded(shown, columns, label, " " * len(label))


def command(text: str, columns: int, indent: str = _INDENT) -> Iterator[str]:
    """Yield a command as a shell reads it, broken before an option where it is longer than a line."""
    from gate.renderers.commands import pieces
    from gate.renderers.text import plain

    line = indent
    for part in pieces(plain(text, 8000)):
        if line.strip() and len(line) + len(part) + 3 > columns:
            yield f"{line} \\"
            line = indent + _INDENT
        line += part if not line.strip() else f" {part}"
    yield line


def _against(report: "Report", columns: int) -> Iterator[str]:
    """Yield each reason with its rule, or that there is none."""
    from gate.renderers.findings import all_reasons, waived_findings
    from gate.renderers.text import count

    if report.verdict is not None and not report.verdict.open_findings and not report.error:
        where = " on what is served" if report.verdict.told else ""
        yield from wrapped(f"No limit was exceeded{where} and nothing required was left out.", columns)
    else:
        found = all_reasons(report)
        for reason in found[:MAX_REASONS]:
            label = "" if reason.rule == "error" else f"{reason.rule}: "
            yield from wrapped(f"{label}{reason.message} {reason.more}", columns, "- ")
        if len(found) > MAX_REASONS:
            yield from wrapped(f"{count(len(found) - MAX_REASONS, 'more reason')} in the report.", columns)
    if waived := len(waived_findings(report)):
        yield from wrapped(f"{count(waived, 'further finding')} waived; the report shows them.", columns)


def _suspects(report: "Report", columns: int) -> Iterator[str]:
    """Yield each suspect's confirming numbers on a line, as in the report's table, and the target classes."""
    from gate.renderers.confirmation import confirmed_suspects, in_a_line
    from gate.renderers.excerpts import in_lines
    from gate.renderers.first import first
    from gate.renderers.names import Names
    from gate.renderers.text import count, listed

    found = confirmed_suspects(report)
    if found and report.verdict is not None and not report.verdict.open_findings:
        yield from wrapped("Looked at more closely, and within the limits:", columns)
    for suspect in found[:MAX_SUSPECTS]:
        yield from wrapped(f"{suspect.place}: {in_a_line(suspect)}", columns, "- ")
    if len(found) > MAX_SUSPECTS:
        yield from wrapped(f"{count(len(found) - MAX_SUSPECTS, 'more suspect')} in the report.", columns)
    above = first(report).sentences
    for said, text in in_lines(report, MAX_EXCERPTS):
        # The head has said it already where it names the place.
        yield from wrapped("" if said in above else said, columns, "- ")
        yield from wrapped(text, columns, "text     ")
    targets = report.verdict.target_classes if report.verdict else ()
    if targets:
        names = Names.of(report)
        word = "target class" if len(targets) == 1 else "target classes"
        yield from wrapped(f"{word}: {listed([names.label(index) for index in targets])}", columns)


def _threats(report: "Report", columns: int) -> Iterator[str]:
    """Yield the threats by status; what was looked for and not found is not said to be absent."""
    from gate.renderers.threats import in_lines

    found = list(in_lines(report))
    if found:
        yield ""
        yield "Threats"
    for word, titles in found:
        yield from wrapped(titles, columns, f"{word:13} ")


def _steps(report: "Report", columns: int) -> Iterator[str]:
    from gate.renderers.next_steps import next_steps

    yield ""
    yield "What now"
    for number, step in enumerate(next_steps(report), start=1):
        label = f"{number}. "
        yield from wrapped(step.sentence, columns, label)
        if step.command:
            yield from command(step.command, columns, " " * len(label))


def _bytes(report: "Report", columns: int) -> Iterator[str]:
    """Yield the digests of candidate and bundle, which of them the decision covers, and what opens the bundle."""
    from gate.renderers.calibration import in_short as p_value
    from gate.renderers.calibration import secret_means
    from gate.renderers.history import past
    from gate.renderers.served import in_short, served

    verdict = report.verdict
    if verdict is None:
        return
    seen, covers = served(report), in_short(report)
    yield from wrapped(p_value(verdict), columns, "p-value  ")
    yield from wrapped(secret_means(report), columns, "secret   ")
    seen_before = past(report)
    yield from wrapped(seen_before.in_short if seen_before else "", columns, "history  ")
    facts = report.evidence.facts if report.evidence else None
    if facts is not None and facts.judged is not None and len(facts.outputs) > 1:
        yield from wrapped(f"the output '{facts.judged.name}', one of {len(facts.outputs)}", columns, "judged   ")
    yield from _digest("model", verdict.model_digest, columns)
    yield from _digest("bundle", verdict.bundle_digest or "", columns)
    if seen is not None:
        yield from wrapped(seen.remark, columns, "bundle   " if covers else "covers   ")
        yield from wrapped(covers, columns, "covers   ")
        yield from wrapped(seen.opens, columns, "opens    ")
        yield from wrapped(seen.newer, columns, "         ")
    yield from wrapped(report.policy.name, columns, "policy   ")
    yield from _digest("", verdict.policy_digest, columns)


def _digest(label: str, digest: str, columns: int) -> Iterator[str]:
    """Yield a digest whole, beside its label or, where that is too long for a line, below it."""
    if not digest:
        return
    line = f"{label:9}{digest}"
    if len(line) <= columns:
        yield line
        return
    if label:
        yield label
    yield digest

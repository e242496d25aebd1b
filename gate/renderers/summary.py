"""The job summary on GitHub: the head of the Markdown report, a link to the whole, and its other sections folded.

GitHub refuses a summary above 1 MiB. Where the report is larger, sections are left out from the last one on, and then
the head is cut at a line. Sections are found by the report's own headings: no name can add one, since all text of a
candidate is escaped, and lines within a fence are skipped.
"""

import re
from dataclasses import dataclass

from gate.records.report import Report
from gate.renderers import markdown
from gate.renderers.templates import MARKDOWN

MAX_BYTES = 1 << 20
OPEN = ("Why", "What to do next")
"""Titles of the sections that are not folded."""
_FENCE = re.compile(r"`{3,}|~{3,}")
"""Opening of a fence; a line of as many of the same signs closes it."""


def render(report: Report, link: str = "", notice: str = "", limit: int = MAX_BYTES, *, note: str = "") -> str:
    """Return the summary.

    `notice` says what could not be posted elsewhere, `link` where the whole report is, `note` what the pipeline adds.
    """
    template = MARKDOWN.get_template("summary.md.j2")
    parts = fold(markdown.render(report), OPEN)
    settings = {"link": link, "notice": notice, "note": note, "head": parts.head}
    kept = list(parts.sections)
    text = template.render(**settings, folded=kept, cut=False)
    while len(text.encode()) > limit and kept:
        kept.pop()
        text = template.render(**settings, folded=kept, cut=True)
    if len(text.encode()) <= limit:
        return text
    room = limit - len(template.render(**{**settings, "head": ""}, folded=[], cut=True).encode())
    head = parts.head.encode()[: max(0, room)].decode(errors="ignore").rpartition("\n")[0]
    return template.render(**{**settings, "head": head}, folded=[], cut=True)


def render_without_report(reason: str, exit_code: int, *, note: str = "") -> str:
    """Return the summary of a check that left no report: a usage error, or one that was killed."""
    return MARKDOWN.get_template("summary-without-report.md.j2").render(reason=reason, exit_code=exit_code, note=note)


@dataclass(frozen=True)
class Folded:
    """A report's head and its other sections by title."""

    head: str
    sections: tuple[tuple[str, str], ...]


def fold(report: str, opened: tuple[str, ...]) -> Folded:
    """Return a report's beginning with the sections of these titles, and all others apart, in their order."""
    parts = _sections(report)
    head = [text for title, text in parts if not title or title in opened]
    folded = tuple(
        (title, text.partition("\n")[2].strip("\n")) for title, text in parts if title and title not in opened
    )
    return Folded("\n".join(part.strip("\n") + "\n" for part in head), folded)


def _sections(report: str) -> list[tuple[str, str]]:
    """Return (title, text with its heading) of each section; the beginning has no title."""
    found: list[tuple[str, list[str]]] = [("", [])]
    fence = ""
    for line in report.splitlines():
        mark = _FENCE.match(line)
        if not fence:
            fence = mark[0] if mark else ""
        elif mark and mark[0].startswith(fence) and not line.strip(fence[0] + " "):
            fence = ""
            found[-1][1].append(line)
            continue
        if not fence and line.startswith("## "):
            found.append((line.removeprefix("## ").strip(), []))
        found[-1][1].append(line)
    return [(title, "\n".join(lines)) for title, lines in found]

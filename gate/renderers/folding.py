"""A Markdown report in parts: what a reader needs at once, and the sections that are folded below it.

Sections are found by the report's own headings. A name cannot make one: whatever a candidate wrote is escaped before,
and lines within a fence are passed over.
"""

import re
from dataclasses import dataclass

_HEADING = "## "
_FENCE = re.compile(r"`{3,}|~{3,}")
"""A line that begins so opens a fence; one of the same signs alone, and no fewer, closes it."""


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
        if not fence and line.startswith(_HEADING):
            found.append((line.removeprefix(_HEADING).strip(), []))
        found[-1][1].append(line)
    return [(title, "\n".join(lines)) for title, lines in found]

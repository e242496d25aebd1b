"""The job summary on GitHub: the head of the Markdown report, where the whole is, and its other sections folded.

GitHub refuses a summary above 1 MiB; the report is far below it by its own cuts. Where it is not, sections are left out
from the last one on, and then the head is cut at a line.
"""

from gate.records.report import Report
from gate.renderers import markdown
from gate.renderers.folding import fold
from gate.renderers.templates import MARKDOWN

MAX_BYTES = 1 << 20
OPEN = ("Why", "What to do next")
"""Sections that stand open; all others are folded, under their titles."""


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

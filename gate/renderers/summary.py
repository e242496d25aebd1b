"""The job summary on GitHub: the Markdown report under a line that says where the rest is.

GitHub refuses a summary above 1 MiB; the report is far below it by its own cuts, and is cut at a line where it is not.
"""

from gate.renderers import markdown
from gate.renderers.templates import MARKDOWN
from gate.report import Report

MAX_BYTES = 1 << 20


def render(report: Report, link: str = "", notice: str = "", limit: int = MAX_BYTES, *, note: str = "") -> str:
    """Return the summary.

    `notice` says what could not be posted elsewhere, `link` where the whole report is, `note` what the pipeline adds.
    """
    template = MARKDOWN.get_template("summary.md.j2")
    whole = markdown.render(report)
    settings = {"link": link, "notice": notice, "note": note}
    text = template.render(**settings, whole=whole, cut=False)
    if len(text.encode()) <= limit:
        return text
    room = limit - len(template.render(**settings, whole="", cut=True).encode())
    kept = whole.encode()[: max(0, room)].decode(errors="ignore").rpartition("\n")[0]
    return template.render(**settings, whole=kept, cut=True)


def render_without_report(reason: str, exit_code: int, *, note: str = "") -> str:
    """Return the summary of a check that left no report: a usage error, or one that was killed."""
    return MARKDOWN.get_template("summary-without-report.md.j2").render(reason=reason, exit_code=exit_code, note=note)

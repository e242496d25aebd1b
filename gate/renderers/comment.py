"""The sticky comment on a pull or merge request: the decision and its reasons, with the whole report folded below.

The whole report is left out where it does not fit, with a link to it. The first line is a hidden marker, by which the
comment is found again.
"""

import hashlib

from gate.records.report import Report
from gate.renderers import markdown
from gate.renderers.templates import MARKDOWN
from gate.renderers.view import View

MAX_BYTES = 65_000
"""Most bytes of UTF-8, below GitHub's 65,536 characters; GitLab takes more."""


def marker(report: Report) -> str:
    """Return the hidden line that identifies the comment, by a hash of model and policy."""
    model = report.model.name if report.model else report.uri
    name = f"{model}\0{report.policy.name}".encode("utf-8", errors="surrogatepass")
    return f"<!-- gate:{hashlib.sha256(name).hexdigest()[:32]} -->"


def render(report: Report, link: str = "", note: str = "") -> str:
    """Return the comment; the pipeline gives the address of the whole report and a note above it."""
    whole = markdown.render(report)
    template = MARKDOWN.get_template("comment.md.j2")
    settings = {"view": View(report), "marker": marker(report), "link": link, "note": note}
    text = template.render(**settings, whole=whole)
    return text if len(text.encode()) <= MAX_BYTES else template.render(**settings, whole="")

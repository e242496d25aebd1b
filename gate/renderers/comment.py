"""The sticky comment on a pull or merge request: the decision and why, short, with the whole report folded below.

GitHub takes 65,536 characters. The whole report is left out where it does not fit, and a link leads to it; the part
above the fold is bounded by its own cuts. The first line is a hidden marker, by which the comment is found again.
"""

import hashlib

from gate.records.report import Report
from gate.renderers import markdown
from gate.renderers.templates import MARKDOWN
from gate.renderers.view import view

MAX_BYTES = 65_000
"""In UTF-8, below GitHub's 65,536 characters however they are counted; GitLab takes more."""


def marker(report: Report) -> str:
    """Return the hidden line that names the comment: a hash of model and policy, so that each has one comment."""
    model = report.model.name if report.model else report.uri
    name = f"{model}\0{report.policy.name}".encode("utf-8", errors="surrogatepass")
    return f"<!-- gate:{hashlib.sha256(name).hexdigest()[:32]} -->"


def render(report: Report, link: str = "", note: str = "") -> str:
    """Return the comment; the pipeline gives the address of the whole report and a note to stand above it."""
    whole = markdown.render(report)
    template = MARKDOWN.get_template("comment.md.j2")
    settings = {"view": view(report), "marker": marker(report), "link": link, "note": note}
    text = template.render(**settings, whole=whole)
    return text if len(text.encode()) <= MAX_BYTES else template.render(**settings, whole="")

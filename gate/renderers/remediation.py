"""The files of a remediation: the record itself, a page and a text, by the same templates and escaping as a report."""

from collections.abc import Callable, Mapping
from types import MappingProxyType

from gate.records.remediation import REMEDIATION, RemediationReport
from gate.renderers.remediation_view import MAX_STATISTICS, view
from gate.renderers.templates import HTML, MARKDOWN


def render_json(report: RemediationReport) -> str:
    """Return the record as indented JSON in ASCII."""
    return report.pretty_json()


def render_html(report: RemediationReport) -> str:
    """Return one self-contained page, without script or network."""
    return HTML.get_template("remediation.html.j2").render(view=view(report), statistics=MAX_STATISTICS)


def render_markdown(report: RemediationReport) -> str:
    """Return Markdown for a terminal or a merge request, without pictures."""
    return MARKDOWN.get_template("remediation.md.j2").render(view=view(report), statistics=MAX_STATISTICS)


REMEDIATION_RENDERERS: Mapping[str, Callable[[RemediationReport], str]] = MappingProxyType(
    {
        REMEDIATION: render_json,
        "remediation.md": render_markdown,
        "remediation.html": render_html,
    }
)
"""File name to the function that makes it."""

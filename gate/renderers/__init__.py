"""From a report to a string, one format a file.

A renderer decides nothing; it shows what the verdict says. All text of the candidate or the registry is untrusted and
escaped by default (gate.renderers.templates).
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType

from gate.records.report import Report
from gate.renderers import codequality, cyclonedx, html, junit, markdown, sarif

RENDERERS: Mapping[str, tuple[str, Callable[[Report], str]]] = MappingProxyType(
    {
        "markdown": ("report.md", markdown.render),
        "html": ("report.html", html.render),
        "json": ("report.json", Report.pretty_json),
        "sarif": ("report.sarif", sarif.render),
        "junit": ("report.junit.xml", junit.render),
        "codequality": ("report.codequality.json", codequality.render),
        "cyclonedx": ("report.cdx.json", cyclonedx.render),
    }
)
"""Format to (file name in the report directory, function that writes it); docs/reference/contracts.md, section 4."""

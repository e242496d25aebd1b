"""From a report to a string, one format a file: pure functions that know no rule, no registry and no framework.

A renderer decides nothing; it shows what the verdict says. Whatever the candidate or the registry wrote is untrusted
text and escaped by default (gate.renderers.templates).
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType

from gate.records.report import Report
from gate.renderers import codequality, html, json, junit, markdown, sarif

Renderer = Callable[[Report], str]

RENDERERS: Mapping[str, tuple[str, Renderer]] = MappingProxyType(
    {
        "markdown": ("report.md", markdown.render),
        "html": ("report.html", html.render),
        "json": ("report.json", json.render),
        "sarif": ("report.sarif", sarif.render),
        "junit": ("report.junit.xml", junit.render),
        "codequality": ("report.codequality.json", codequality.render),
    }
)
"""Format to the file's name in the report directory (docs/reference/contracts.md, section 4) and the function that
makes it."""

__all__ = ["RENDERERS", "Renderer"]

"""`report.json`: the report itself, by its versioned schema (`gate schema report`)."""

from gate.records.report import Report


def render(report: Report) -> str:
    """Return the report as indented JSON in ASCII, so that no character of it can act on a terminal."""
    return report.pretty_json()

"""`report.md`: for a terminal, a job summary or a merge request's comment; short, without pictures.

All text of the candidate or the registry is escaped (gate.renderers.escape); tables are cut to the size of a comment.
"""

from gate.records.report import Report
from gate.renderers.confirmation import COLUMNS
from gate.renderers.measured import DetectorSection, MetricRow
from gate.renderers.templates import MARKDOWN
from gate.renderers.view import View
from gate.renderers.words import CONFIRMED_MEANS, Mark

_FIRST = (Mark.EXCEEDED, Mark.MISSING, Mark.WAIVED, Mark.CONFIRMS, Mark.WITHIN, Mark.IDLE, Mark.NO_LIMIT)
"""Order of the rows: findings against the model, limits that judged, the rest."""


def render(report: Report) -> str:
    """Return the report as GitHub-flavoured Markdown that any CommonMark reader can show."""
    seen = View(report)
    return MARKDOWN.get_template("report.md.j2").render(
        view=seen,
        measured=_measured(seen.detectors),
        sources=_sources(seen.detectors),
        confirmation_columns=COLUMNS,
        confirmed_means=CONFIRMED_MEANS,
    )


def _measured(detectors: tuple[DetectorSection, ...]) -> list[tuple[str, MetricRow | None, Mark]]:
    """Return a row for each metric, and for each detector without any, in the order of `_FIRST`."""
    rows: list[tuple[str, MetricRow | None, Mark]] = []
    for detector in detectors:
        rows += [(detector.id, row, row.mark) for row in detector.rows] or [(detector.id, None, detector.mark)]
    return sorted(rows, key=lambda entry: _FIRST.index(entry[2]))


def _sources(detectors: tuple[DetectorSection, ...]) -> dict[str, str]:
    """Return each source that the policy states, with the limits that have it."""
    found: dict[str, dict[str, list[str]]] = {}
    for detector in detectors:
        for row in detector.rows:
            if row.source:
                found.setdefault(row.source, {}).setdefault(detector.id, []).append(row.metric)
    return {
        source: "; ".join(f"{name}: {', '.join(metrics)}" for name, metrics in limited.items())
        for source, limited in found.items()
    }

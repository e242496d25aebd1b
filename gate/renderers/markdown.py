"""`report.md`: for a terminal, a job summary or a merge request's comment; short, without pictures.

Everything from the candidate or the registry is escaped (gate.renderers.escape); tables are cut so that the whole stays
below what GitHub accepts as a comment.
"""

from gate.records.report import Report
from gate.renderers.confirmation import COLUMNS
from gate.renderers.measured import DetectorSection, MetricRow
from gate.renderers.templates import MARKDOWN
from gate.renderers.view import view
from gate.renderers.words import CONFIRMED_MEANS, Mark

_FIRST = (Mark.EXCEEDED, Mark.MISSING, Mark.WAIVED, Mark.CONFIRMS, Mark.WITHIN, Mark.IDLE, Mark.NO_LIMIT)
"""The order in which a reader wants the rows: what stands against the model, what judged, what is only shown."""


def render(report: Report) -> str:
    """Return the report as GitHub-flavoured Markdown that any CommonMark reader can show."""
    seen = view(report)
    return MARKDOWN.get_template("report.md.j2").render(
        view=seen,
        measured=_measured(seen.detectors),
        sources=_sources(seen.detectors),
        confirmation_columns=COLUMNS,
        confirmed_means=CONFIRMED_MEANS,
    )


def _measured(detectors: tuple[DetectorSection, ...]) -> list[tuple[str, MetricRow | None, Mark]]:
    """Return a row for each metric, and one for each detector without any, by what it means for the verdict."""
    rows: list[tuple[str, MetricRow | None, Mark]] = []
    for detector in detectors:
        rows += [(detector.id, row, row.mark) for row in detector.rows] or [(detector.id, None, detector.mark)]
    return sorted(rows, key=lambda entry: _FIRST.index(entry[2]))


def _sources(detectors: tuple[DetectorSection, ...]) -> dict[str, str]:
    """Return each source that the policy states, with the limits that it stands for."""
    found: dict[str, dict[str, list[str]]] = {}
    for detector in detectors:
        for row in detector.rows:
            if row.source:
                found.setdefault(row.source, {}).setdefault(detector.id, []).append(row.metric)
    return {
        source: "; ".join(f"{name}: {', '.join(metrics)}" for name, metrics in limited.items())
        for source, limited in found.items()
    }

"""The rows of each detector: every metric's worst value against its limit.

A row's mark comes from the verdict's findings. Only the margin, a number for the reader, is computed here.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from gate.records.evidence import Failed, Measured, Measurement, Skipped
from gate.records.finding import Finding
from gate.records.limit import Limit
from gate.records.policy import Rule
from gate.records.report import Coverage, Report
from gate.renderers.causes import LEAST_CONTAINED, core
from gate.renderers.findings import causes_in_head
from gate.renderers.names import Names
from gate.renderers.text import count, number
from gate.renderers.typical import beside
from gate.renderers.words import Mark


@dataclass(frozen=True)
class MetricRow:
    """One metric of one detector."""

    metric: str
    meaning: str
    value: str
    where: str
    limit: str
    margin: str
    source: str
    mark: Mark
    typical: str = ""
    """Ranges of the zoo's clean and planted models."""


@dataclass(frozen=True)
class DetectorSection:
    """One detector of the policy, with its rows."""

    id: str
    title: str
    measures: str
    matters: str
    see: str
    mark: Mark
    note: str
    """Reason why nothing was measured; empty where something was."""
    rows: tuple[MetricRow, ...]


def sections(report: Report) -> tuple[DetectorSection, ...]:
    """Return one section for each detector of the policy, in its order."""
    covered = {coverage.detector: coverage for coverage in report.coverage}
    return tuple(_section(name, rule, covered.get(name), report) for name, rule in report.policy.detectors.items())


def _section(name: str, rule: Rule, coverage: Coverage | None, report: Report) -> DetectorSection:
    outcome = report.evidence.outcomes.get(name) if report.evidence else None
    findings = [f for f in report.verdict.findings if f.rule == name] if report.verdict else []
    measured, names = isinstance(outcome, Measured), Names.of(report)
    rows = _rows(rule, outcome, coverage, findings, report) if isinstance(outcome, Measured) else ()
    return DetectorSection(
        id=name,
        title=coverage.title if coverage else name,
        measures=coverage.measures if coverage else "",
        matters=coverage.matters if coverage else "",
        see=coverage.see if coverage else "",
        mark=_mark_of_detector(rule, findings, measured=measured, judged=report.verdict is not None),
        note="" if measured else unmeasured_below(name, coverage, report),
        rows=tuple(
            replace(row, where=names.within(row.where), typical=beside(report, name, row.metric)) for row in rows
        ),
    )


def unmeasured(name: str, coverage: Coverage | None, report: Report) -> str:
    """Return why a detector has no measurements, as one sentence."""
    outcome = report.evidence.outcomes.get(name) if report.evidence else None
    if isinstance(outcome, Failed):
        return f"Failed: {outcome.error}"
    if isinstance(outcome, Skipped):
        return f"Skipped: {outcome.reason}"
    if coverage is None or coverage.status == "measured":
        return "Absent: the evidence holds no outcome of it."
    if not coverage.detail and report.error:
        return "Not run: the check did not finish."
    return f"{coverage.status.capitalize()}: {coverage.detail or 'the evidence holds no outcome of it.'}"


def unmeasured_below(name: str, coverage: Coverage | None, report: Report) -> str:
    """Return the same below the head of the report, where a cause is not repeated."""
    outcome = report.evidence.outcomes.get(name) if report.evidence else None
    if isinstance(outcome, Failed | Skipped):
        why = outcome.error if isinstance(outcome, Failed) else outcome.reason
        if is_in_head(why, report):
            return "Not run, for a reason given above."
    return unmeasured(name, coverage, report)


def is_in_head(text: str, report: Report) -> bool:
    """Tell whether the head of the report shows the cause that a text gives."""
    why = core(text)
    return any(why == cause or (len(cause) >= LEAST_CONTAINED and cause in why) for cause in causes_in_head(report))


def _mark_of_detector(rule: Rule, findings: Sequence[Finding], *, measured: bool, judged: bool) -> Mark:
    still_open = [finding for finding in findings if not finding.waived]
    if any(finding.kind == "limit" for finding in still_open):
        return Mark.EXCEEDED
    if still_open or not judged:
        return Mark.MISSING
    if findings:
        return Mark.WAIVED
    if not measured:
        return Mark.IDLE
    return Mark.WITHIN if rule.limits else Mark.NO_LIMIT


def _rows(
    rule: Rule, outcome: Measured, coverage: Coverage | None, findings: Sequence[Finding], report: Report
) -> Iterator[MetricRow]:
    meanings = coverage.metrics if coverage else {}
    by_metric: dict[str, list[Measurement]] = {metric: [] for metric in rule.limits}
    for measurement in outcome.measurements:
        by_metric.setdefault(measurement.metric, []).append(measurement)
    classes = report.evidence.facts.classes if report.evidence else None
    for metric, found in by_metric.items():
        meaning, limit = meanings.get(metric, ""), rule.limits.get(metric)
        own = [finding for finding in findings if finding.metric == metric]
        if limit is None:
            yield _row_without_limit(metric, meaning, found)
        else:
            mark = _mark_of_detector(rule, own, measured=True, judged=report.verdict is not None)
            if mark is Mark.WITHIN and _confirms(coverage, metric, report):
                mark = Mark.CONFIRMS
            yield _row(metric, meaning, found, limit, mark, classes)


def _confirms(coverage: Coverage | None, metric: str, report: Report) -> bool:
    """Tell whether a limit on the metric is exceeded and only confirms a p-value."""
    shown = report.verdict.confirming if report.verdict else ()
    return coverage is not None and any((f.rule, f.metric) == (coverage.detector, metric) for f in shown)


def _row_without_limit(metric: str, meaning: str, found: Sequence[Measurement]) -> MetricRow:
    values = [measurement.value for measurement in found]
    least, greatest = number(min(values)), number(max(values))
    return MetricRow(
        metric=metric,
        meaning=meaning,
        value=least if least == greatest else f"{least} to {greatest}",
        where=_places(found),
        limit="none",
        margin="",
        source="",
        mark=Mark.NO_LIMIT,
    )


def _places(found: Sequence[Measurement]) -> str:
    """Return the one place of the values, or their number and kind."""
    if len(found) == 1:
        return str(found[0].location or "the whole model")
    kinds = {measurement.location.kind if measurement.location else "value" for measurement in found}
    kind = kinds.pop() if len(kinds) == 1 else "value"
    return count(len(found), kind, "classes" if kind == "class" else "")


def _row(
    metric: str, meaning: str, found: Sequence[Measurement], limit: Limit, mark: Mark, classes: int | None
) -> MetricRow:
    margins = [(margin, m) for m in found if (margin := _margin(limit, m.value, classes)) is not None]
    if not margins:
        worst = found[0] if found else None
        value, margin_words = (number(worst.value) if worst else "not measured"), ""
    else:
        margin, worst = min(margins, key=lambda pair: pair[0])
        # A limit of zero with a value of zero has no margin worth showing as "at the limit".
        value, margin_words = number(worst.value), _in_words(margin) if worst.value or margin else "–"
    return MetricRow(
        metric=metric,
        meaning=meaning,
        value=value,
        where=_where(worst, sum(1 for margin, _ in margins if margin < 0)),
        limit=limit.describe(classes),
        margin=margin_words,
        source=limit.source or "the policy states no source",
        mark=mark,
    )


def _margin(limit: Limit, value: float, classes: int | None) -> float | None:
    """Return the room between a value and its limit, negative beyond it; None without a bound."""
    try:
        least, greatest = limit.at(classes)
    except LookupError:
        return None
    room = ([value - least] if least is not None else []) + ([greatest - value] if greatest is not None else [])
    return min(room)


def _in_words(margin: float) -> str:
    return "at the limit" if margin == 0 else f"{number(abs(margin))} {'within' if margin > 0 else 'beyond'}"


def _where(worst: Measurement | None, beyond: int) -> str:
    if worst is None or worst.location is None:
        return "the whole model" if worst else ""
    return str(worst.location) + (f" and {number(beyond - 1)} more beyond" if beyond > 1 else "")

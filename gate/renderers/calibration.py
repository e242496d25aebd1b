"""How the verdict is calibrated, in sentences: the p-value and all that belongs to it, or why none is believed.

Pure; the same text stands in Markdown and HTML, and in short on the terminal.
"""

from gate.records.report import Report
from gate.records.verdict import Calibration, Verdict
from gate.renderers import words
from gate.renderers.text import count


def calibration_means(report: Report) -> str:
    """Return what calibrates the verdict, or that nothing does and why."""
    verdict, accepted = report.verdict, _accepted(report)
    if verdict is None:
        return f"There is no verdict. {words.UNCALIBRATED_MEANS}"
    standing = _standing(verdict.standing) if verdict.standing else ""
    if verdict.calibrated:
        return " ".join(part for part in (standing, accepted, _confirming(verdict), words.CALIBRATED_MEANS) if part)
    unbelieved = f"Shown, and not believed: {standing}" if standing else ""
    parts = (verdict.uncalibrated_because, unbelieved, accepted, words.UNCALIBRATED_MEANS)
    return " ".join(part for part in parts if part)


def _accepted(report: Report) -> str:
    """Return which of the bank's models had something against them and are in it for a reason, or nothing."""
    bank = report.evidence.bank if report.evidence else None
    if bank is None or not bank.accepted:
        return ""
    return (
        f"{count(len(bank.accepted), 'model')} of the bank had been accepted by its maker: {'; '.join(bank.accepted)}."
    )


def in_short(verdict: Verdict) -> str:
    """Return the p-value or the reason for its absence, as one line."""
    standing = verdict.standing
    if verdict.calibrated and standing is not None:
        return (
            f"{standing.p_value:.3g} {'by t distributions beside' if standing.by == 't' else 'over'} "
            f"{count(standing.models, 'clean model')} (level {standing.level:g}), "
            f"driven by {standing.driver}"
        )
    return f"none: {verdict.uncalibrated_because}"


def _standing(seen: Calibration) -> str:
    how = "class by class" if seen.kind == "per-class" else "by ratios within each model"
    if seen.by == "t":
        return (
            f"p = {seen.p_value:.3g} by t distributions beside {count(seen.models, 'clean model')} of the reference "
            f"bank, too few for ranks; the level is {seen.level:g}. What drives it is {seen.driver}. The rate of false "
            "alarms rests on trigger sizes that vary between clean models as they did where it was measured."
        )
    return (
        f"p = {seen.p_value:.3g} over {count(seen.models, 'clean model')} of the reference bank, compared {how}; the "
        f"level is {seen.level:g}, and so many models can give no p below {seen.least_p:.3g}. The score is "
        f"{seen.score:.3g}, from {seen.driver}. By t distributions alone p would be {seen.predictive_p:.2g}."
    )


def _confirming(verdict: Verdict) -> str:
    if not verdict.confirming:
        return "No limit that only confirms is exceeded."
    named = dict.fromkeys(f"{finding.rule} {finding.metric}" for finding in verdict.confirming)
    return f"Exceeded, and only confirming: {', '.join(named)}."

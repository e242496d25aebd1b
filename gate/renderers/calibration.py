"""How the verdict is calibrated, in sentences: the p-value and its background, or why none is believed."""

from gate.records.report import Report
from gate.records.verdict import Calibration, Verdict
from gate.renderers import words
from gate.renderers.text import count, plain


def calibration_means(report: Report) -> str:
    """Return what calibrates the verdict, or why nothing does."""
    verdict, accepted = report.verdict, _accepted(report)
    if verdict is None:
        return f"There is no verdict. {words.UNCALIBRATED_MEANS}"
    shown = " ".join(filter(None, (_in_sentences(verdict.standing) if verdict.standing else "", secret_means(report))))
    if verdict.calibrated:
        means = words.SELF_MADE_MEANS if verdict.standing and verdict.standing.copies else words.CALIBRATED_MEANS
        return " ".join(part for part in (shown, accepted, _confirming(verdict), means) if part)
    unbelieved = f"Shown, and not believed: {shown}" if shown else ""
    parts = (verdict.uncalibrated_because, unbelieved, accepted, *_without_bank(verdict))
    return " ".join(part for part in parts if part)


def _without_bank(verdict: Verdict) -> tuple[str, ...]:
    """Return the p-value within the model, and what it or the policy's limits mean."""
    seen = verdict.within
    within = _within(seen) if seen else ""
    if verdict.within_judged:
        return within, _confirming(verdict), words.WITHIN_MEANS
    return f"Shown, and judging nothing: {within}" if within else "", words.UNCALIBRATED_MEANS


def _within(seen: Calibration) -> str:
    made_of = plain(seen.made_of)
    return (
        f"p = {seen.p_value:.3g} among {seen.beside} that come with the gate ({made_of}), by how far the worst class "
        f"stands apart within each model; the level is {seen.level:g}, and so many models can give no p below "
        f"{seen.least_p:.3g}. The score is {seen.score:.3g}, from {seen.driver}."
    )


def secret_means(report: Report) -> str:
    """Return whether secret probes were compared with the bank's, in one sentence; empty where there are none."""
    bank = report.evidence.bank if report.evidence else None
    seen = bank.comparison if bank else None
    if seen is None or not (seen.secret_probes or seen.without_secret):
        return ""
    if seen.without_secret:
        return f"The secret probes were not compared: {seen.without_secret}."
    return f"{count(seen.secret_probes, 'secret probe')} were compared beside the fixed ones."


def ground(report: Report) -> str:
    """Return what stood behind the verdict: a bank, a self-made one, a p-value within the model, or limits there."""
    verdict = report.verdict
    if verdict is None or not verdict.calibrated:
        return "A p-value within the model" if verdict and verdict.within_judged else "Uncalibrated"
    return "Calibrated by a self-made bank" if verdict.standing and verdict.standing.copies else "Calibrated"


def _accepted(report: Report) -> str:
    """Return the bank's models that its maker accepted in spite of findings; empty where there are none."""
    bank = report.evidence.bank if report.evidence else None
    if bank is None or not bank.accepted:
        return ""
    if bank.self_made:
        return f"Without a bank the policy flags {count(len(bank.accepted), 'copy', 'copies')} of this one too."
    return (
        f"{count(len(bank.accepted), 'model')} of the bank had been accepted by its maker: {'; '.join(bank.accepted)}."
    )


def in_short(verdict: Verdict) -> str:
    """Return the p-value or the reason for its absence, as one line."""
    if (seen := verdict.judging) is not None:
        how = (
            "by t distributions beside"
            if seen.by == "t"
            else "over"
            if verdict.calibrated
            else "within the model, among"
        )
        return f"{seen.p_value:.3g} {how} {plain(seen.beside)} (level {seen.level:g}), driven by {seen.driver}"
    return f"none: {verdict.uncalibrated_because}"


def _in_sentences(seen: Calibration) -> str:
    how = "class by class" if seen.kind == "per-class" else "by ratios within each model"
    where = ";" if seen.copies or seen.others else " of the reference bank,"
    if seen.by == "t":
        return (
            f"p = {seen.p_value:.3g} by t distributions beside {plain(seen.beside)}{where} "
            f"too few for ranks; the level is {seen.level:g}. What drives it is {seen.driver}. The rate of false "
            "alarms rests on trigger sizes that vary between clean models as they did where it was measured."
        )
    by_t = "" if seen.predictive_p is None else f" By t distributions alone p would be {seen.predictive_p:.2g}."
    alike = " The bank's models score no higher than those of other tasks." if seen.others else ""
    return (
        f"p = {seen.p_value:.3g} over {plain(seen.beside)}{where} compared {how}; the "
        f"level is {seen.level:g}, and so many models can give no p below {seen.least_p:.3g}. The score is "
        f"{seen.score:.3g}, from {seen.driver}.{by_t}{alike}"
    )


def _confirming(verdict: Verdict) -> str:
    if not verdict.confirming:
        return "No limit that only confirms is exceeded."
    named = dict.fromkeys(f"{finding.rule} {finding.metric}" for finding in verdict.confirming)
    return f"Exceeded, and only confirming: {', '.join(named)}."

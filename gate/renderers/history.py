"""A version's score beside the signed decisions before it, in words and as rows; nothing here judges."""

from dataclasses import dataclass
from statistics import median

from gate.judging.calibrated import beside_bank, score_that_flags
from gate.judging.within import within_model
from gate.records.evidence import Evidence
from gate.records.history import History, PastDecision, scale_of
from gate.records.report import Report
from gate.records.verdict import Verdict
from gate.renderers.text import count, number

_REVIEWED = {
    "approved": "approved by reviewers",
    "rejected": "rejected by a reviewer",
    "waiting": "flagged, reviewers are asked",
}
_NO_SCORE = {"limits": "limits judged", "bytes": "bytes alone were judged"}


@dataclass(frozen=True)
class Version:
    """One version of the history, or the candidate itself."""

    number: str
    decision: str
    """Words for a person."""
    flagged: bool
    day: str
    """Day of its scan, in UTC."""
    score: float | None
    p_value: float | None
    note: str
    """What keeps its score from being compared; empty where nothing does."""
    own: bool = False
    """Whether it is the candidate."""

    @property
    def comparable(self) -> bool:
        """Whether its score is on the candidate's scale."""
        return self.score is not None and not self.note


@dataclass(frozen=True)
class Past:
    """The candidate beside the versions before it, the oldest first, itself last; a sentence may quote a registry."""

    versions: tuple[Version, ...]
    flags_above: float | None
    """Score above which this candidate's p-value would flag; None where no score is known to."""
    sentences: tuple[str, ...]

    @property
    def in_short(self) -> str:
        """The first sentence, for a terminal."""
        return self.sentences[0]


def past(report: Report) -> Past | None:
    """Return the history of a report; None where none was asked for, or the check did not finish."""
    evidence, verdict = report.evidence, report.verdict
    if evidence is None or verdict is None or report.error or evidence.history is None:
        return None
    scale = _own_scale(evidence, verdict)
    earlier = tuple(_version(one, scale) for one in evidence.history.decisions)
    own = _own(report, evidence, verdict)
    sentences = (*_scores(own, [one for one in earlier if one.comparable], len(earlier)), *_about(evidence.history))
    return Past((*earlier, own), _flags_above(report), tuple(filter(None, sentences)))


def _own_scale(evidence: Evidence, verdict: Verdict) -> str:
    bank = evidence.bank.digest if evidence.bank else None
    samples = f"sha256:{evidence.samples.sha256}" if evidence.samples else None
    return scale_of(verdict.judged_by, bank, samples, verdict.policy_digest, evidence.gate_version)


def _own(report: Report, evidence: Evidence, verdict: Verdict) -> Version:
    seen = verdict.judging
    return Version(
        number=evidence.model.version or "",
        decision=report.decision.value,
        flagged=report.decision.value == "flagged",
        day=report.checked_at[:10],
        score=seen.score if seen else None,
        p_value=seen.p_value if seen else None,
        note="" if seen else _NO_SCORE.get(verdict.judged_by, ""),
        own=True,
    )


def _version(one: PastDecision, scale: str) -> Version:
    return Version(
        number=one.version,
        decision=_REVIEWED.get(one.review or "", one.decision),
        flagged=one.decision == "flagged",
        day=f"{one.scanned_at:%Y-%m-%d}",
        score=one.score,
        p_value=one.p_value,
        note=_note(one, scale),
    )


def _note(one: PastDecision, scale: str) -> str:
    if one.score is None:
        return _NO_SCORE.get(one.by or "", "the decision states no score")
    return "" if one.scale == scale else "another bank, policy, samples or gate"


def _flags_above(report: Report) -> float | None:
    evidence, verdict = report.evidence, report.verdict
    assert evidence is not None
    assert verdict is not None
    calibrated = verdict.judged_by == "p-value-bank"
    seen = beside_bank(evidence) if calibrated else within_model(evidence, report.policy).judging
    if seen is None or verdict.judging is None:
        return None
    return score_that_flags(seen, report.policy, verdict.judging.level)


def _scores(own: Version, earlier: list[Version], decisions: int) -> tuple[str, ...]:
    """Return the candidate's score beside the comparable ones before it."""
    of = f"{count(decisions, 'signed decision')} on earlier versions"
    if own.score is None:
        return (f"This version has no score: {own.note}. Earlier versions have {count(decisions, 'signed decision')}.",)
    first = f"The score is {number(own.score)}"
    if not earlier:
        return (f"{first}. Of {of} none has a score that can be compared.",)
    scores = [one.score for one in earlier if one.score is not None]
    above = sum(score > own.score for score in scores)
    spread = f"from {number(min(scores))} to {number(max(scores))}, the median {number(median(scores))}"
    higher = "none is higher" if not above else f"{above} of them higher"
    return (f"{first}; of {of} {count(len(scores), 'score')} can be compared, {spread}: {higher}.",)


def _about(history: History) -> tuple[str, ...]:
    """Return what is not known of the history."""
    carry = count(history.unsigned, "earlier version carries", "earlier versions carry")
    unsigned = f"{carry} no decision that a trusted key signed." if history.unsigned else ""
    unlogged = (
        "" if history.logged else "No review log was asked: a decision that was taken off a version does not show."
    )
    return history.why, unsigned, unlogged

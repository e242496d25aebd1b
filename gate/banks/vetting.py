"""Objections to a model for a bank: a verdict, a reviewer's decision, or the build's own findings.

A bank of backdoored models calibrates the backdoor away: a model needs to be unflagged, or to have the operator's
reason why it is clean, which the bank holds. A finding only that no bank was there is no objection.
"""

import datetime as dt
from collections.abc import Iterable, Mapping

from gate.judging.judge import judge
from gate.records.evidence import Evidence
from gate.records.finding import Finding
from gate.records.policy import CALIBRATED_RULE, Policy
from gate.records.verdict import Verdict

ADVICE = (
    "Look at the report. Leave the model out; or, where you know by other means that it is clean, say how: "
    '--accept-flagged "REASON", which stands in the bank. Clean models that are left out because they look odd make '
    "every p-value too small."
)
_ELSEWHERE = frozenset({"assurance", "isolation", "bundle"})
"""Rules on the course of a check; `gate.banks.assemble` says whether a model may be measured for a bank."""
_SHOWN = 3


def against_finished(evidence: Evidence, verdict: Verdict | None) -> str:
    """Return the objection to a finished check, by its verdict, signed or not; empty where there is none."""
    if verdict is None:
        return "it has no verdict"
    if verdict.evidence_digest != evidence.digest:
        return "its verdict is about other evidence"
    return _named(verdict.open_findings)


def against_measured(evidence: Evidence, policy: Policy, tags: Mapping[str, str], on: dt.date) -> str:
    """Return the objection to a model that the build measured, by its tags, which are claims, and by the limits."""
    review = tags.get("gate.review", "")
    if review.startswith("rejected"):
        return f"a reviewer rejected it ({review[:200]})"
    if found := _named(judge(evidence, policy, on=on).open_findings):
        return found
    wants_bank = evidence.facts.few_classes or policy.uncalibrated == "flag"
    if tags.get("gate.decision") == "flagged" and not wants_bank:
        return "the registry has it flagged, for something that the bank's own scan does not look at"
    return ""


def _named(findings: Iterable[Finding]) -> str:
    # That no bank was there is no objection, other than a p-value beyond its limit.
    against = (one for one in findings if one.rule != CALIBRATED_RULE or one.kind == "limit")
    open_ones = [one for one in against if one.rule not in _ELSEWHERE]
    shown = "; ".join(f"{one.rule}: {one.message[:300]}" for one in open_ones[:_SHOWN])
    more = f"; and {len(open_ones) - _SHOWN} more" if len(open_ones) > _SHOWN else ""
    return f"it is flagged ({shown}{more})" if open_ones else ""

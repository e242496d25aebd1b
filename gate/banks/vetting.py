"""What stands against a model that is to be in a bank: a verdict, a reviewer's word, or what the build itself saw.

Pure, beside `gate.banks.assemble`. A bank of backdoored models calibrates the backdoor away, so that a model goes in
which nothing flagged, or of which the operator says why it is clean all the same; that reason stands in the bank. What
a model is flagged for because no bank stood beside it is nothing against it: where there is none yet, all are.
"""

import datetime as dt
from collections.abc import Iterable, Mapping

from gate.judging.calibrated import has_few_classes
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
"""Rules on how a check went; whether a model may be measured for a bank `gate.banks.assemble` says."""
_SHOWN = 3


def against_finished(evidence: Evidence, verdict: Verdict | None) -> str:
    """Return what stands against a finished check, by the verdict beside its evidence; empty where nothing does.

    An approval counts whether signed or not: whoever names the folder could have signed it, and answers for the models.
    """
    if verdict is None:
        return "it has no verdict"
    if verdict.evidence_digest != evidence.digest:
        return "its verdict is about other evidence"
    return _named(verdict.open_findings)


def against_measured(evidence: Evidence, policy: Policy, tags: Mapping[str, str], on: dt.date) -> str:
    """Return what stands against a model that the build measured: its tags' words, and the policy's limits.

    Tags are claims, and these can only add to what stands against it.
    """
    review = tags.get("gate.review", "")
    if review.startswith("rejected"):
        return f"a reviewer rejected it ({review[:200]})"
    if found := _named(judge(evidence, policy, on=on).open_findings):
        return found
    wants_bank = has_few_classes(evidence.facts.classes) or policy.uncalibrated == "flag"
    if tags.get("gate.decision") == "flagged" and not wants_bank:
        return "the registry has it flagged, for something that the bank's own scan does not look at"
    return ""


def _named(findings: Iterable[Finding]) -> str:
    """Return the first findings that speak against a model, each with its rule."""
    open_ones = [one for one in findings if not _wants_bank(one) and one.rule not in _ELSEWHERE]
    said = "; ".join(f"{one.rule}: {one.message[:300]}" for one in open_ones[:_SHOWN])
    more = f"; and {len(open_ones) - _SHOWN} more" if len(open_ones) > _SHOWN else ""
    return f"it is flagged ({said}{more})" if open_ones else ""


def _wants_bank(finding: Finding) -> bool:
    """Tell whether a finding is that no bank judged; one by a p-value is a limit's."""
    return finding.rule == CALIBRATED_RULE and finding.kind != "limit"

"""What a verdict says of each threat: detected, not detected, not examined with the reason, or waived.

A threat counts as examined where a detector that looks for it measured, and something in the policy judges what it
measured; where such a detector was silent it is not examined, whatever the others said. Not detected is not absent: it
stands with the share of such models that these rules find.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from gate.judging.calibrated import behind, in_p_value, shown_only
from gate.judging.completeness import SEARCHED, place_of, rightly_idle
from gate.judging.elsewhere import unlike
from gate.judging.reach import could_flag, states_reach
from gate.judging.threat_families import Family, families
from gate.judging.threat_rates import power_for
from gate.policies.declared import can_name_suspects
from gate.policies.spaces import spaces_of
from gate.records.comparison import Comparison
from gate.records.declarations import Space
from gate.records.evidence import Evidence, Measured, Skipped
from gate.records.finding import Finding
from gate.records.policy import CALIBRATED_RULE, Policy
from gate.records.threat import Threat
from gate.records.verdict import Verdict

_KINDS: Final[Mapping[str, frozenset[str]]] = {
    "adapters": frozenset({"adapter-files", "adapter-spectrum"}),
    "language models": frozenset({"difference-from-base", "language-files"}),
}
"""Detectors that only a policy for a kind that is judged beside its base runs, by kind."""


def threats_of(evidence: Evidence, verdict: Verdict, policy: Policy, judging: Comparison | None) -> tuple[Threat, ...]:
    """Return what a verdict says of every threat to a model of this kind; `judging` is the p-value that decided."""
    return tuple(_threat(family, evidence, verdict, policy, judging) for family in families_for(evidence, policy))


def families_for(evidence: Evidence, policy: Policy) -> list[Family]:
    """Return the threats to a kind that is judged beside its base, or those to a model of this kind of input."""
    if kind := _kind(evidence, policy):
        return [family for family in families() if family.of == kind or (family.of_files and not family.of)]
    spaces = _spaces(evidence, policy)
    return [family for family in families() if family.spaces & spaces and not family.of]


def _kind(evidence: Evidence, policy: Policy) -> str:
    """Return the kind by the model's files; of one that was not read, the one that the policy is for."""
    if evidence.facts.beside_base:
        return "adapters" if evidence.facts.adapter is not None else "language models"
    unread = evidence.facts.classes is None
    return next((kind for kind, own in _KINDS.items() if unread and own & set(policy.detectors)), "")


def _spaces(evidence: Evidence, policy: Policy) -> frozenset[Space]:
    """Return what the model takes; of one that was not read, what the policy's detectors are for."""
    return frozenset({evidence.facts.space}) if evidence.facts.classes is not None else spaces_of(policy)


def _threat(family: Family, evidence: Evidence, verdict: Verdict, policy: Policy, judging: Comparison | None) -> Threat:
    about = [f for f in verdict.findings if _is_of_a_limit(f) and _is_about(f, family, evidence, policy, judging)]
    still_open = [finding for finding in about if not finding.waived]
    if still_open:
        return Threat(id=family.id, title=family.title, status="detected", by=_rules(still_open))
    if about:
        return _waived(family, about)
    looking = [name for name in family.detectors if name in policy.detectors]
    if why := next(_unexamined(family, looking, evidence, verdict, policy, judging), ""):
        return Threat(id=family.id, title=family.title, status="not-examined", reason=why[:500])
    by = tuple(name for name in looking if _judges(name, evidence, policy, judging))
    without = tuple(name for name in looking if _passed_over(name, evidence, policy))
    power, unknown = power_for(family.id, policy, evidence, verdict, judging)
    return Threat(
        id=family.id,
        title=family.title,
        status="not-detected",
        by=by,
        without=without,
        power=power,
        power_unknown=unknown,
    )


def _is_of_a_limit(finding: Finding) -> bool:
    """Tell whether a limit on what the model does or is was exceeded, and not the one on how much was searched."""
    return finding.kind == "limit" and finding.metric != SEARCHED


def _is_about(finding: Finding, family: Family, evidence: Evidence, policy: Policy, judging: Comparison | None) -> bool:
    """Tell whether a finding is of a detector that looks for it or, by a p-value, of the detectors at its place."""
    if finding.rule != CALIBRATED_RULE:
        return finding.rule in family.rules
    drivers = behind(finding, judging, evidence, policy) if judging is not None else frozenset()
    return not family.of_files and bool(family.rules & drivers)


def _rules(findings: Sequence[Finding]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(finding.rule for finding in findings))


def _waived(family: Family, about: Sequence[Finding]) -> Threat:
    waivers = [finding.waiver for finding in about if finding.waiver is not None]
    return Threat(
        id=family.id,
        title=family.title,
        status="waived",
        by=_rules(about),
        waived_by=tuple(sorted({waiver.approved_by for waiver in waivers}))[:32],
        until=min(waiver.expires for waiver in waivers),
    )


def _unexamined(
    family: Family,
    looking: Sequence[str],
    evidence: Evidence,
    verdict: Verdict,
    policy: Policy,
    judging: Comparison | None,
) -> Iterator[str]:
    """Yield the reasons why nothing can be said of a threat, the plainest first."""
    if policy.files_only and not family.of_files:
        yield "the policy judges the bytes alone"
    if not looking:
        yield "the policy runs no detector that looks for it"
    if evidence.assurance is None and not family.of_files:
        yield "the model was not loaded"
    for finding in verdict.findings:
        if finding.rule == "samples" and finding.kind == "condition" and not family.of_files:
            yield "the clean samples do not fit the model"
        if finding.rule in looking and (finding.kind == "silence" or finding.metric == SEARCHED):
            yield f"{finding.rule} {_silent(finding.rule, evidence)}"
    for name in sorted(unlike(evidence, policy) & set(looking)):
        yield f"{name} was not measured as this policy asks for"
    if not any(_judges(name, evidence, policy, judging) for name in looking):
        yield _nothing_judges(looking, evidence)


def _judges(name: str, evidence: Evidence, policy: Policy, judging: Comparison | None) -> bool:
    """Tell whether a detector looked, and what it says can flag: by a limit for these classes, or by the p-value."""
    outcome = evidence.outcomes.get(name)
    nameable = can_name_suspects(policy, place_of(name, policy)[0])
    idle = isinstance(outcome, Skipped) and nameable and rightly_idle(name, evidence, policy)
    if not isinstance(outcome, Measured) and not idle:
        return False
    if judging is not None and name in in_p_value(judging, policy):
        return True
    confirming = shown_only(name, judging, policy) if judging is not None else frozenset()
    limits, classes = policy.detectors[name].limits, evidence.facts.classes
    asked = limits.keys() - confirming - {SEARCHED}
    return any(could_flag(name, metric, limits[metric], outcome, classes) for metric in asked)


def _passed_over(name: str, evidence: Evidence, policy: Policy) -> bool:
    """Tell whether a detector was skipped, as the policy allows, though there was something to examine."""
    return isinstance(evidence.outcomes.get(name), Skipped) and not rightly_idle(name, evidence, policy)


def _nothing_judges(looking: Sequence[str], evidence: Evidence) -> str:
    """Return why no detector could flag it: what they were skipped for, or that nothing judges what they measured."""
    outcomes = {name: evidence.outcomes.get(name) for name in looking}
    if measured := [name for name, outcome in outcomes.items() if isinstance(outcome, Measured)]:
        bounded = any(states_reach(name, outcome) for name, outcome in outcomes.items())
        which = "could have been beyond a limit here" if bounded else "in this check judges what was measured"
        return f"{' and '.join(measured)} measured, and nothing {which}"
    return next((f"{name} {_silent(name, evidence)}" for name in looking), "no detector looked for it")


def _silent(name: str, evidence: Evidence) -> str:
    """Return in the gate's own words what became of a detector; its reason stands with the detector."""
    match evidence.outcomes.get(name):
        case None:
            return "has no outcome"
        case Measured():
            return "measured less than the policy asks for"
        case Skipped():
            return "was skipped"
        case _:
            return "failed"

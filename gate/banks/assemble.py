"""A bank from the evidence of clean models: one task, one set of samples, one set of options.

The operator trusts the models; this module ensures that their numbers can be compared.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from gate import VERSION, detectors
from gate.detectors.contract import Need
from gate.judging.calibration.tables import compared_in, model_statistics
from gate.policies.declared import compared_statistics, measured_digests, option_digests
from gate.records.bank import BankSamples
from gate.records.errors import UsageError
from gate.records.evidence import Evidence, Measured
from gate.records.fields import Text
from gate.records.policy import Policy

_ADVICE = "Measure all models with one policy, one seed and the same samples; leave out what cannot be measured."


_ELSEWHERE = Need.TRAINING_SET | Need.PREVIOUS


@dataclass(frozen=True)
class Member:
    """One clean model and its evidence."""

    name: str
    uri: str
    evidence: Evidence
    against: str = ""
    """The objection to it (`gate.banks.vetting`), which the operator's reason in `accepted` overrules."""
    accepted: str = ""


def measuring_policy(policy: Policy) -> Policy:
    """Return the part of a policy that looks at every class of every model, and that a bank can compare.

    Detectors of suspects, of a training set, or of other versions look at something else in every model.
    """
    stages = []
    for stage in policy.plan():
        kept = tuple(name for name in stage.detectors if not _ELSEWHERE & detectors.load(name).needs)
        if stage.over == "all" and kept:
            stages.append(stage.model_copy(update={"detectors": kept}))
    named = {name for stage in stages for name in stage.detectors}
    rules = {name: rule for name, rule in policy.detectors.items() if name in named}
    return policy.model_copy(update={"stages": tuple(stages), "detectors": rules, "bank": None})


def assemble(members: Sequence[Member], policy: Policy, *, name: str, provenance: Text = "") -> dict[str, Any]:
    """Return a bank's keys except its references; members that were not measured alike are a `UsageError`."""
    if not members:
        raise UsageError("there is no model for the bank", what_to_do="Name clean models with --model.")
    members = sorted(members, key=lambda member: member.evidence.manifest_digest)
    first = members[0].evidence
    for member in members:
        _check(member, members[0], policy)
    # A finished check may have measured what this policy does not, of which no candidate of it has anything.
    statistics = tuple(
        model_statistics(
            member.name[:2000],
            {name: one for name, one in member.evidence.outcomes.items() if name in policy.detectors},
            member.evidence.samples.accuracy if member.evidence.samples else None,
            compared_statistics(),
            uri=member.uri[:2000],
            digest=member.evidence.manifest_digest,
        ).model_copy(update={"against": member.against[:2000], "accepted": member.accepted[:2000]})
        for member in members
    )
    everywhere = measuring_policy(policy).detectors
    compared = compared_in(statistics, [one for one in compared_statistics() if one.detector in everywhere])
    if not compared:
        raise UsageError("nothing that could be compared was measured on the models", what_to_do=_ADVICE)
    samples, settings = first.samples, option_digests(policy)
    return {
        "name": name,
        "provenance": provenance,
        "gate_version": VERSION,
        "policy": f"{policy.name}@{policy.digest}",
        "seed": first.seed,
        "samples": BankSamples(sha256=samples.sha256, count=samples.count) if samples else None,
        "classes": first.facts.classes,
        "space": first.facts.space,
        "input_shape": first.facts.input_shape,
        "adapters": first.group,
        "settings": {statistic.detector: settings[statistic.detector] for statistic in compared},
        "compared": compared,
        "statistics": statistics,
    }


def refusal(evidence: Evidence) -> str:
    """Return why a model cannot be in a bank, or nothing."""
    if evidence.problems:
        return evidence.problems[0]
    if evidence.facts.beside_base and evidence.group is None:
        return "its ranks lie in two bands" if evidence.base else "no base was given; name one with --base"
    if evidence.assurance in {None, "C"}:
        return "it was not loaded without its own code"
    for name, outcome in evidence.outcomes.items():
        if outcome.status == "failed":
            return f"{name} failed on it"
    return "" if any(isinstance(one, Measured) for one in evidence.outcomes.values()) else "nothing was measured"


def _check(member: Member, first: Member, policy: Policy) -> None:
    """Refuse a member that was not measured, or not like the first one and by the policy."""
    if why := refusal(member.evidence):
        raise UsageError(f"{member.name} cannot be in the bank: {why}", what_to_do=_ADVICE)
    stated = option_digests(policy)
    for name, digest in measured_digests(member.evidence).items():
        if name in stated and digest != stated[name]:
            raise UsageError(
                f"{member.name} was measured by {name} with other options than the policy's", what_to_do=_ADVICE
            )
    shared = _shared(first.evidence)
    for what, value in _shared(member.evidence).items():
        if value != (expected := shared[what]):
            raise UsageError(
                f"{member.name} has another {what} than {first.name}: expected {expected}, got {value}",
                what_to_do=_ADVICE,
            )


def _shared(evidence: Evidence) -> dict[str, object]:
    return {
        "number of classes": evidence.facts.classes,
        "kind of input": evidence.facts.space,
        "input shape": evidence.facts.input_shape,
        "group beside a base": evidence.group,
        "seed": evidence.seed,
        "set of samples": evidence.samples.sha256 if evidence.samples else None,
    }

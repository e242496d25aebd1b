"""Evidence of another policy's scan: where this one asks for other measurements, it says so once, and how to get them.

A number that was measured with other options, or read from samples in another way, counts as not measured; so does a
detector that the other policy did not run. One sentence names all of them. Where limits alone differ nothing is
missing.
"""

import shlex
from collections.abc import Iterator

from gate.judging.completeness import place_of
from gate.policies.packaged import NAMES
from gate.records.evidence import Evidence, Measured
from gate.records.finding import Finding
from gate.records.policy import Policy

RULE = "policy"
"""What a finding by this module is named by."""


def unlike(evidence: Evidence, policy: Policy) -> frozenset[str]:
    """Return the detectors whose measurements are not those that this policy asks for.

    None where the evidence is of a scan by this very policy, or does not say by which: what is missing there is a fault
    of its own, and each detector says so.
    """
    if evidence.policy_digest in {None, policy.digest}:
        return frozenset()
    return frozenset(name for name in policy.detectors if _is_unlike(name, evidence, policy))


def _is_unlike(name: str, evidence: Evidence, policy: Policy) -> bool:
    outcome = evidence.outcomes.get(name)
    if outcome is None:
        return True
    return isinstance(outcome, Measured) and dict(outcome.options) != dict(policy.options_of(name))


def follows(finding: Finding, others: frozenset[str], policy: Policy) -> bool:
    """Tell whether a silence of a detector over suspects only follows from what was not measured as the policy asks."""
    if not others or finding.kind != "silence" or finding.rule not in policy.detectors:
        return False
    number, stage = place_of(finding.rule, policy)
    earlier = {name for before in policy.plan()[: number - 1] for name in before.detectors}
    return stage.over == "suspects" and bool(others & earlier)


def of_other_policy(evidence: Evidence, policy: Policy, others: frozenset[str]) -> Iterator[Finding]:
    """Yield the one finding on all that another policy's scan did not measure as this one asks."""
    reading = _read_otherwise(evidence, policy)
    if not others and not reading:
        return
    what = []
    if others:
        named = ", ".join(name for name in policy.detectors if name in others)
        count = "a detector" if len(others) == 1 else f"{len(others)} detectors"
        what.append(f"for {count} with other options than the evidence has: {named}")
    if reading:
        what.append("that the samples are read in another way (bounds, layout, mean, std, output)")
    message = f"This policy asks {' and '.join(what)}; scan again{_how(evidence, policy)}."
    yield Finding(rule=RULE, kind="silence", message=message)


def of_converted(evidence: Evidence) -> Iterator[Finding]:
    """Yield that a converted candidate's evidence tells of other bytes than a policy for files alone is about.

    Its outcomes are those of the bundle, which carries no code whatever the candidate does.
    """
    if evidence.assurance == "B" or evidence.original:
        message = "The bytes in this evidence are those of the converted bundle, and not the candidate's; scan again."
        yield Finding(rule=RULE, kind="silence", message=message)


def _read_otherwise(evidence: Evidence, policy: Policy) -> bool:
    """Tell whether the scan gave the model its samples otherwise than this policy states; unknown of earlier gates."""
    read = evidence.samples.reading if evidence.samples else None
    return read is not None and read != policy.samples.of(evidence.model.name).reading


def _how(evidence: Evidence, policy: Policy) -> str:
    """Return the command where it is known: a policy file has a path that the evidence does not."""
    if policy.name not in NAMES:
        return " under it with `gate check`"
    words = ["gate", "check", evidence.model.uri, "--policy", policy.name]
    words += ["--samples", evidence.samples.source] if evidence.samples else []
    words += ["--bank", evidence.bank.source] if evidence.bank and evidence.bank.by_option else []
    words += ["--allow-code"] if evidence.assurance in {"B", "C"} else []
    words += ["--no-mark"] if evidence.model.version is None else []
    return f" with `{shlex.join(words)}`"

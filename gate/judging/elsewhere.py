"""Evidence of another policy's scan: one finding names all that this policy asks for and how to measure it.

A number that was measured with other options, or on samples that were read in another way, counts as not measured; so
does a detector that the other policy did not run. Where only limits differ nothing is missing.
"""

import shlex
from collections.abc import Iterator

from gate.judging.completeness import place_of
from gate.policies.packaged import NAMES
from gate.records.evidence import Evidence, Measured
from gate.records.finding import Finding
from gate.records.policy import Policy

RULE = "policy"
"""Rule of this module's findings."""


def unlike(evidence: Evidence, policy: Policy) -> frozenset[str]:
    """Return the detectors whose measurements are not those that this policy asks for.

    Empty where this very policy was scanned by, or the evidence names none: there each detector has its own finding.
    """
    if evidence.policy_digest in {None, policy.digest}:
        return frozenset()
    found = set()
    for name in policy.detectors:
        outcome = evidence.outcomes.get(name)
        other = isinstance(outcome, Measured) and dict(outcome.options) != dict(policy.options_of(name))
        if outcome is None or other:
            found.add(name)
    return frozenset(found)


def follows(finding: Finding, others: frozenset[str], policy: Policy) -> bool:
    """Tell whether a suspect detector's silence only follows from what other detectors did not measure."""
    if not others or finding.kind != "silence" or finding.rule not in policy.detectors:
        return False
    number, stage = place_of(finding.rule, policy)
    earlier = {name for before in policy.plan()[: number - 1] for name in before.detectors}
    return stage.over == "suspects" and bool(others & earlier)


def of_other_policy(evidence: Evidence, policy: Policy, others: frozenset[str]) -> Iterator[Finding]:
    """Yield one finding on everything that another policy's scan did not measure as this one asks."""
    read = evidence.samples.reading if evidence.samples else None  # None in evidence of earlier gates
    reading = read is not None and read != policy.samples.of(evidence.model.name).reading
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
    """Yield a finding where a files-only policy meets evidence of a conversion, which is about the bundle's bytes."""
    if evidence.assurance == "B" or evidence.original:
        message = "The bytes in this evidence are those of the converted bundle, and not the candidate's; scan again."
        yield Finding(rule=RULE, kind="silence", message=message)


def _how(evidence: Evidence, policy: Policy) -> str:
    """Return the command, where it is known: the evidence does not hold the path of a policy file."""
    if policy.name not in NAMES:
        return " under it with `gate check`"
    words = ["gate", "check", evidence.model.uri, "--policy", policy.name]
    words += ["--samples", evidence.samples.source] if evidence.samples else []
    words += ["--bank", evidence.bank.source] if evidence.bank and evidence.bank.by_option else []
    words += ["--allow-code"] if evidence.assurance in {"B", "C"} else []
    words += ["--no-mark"] if evidence.model.version is None else []
    return f" with `{shlex.join(words)}`"

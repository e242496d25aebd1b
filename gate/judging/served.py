"""Which bytes an approval covers, and which findings on a candidate's bytes stay with them when these are not served.

Under `serve: bundle` production gets the gate's own bundle and nothing else of the candidate: a file, key or
requirement that no loader of the bundle ever sees is told, and does not flag. Code, hostile archives and names that
are built to deceive flag under either value of `serve`.
"""

from typing import Final

from gate.records.bundle import Covers
from gate.records.evidence import Evidence
from gate.records.finding import Finding
from gate.records.policy import Policy

ODDITIES: Final = frozenset(
    {
        ("artifact-integrity", "missing-files"),
        ("artifact-integrity", "unexpected-files"),
        ("consumer-hazards", "foreign-loaders"),
        ("consumer-hazards", "foreign-requirements"),
    }
)
"""By detector and metric: what honest people put beside a model, and what a bundle does not take over."""


def covers(evidence: Evidence, policy: Policy) -> Covers:
    """Return which bytes a verdict is about: of a converted candidate the bundle alone, whatever the policy says."""
    return "bundle" if evidence.assurance == "B" and not policy.files_only else policy.serve


def is_oddity(finding: Finding, evidence: Evidence, policy: Policy) -> bool:
    """Tell whether a finding is about bytes of the candidate that the policy does not serve, and is harmless there.

    Of a converted candidate the evidence holds what was seen of the bundle's bytes, none of which is an oddity.
    """
    candidates = policy.serve == "bundle" and evidence.assurance != "B"
    return candidates and finding.kind == "limit" and (finding.rule, finding.metric) in ODDITIES


def of_bundle(evidence: Evidence, policy: Policy) -> list[Finding]:
    """Return a finding where the policy serves the bundle alone and there is none, or where it is an earlier gate's."""
    if evidence.bundle_digest is not None and evidence.bundle is None:
        message = "The bundle is an earlier gate's, which did not write its program anew; scan again."
        return [Finding(rule="bundle", kind="silence", message=message)]
    if policy.serve != "bundle" or evidence.bundle_digest is not None or evidence.assurance is None:
        return []
    why = f": {evidence.unbundled}" if evidence.unbundled else "."
    message = f"The policy serves the gate's bundle alone, and there is none{why}"
    return [Finding(rule="bundle", kind="condition", message=message)]

"""Waivers: a finding that a person has accepted for these very bytes, until a day; it stays visible."""

import datetime as dt

from gate.records.evidence import Evidence
from gate.records.finding import Finding
from gate.records.policy import Policy


def with_waiver(finding: Finding, evidence: Evidence, policy: Policy, on: dt.date) -> Finding:
    """Attach the waiver that names this very finding, if one is in force for these bytes; only limits can be waived."""
    if finding.kind != "limit":
        return finding
    for waiver in policy.waivers:
        if (
            waiver.detector == finding.rule
            and waiver.metric == finding.metric
            and (waiver.location is None or waiver.location == str(finding.location))
            and waiver.model_digest == evidence.manifest_digest
            and waiver.expires >= on
        ):
            return finding.model_copy(update={"waiver": waiver})
    return finding

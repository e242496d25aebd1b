"""Digests of detectors' options, defaults included: numbers are compared only where these are equal.

Above the detectors' specs, which import no torch; used where a bank is made and where a scan is compared with one.
"""

import hashlib

from gate import detectors
from gate.records.evidence import Evidence, Measured
from gate.records.policy import Policy
from gate.records.record import canonical_json


def option_digests(policy: Policy) -> dict[str, str]:
    """Return the digest of each detector's options as a policy states them."""
    return {name: _digest(name, dict(policy.options_of(name))) for name in policy.detectors}


def measured_digests(evidence: Evidence) -> dict[str, str]:
    """Return the digest of the options with which each detector measured."""
    found = evidence.outcomes.items()
    return {name: _digest(name, outcome.options) for name, outcome in found if isinstance(outcome, Measured)}


def _digest(name: str, options: dict[str, object]) -> str:
    """Return the digest of stated options, those included that are gone since: they are what was measured with."""
    kind = detectors.load(name).options
    stated = kind.model_validate({key: value for key, value in options.items() if key not in kind.retired})
    gone = {key: options.get(key, value) for key, value in kind.retired.items()}
    return hashlib.sha256(canonical_json(stated.model_dump(mode="json", by_alias=True) | gone)).hexdigest()

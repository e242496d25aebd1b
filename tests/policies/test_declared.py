"""Digests of options: equal only where numbers were measured alike, by whichever gate."""

from typing import Any

from gate.policies.declared import measured_digests, option_digests
from gate.records.artifact import ModelRef
from gate.records.evidence import Evidence, Measured
from gate.records.policy import Policy, Rule

BEFORE = "f7c63e22ad1a5f57e43dffcb02609f4eb65ca5e42231a517ccba79c24e8b2b52"
"""Of the options of `maximum-margin` below, in banks of a gate that had the option `intrinsic-weight` besides."""
OF_THEN: dict[str, Any] = {"starts": 6, "steps": 24, "screened-classes": 1000}
"""What were defaults then."""


def test_banks_of_before_an_option_was_deleted_can_still_be_compared():
    """Its default is in the digest, since that is how the detector works."""
    assert (
        option_digests(Policy(version=1, detectors={"maximum-margin": Rule(options=OF_THEN)}))["maximum-margin"]
        == BEFORE
    )


def test_what_was_measured_with_another_value_of_it_cannot():
    """Nor does reading such evidence fail."""
    measured = {
        weight: Evidence(
            gate_version="0.1.0",
            model=ModelRef(registry="mlflow", name="m", version="1"),
            manifest_digest=f"sha256:{64 * 'a'}",
            isolation="full",
            device="cpu",
            seed=0,
            outcomes={
                "maximum-margin": Measured(measurements=(), seconds=0, options={**OF_THEN, "intrinsic-weight": weight})
            },
        )
        for weight in (0.0, 3.0)
    }
    digests = {weight: measured_digests(evidence)["maximum-margin"] for weight, evidence in measured.items()}
    assert digests[0.0] == BEFORE != digests[3.0]

"""What became of each limit: only a value that keeps its bound, and was judged by it, held."""

import json

import pytest

from gate.judging.applied import applied_limits
from gate.records.evidence import Measured, Measurement
from gate.records.limit import Limit
from gate.records.policy import Rule
from gate.records.report import Report
from gate.renderers import cyclonedx
from tests.attestations.scanned import RULES, beside_bank, default_policy, evidence, outcomes, sizes, verdict
from tests.attestations.signed import NOW

INDEX = Limit(max={8: 4.2, 20: 3.6}, judges="uncalibrated-only")


@pytest.fixture(autouse=True)
def no_packaged_models(monkeypatch):
    """Leave verdicts the same whatever the gate comes with."""
    monkeypatch.setattr("gate.judging.within.packaged", lambda: None)


def ruled(**limits):
    """Return the small policy with these limits on sizes."""
    rules = {name.replace("_", "-"): limit for name, limit in limits.items()}
    return RULES.model_copy(update={"detectors": {**RULES.detectors, "neural-cleanse": Rule(limits=rules)}})


def became(found, policy):
    """Return what became of each limit, by detector and metric."""
    rows = applied_limits(found, verdict(found, policy), policy)
    return {(one.detector, one.metric): one.outcome for one in rows}


def test_a_limit_that_was_exceeded_and_only_confirms_did_not_hold():
    """Seven against at most 4.2, beside a p-value that judged; the same limit holds where the value keeps it."""
    policy = ruled(anomaly_index=INDEX)
    assert became(evidence(bank=beside_bank()), policy)["neural-cleanse", "anomaly-index"] == "exceeded-confirms"
    within = evidence(bank=beside_bank(), outcomes=outcomes(neural_cleanse=sizes(index=1.0)))
    assert became(within, policy)["neural-cleanse", "anomaly-index"] == "held"


def test_an_oddity_that_is_not_served_is_told_and_did_not_hold():
    """Five unexpected files beside a bundle that alone is served."""
    policy = default_policy().model_copy(update={"serve": "bundle"})
    values = dict.fromkeys(policy.detectors["artifact-integrity"].limits, 0.0) | {"unexpected-files": 5.0}
    measured = Measured(measurements=tuple(Measurement(metric=m, value=v) for m, v in values.items()), seconds=1.0)
    seen = became(evidence(outcomes=outcomes(artifact_integrity=measured), policy_digest=policy.digest), policy)
    assert seen["artifact-integrity", "unexpected-files"] == "told"
    assert seen["artifact-integrity", "missing-files"] == "held"


def test_a_value_that_a_companion_excuses_did_not_hold():
    """It is beyond its own bound; the ratio beside it keeps the companion's."""
    policy = ruled(anomaly_index=Limit(max=4.2, together_with={"size-ratio": Limit(min=0.3)}))
    assert became(evidence(), policy)["neural-cleanse", "anomaly-index"] == "excused"


def test_what_another_policy_measured_and_nothing_judged_did_not_hold():
    """Values of other options are compared with no limit of this policy, whatever they are."""
    policy = RULES.model_copy(
        update={
            "detectors": {
                **RULES.detectors,
                "neural-cleanse": RULES.detectors["neural-cleanse"].model_copy(update={"options": {"steps": 9}}),
            }
        }
    )
    seen = became(evidence(outcomes=outcomes(neural_cleanse=sizes(index=1.0))), policy)
    assert seen["neural-cleanse", "anomaly-index"] == seen["neural-cleanse", "size-ratio"] == "not-judged"
    assert seen["unsafe-pickle", "unsafe-globals"] == "held"


def test_a_suspect_that_was_passed_over_leaves_its_limit_unjudged():
    """Values at other places keep the bound, and one place has none."""
    elsewhere = Measured(measurements=(Measurement(metric="silhouette", value=0.2),), seconds=1.0)
    seen = became(evidence(outcomes=outcomes(activation_clustering=elsewhere)), RULES)
    assert seen["activation-clustering", "silhouette"] == "not-judged"
    assert became(evidence(), RULES)["activation-clustering", "silhouette"] == "held"


@pytest.mark.parametrize(("index", "score"), [(7.0, 0.0), (1.0, 1.0)])
def test_the_bill_claims_that_a_limit_was_kept_only_where_it_was(index, score):
    """An exceeded limit that only confirms has the score nought, and its rationale says what it is."""
    policy = ruled(anomaly_index=INDEX)
    found = evidence(bank=beside_bank(), outcomes=outcomes(neural_cleanse=sizes(index=index)))
    report = Report(
        gate_version="0",
        checked_at=NOW.isoformat(),
        uri="models:/m/1",
        policy=policy,
        model=found.model,
        evidence=found,
        verdict=verdict(found, policy),
    )
    made = json.loads(cyclonedx.render(report))
    (row,) = [
        row
        for row in made["declarations"]["attestations"][0]["map"]
        if row["claims"] == ["limit-neural-cleanse-anomaly-index-max"]
    ]
    assert row["conformance"]["score"] == score
    assert row["conformance"]["rationale"].endswith("exceeded-confirms" if index > 4.2 else "held")

"""Reports that a worker would have to write to get a model approved under the default policy, for others to spoil."""

from gate.check.worker_results import expected_detectors
from gate.policies.packaged import DEFAULT
from gate.policies.read import read_policy
from gate.records.clock import today
from gate.records.evidence import Location, Measured, Measurement, Outcome, Skipped
from gate.records.facts import ModelFacts
from gate.records.job import ScanResult
from gate.records.policy import Policy
from gate.records.samples_evidence import SamplesEvidence

POLICY = DEFAULT
CLASSES = 10


def policy(without: str = "") -> Policy:
    """Return the policy that the gate recommends, as it is or without one detector."""
    full = read_policy(POLICY, on=today())
    stages = tuple(
        stage.model_copy(update={"detectors": tuple(name for name in stage.detectors if name != without)})
        for stage in full.stages
    )
    detectors = {name: rule for name, rule in full.detectors.items() if name != without}
    return full.model_copy(update={"stages": stages, "detectors": detectors})


def approvable(role: str, samples_sha256: str) -> ScanResult:
    """Return a result of a worker that finds nothing and misses nothing; the writer has a reason to write nothing."""
    if role == "writer":
        return ScanResult(isolation="full", problems=("No writer writes such a model.",), complete=True)
    rules = policy()
    outcomes = {name: _faultless(name, rules) for name in expected_detectors(rules, role)}
    if role == "inspector":
        return ScanResult(isolation="full", outcomes=outcomes, complete=True)
    samples = SamplesEvidence(source="samples", sha256=samples_sha256, count=20, classes_present=10, accuracy=1.0)
    return ScanResult(
        isolation="full",
        assurance="A",
        facts=ModelFacts(flavour="pytorch", format="pt2", classes=CLASSES, input_shape=(1, 8, 8)),
        samples=samples,
        stages=tuple(range(1, len(rules.plan()) + 1)),
        outcomes=outcomes,
        complete=True,
    )


def _faultless(name: str, rules: Policy) -> Outcome:
    stage = next(stage for stage in rules.plan() if name in stage.detectors)
    if stage.over == "suspects":
        return Skipped(reason="no suspects", options=dict(rules.options_of(name)))
    naming = {rule.metric: rule for each in rules.plan() for rule in each.suspects if rule.detector == name}
    values = (
        Measurement(
            metric=metric,
            value=1.0 if bounds.min is not None else 0.0,
            location=Location.of_class(index) if naming else None,
        )
        for metric, bounds in (naming | dict(rules.detectors[name].limits)).items()
        for index in range(CLASSES if naming else 1)
    )
    return Measured(measurements=tuple(values), seconds=1.0, options=dict(rules.options_of(name)))

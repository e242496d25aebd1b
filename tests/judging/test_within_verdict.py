"""Without a bank: one p-value within the model judges, or each limit as ever where there is none."""

import datetime as dt
import json

import pytest
from within_models import OPTIONS, clean_models, drawn, measured, outcomes

from gate.check.scan import foreseen
from gate.judging.judge import judge
from gate.records.artifact import ModelRef
from gate.records.bank_evidence import BankEvidence
from gate.records.comparison import Comparison, OneNumber
from gate.records.evidence import Evidence, Location, Measurement, Skipped
from gate.records.facts import ModelFacts
from gate.records.finding import Decision
from gate.records.limit import Limit
from gate.records.policy import Policy, Rule, Stage
from gate.records.samples_evidence import SamplesEvidence

DAY = dt.date(2026, 12, 1)
DIGEST = f"sha256:{'a' * 64}"
RATIO = Limit(min={8: 0.5}, judges="uncalibrated-only")
SILHOUETTE = Limit(max=0.6, judges="uncalibrated-only")
POLICY = Policy(
    version=1,
    within="judge",
    stages=(Stage(detectors=tuple(OPTIONS)), Stage(detectors=("activation-clustering",), over="suspects")),
    detectors={
        "neural-cleanse": Rule(limits={"size-ratio": RATIO}, options={"steps": 20}),
        "maximum-margin": Rule(),
        "head-indicators": Rule(),
        "activation-clustering": Rule(limits={"silhouette": SILHOUETTE}),
    },
)
PLANTED = (30.0,) * 3 + (1.0,) + (30.0,) * 6
NARROW = (30.0,) * 9 + (14.0,)
"""Beyond the limit for a ratio, as many clean models are."""


@pytest.fixture
def shipped(monkeypatch):
    """Return a function that lets the gate come with these clean models."""

    def ship(models):
        monkeypatch.setattr("gate.judging.within.packaged", lambda: clean_models(models))

    ship(drawn(39))
    return ship


def evidence(sizes=(30.0,) * 10, classes=10, **changes):
    """Return evidence of a candidate with these sizes of triggers."""
    found = outcomes(sizes) if len(sizes) == 10 else outcomes(sizes, (0.1,) * classes, (0.0,) * classes)
    search = found["neural-cleanse"]
    ratios = [
        Measurement(metric="size-ratio", value=v / 30, location=Location.of_class(k)) for k, v in enumerate(sizes)
    ]
    search = search.model_copy(update={"measurements": (*search.measurements, *ratios)})
    idle = Skipped(reason="no suspects")
    values = {
        "gate_version": "0",
        "model": ModelRef(registry="mlflow", name="m", version="1"),
        "manifest_digest": DIGEST,
        "assurance": "A",
        "isolation": "full",
        "device": "cpu",
        "seed": 0,
        "facts": ModelFacts(classes=classes),
        "samples": SamplesEvidence(source="a.npz", sha256="b" * 64, count=500, classes_present=classes, accuracy=0.97),
        "outcomes": {**found, "neural-cleanse": search, "activation-clustering": idle},
    }
    return Evidence(**{**values, **changes})


def verdict_on(seen, **changes):
    """Return the verdict, by the policy with these changes."""
    return judge(seen, POLICY.model_copy(update=changes), on=DAY)


def test_a_p_value_at_the_level_flags_and_names_the_class(shipped):
    """The finding says among which models; the limits confirm; the verdict says what these were made of."""
    verdict = verdict_on(evidence(PLANTED))
    (finding,) = verdict.findings
    assert (verdict.decision, verdict.calibrated, verdict.within_judged) == (Decision.FLAGGED, False, True)
    assert (finding.rule, finding.kind, finding.metric, verdict.target_classes) == (
        "calibration",
        "limit",
        "p-value",
        (3,),
    )
    assert finding.message == (
        "p = 0.025 among 39 clean models of other tasks, within one model; the policy flags at 0.05 and below. Its "
        f"score is {verdict.within.score:.3g}, from neural-cleanse size at class 3."
    )
    assert [one.metric for one in verdict.confirming] == ["size-ratio"]
    assert (verdict.within.kind, verdict.within.made_of) == (
        "within",
        "made-up models: tasks task, 10 to 10 classes",
    )
    assert (verdict.judging, verdict.standing) == (verdict.within, None)
    assert verdict.uncalibrated_because == "No reference bank stood beside the scan."


def test_a_limit_alone_no_longer_flags(shipped):
    """One class below its limit is what many clean models have; the limit is told as confirming."""
    verdict = verdict_on(evidence(NARROW))
    assert verdict.decision is Decision.APPROVED
    assert verdict.within.p_value > 0.05
    assert [one.metric for one in verdict.confirming] == ["size-ratio"]


def test_without_such_models_the_limits_judge_as_ever():
    """The verdict has none of the new keys."""
    verdict = verdict_on(evidence(NARROW))
    assert [one.metric for one in verdict.findings] == ["size-ratio"]
    assert not {"within", "within_judged"} & json.loads(verdict.canonical_json()).keys()
    assert verdict.uncalibrated_because == "No reference bank stood beside the scan."


UNBELIEVED = {
    "a level that they are too few for": ({"level": 0.02}, {}, "39 clean models can give none below 0.025"),
    "a detector over suspects": (
        {"stages": (Stage(detectors=("maximum-margin", "head-indicators")),
                    Stage(detectors=("neural-cleanse", "activation-clustering"), over="suspects"))},
        {},
        "neural-cleanse measured no size over the candidate's classes",
    ),
    "a class too many": ({}, {"facts": ModelFacts(classes=21)},
                         "the gate's clean models have other numbers of classes than 21"),
}  # fmt: skip


@pytest.mark.parametrize(("rules", "changes", "why"), UNBELIEVED.values(), ids=UNBELIEVED)
def test_where_there_is_no_p_value_the_limits_judge_and_the_verdict_says_why(shipped, rules, changes, why):
    """The reason stands beside that for the bank."""
    verdict = verdict_on(evidence(NARROW, **changes), **rules)
    assert (verdict.within, verdict.within_judged, verdict.confirming) == (None, False, ())
    assert "size-ratio" in {one.metric for one in verdict.findings}
    assert f"There is no p-value within the model either: {why}" in verdict.uncalibrated_because


@pytest.mark.parametrize("rules", [{"within": "show"}, {"uncalibrated": "flag"}])
def test_a_policy_may_have_it_shown(shipped, rules):
    """It decides nothing then, and the verdict has it."""
    verdict = verdict_on(evidence(NARROW), **rules)
    assert (verdict.decision, verdict.within_judged, verdict.judging) == (Decision.FLAGGED, False, None)
    assert verdict.within.p_value > 0.05


def test_earlier_policies_keep_their_digest():
    """The default of the key is left out of the canonical form."""
    assert b'"within":"judge"' in POLICY.canonical_json()
    assert b'"within"' not in POLICY.model_copy(update={"within": "show"}).canonical_json()


def test_beside_a_believed_bank_it_is_not_looked_at(shipped):
    """A bank's p-value judges; one that is not believed is shown beside it."""
    place = {"kind": "per-class", "score": 1.0, "detectors": ("neural-cleanse",)}
    bank = BankEvidence(
        digest=DIGEST, count=19, same_task=True, comparison=Comparison(**place, bank_scores=tuple(range(19, 0, -1)))
    )
    verdict = verdict_on(evidence(PLANTED, bank=bank))
    assert (verdict.decision, verdict.calibrated, verdict.within) == (Decision.APPROVED, True, None)
    few = bank.model_copy(update={"comparison": Comparison(**place, bank_scores=(3.0, 2.0, 1.0))})
    verdict = verdict_on(evidence(PLANTED, bank=few))
    assert (verdict.calibrated, verdict.within_judged, verdict.standing.models) == (False, True, 3)
    assert "over" not in verdict.findings[0].message


def test_few_classes_are_judged_where_there_are_clean_models_of_few(shipped):
    """Otherwise a bank alone can approve them, and that is foreseen once the classes are known."""
    three = evidence((30.0, 29.0, 28.0), 3)
    before = verdict_on(three)
    assert [(one.rule, one.kind) for one in before.findings] == [("calibration", "condition")]
    assert foreseen(3, POLICY, None)
    shipped([*drawn(39), *drawn(24, classes=3)])
    verdict = verdict_on(three)
    assert (verdict.decision, verdict.within_judged, verdict.within.models) == (Decision.APPROVED, True, 24)
    assert foreseen(3, POLICY, None) == ""
    assert foreseen(3, POLICY.model_copy(update={"within": "show"}), None)


def test_a_limit_outside_the_score_needs_its_bound(shipped):
    """With a p-value nothing else stands for a limit that cannot judge so few classes: it is a silence."""
    shipped(drawn(24, classes=3))
    rules = {**POLICY.detectors, "additive-trigger": Rule(limits={"size-ratio": RATIO})}
    policy = POLICY.model_copy(
        update={"detectors": rules, "stages": (Stage(detectors=(*OPTIONS, "additive-trigger")), POLICY.stages[1])}
    )
    three = evidence((30.0, 29.0, 28.0), 3)
    ratio = OneNumber(detector="neural-cleanse", metric="size-ratio", worse="lower", by="log")
    other = measured(ratio, (1.0,) * 3).model_copy(update={"options": {}})
    seen = three.model_copy(update={"outcomes": {**three.outcomes, "additive-trigger": other}})
    assert [(one.rule, one.kind) for one in judge(seen, policy, on=DAY).findings] == [("additive-trigger", "silence")]

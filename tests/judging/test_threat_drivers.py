"""What a verdict says of threats follows what was in the p-value, and of each finding what stands out at its place."""

import pytest

from gate.judging.judge import judge
from gate.records.comparison import PlaceScore, Surprise
from gate.records.evidence import Location, Measured, Measurement
from gate.records.limit import Limit
from gate.records.policy import Policy, Rule, Stage
from tests.attestations.scanned import DAY, RULES, beside_bank, evidence

COMPARED = ("head-indicators", "neural-cleanse", "probe-grid")
OUTSIDE = Limit(max=5.0, judges="uncalibrated-only")
POLICY = Policy(
    version=1,
    stages=(Stage(detectors=("unsafe-pickle", *COMPARED)),),
    detectors={
        "unsafe-pickle": RULES.detectors["unsafe-pickle"],
        "neural-cleanse": Rule(),
        "probe-grid": Rule(),
        "head-indicators": Rule(limits={"indicator": OUTSIDE}),
    },
    least_references=19,
    few_references="judge",
    other_task="judge",
)


def measured(metric, worst):
    """Return an outcome with a value at each class, the seventh being the worst."""
    rows = (
        Measurement(metric=metric, value=worst if k == 7 else 1.0, location=Location.of_class(k)) for k in range(10)
    )
    return Measured(measurements=tuple(rows), seconds=1.0)


OUTCOMES = {
    "unsafe-pickle": Measured(measurements=(Measurement(metric="unsafe-globals", value=0.0),), seconds=0.1),
    "neural-cleanse": measured("size", 1.0),
    "probe-grid": measured("patch-share", 0.1),
    "head-indicators": measured("indicator", 1.0),
}


def surprise(detector, metric, name="7"):
    """Return a surprise at a class."""
    return Surprise(detector=detector, metric=metric, kind="class", name=name, surprise=9.0)


SIZE = surprise("neural-cleanse", "size")
NATURAL = surprise("probe-grid", "natural-cells")


def place(score, *because):
    """Return the score of the class that these surprises are at."""
    return PlaceScore(kind="class", name=because[0].name, score=score, because=because)


def judged(outcomes=OUTCOMES, **changes):
    """Return the verdict beside a bank whose comparison has these keys."""
    bank = beside_bank()
    seen = bank.comparison.model_copy(update={"detectors": COMPARED, "predicting": ("neural-cleanse",), **changes})
    found = evidence(outcomes=outcomes, policy_digest=POLICY.digest, bank=bank.model_copy(update={"comparison": seen}))
    return judge(found, POLICY, on=DAY)


def said(verdict):
    """Return what it says of threats, with by what."""
    return {one.id: (one.status, one.by) for one in verdict.threats if one.id in {"patch", "semantic", "blend"}}


FEW = {"bank_scores": (3.0, 2.0, 1.0), "score": 99.0}
"""Three models, beside which t distributions over sizes judge."""


def test_beside_few_models_only_what_is_in_that_p_value_examines():
    """Counts of answers to probes have no part in it, however far out they are in the rank that judges nothing."""
    told = judged(
        **FEW, places=(place(99.0, NATURAL),), predictive_p=0.5, predictive=(SIZE.model_copy(update={"surprise": 0.6}),)
    )
    assert said(told) == {
        "patch": ("not-detected", ("neural-cleanse",)),
        "blend": ("not-detected", ("neural-cleanse",)),
        "semantic": ("not-examined", ()),
    }


def test_beside_few_models_a_finding_is_of_what_judged():
    """The rank's first place is of probes, and the sizes flag."""
    told = judged(
        **FEW,
        places=(place(99.0, NATURAL),),
        predictive_p=0.001,
        predictive=(SIZE.model_copy(update={"surprise": 7.0}),),
    )
    assert [str(one.location) for one in told.findings if one.metric == "p-value"] == ["class 7"]
    assert said(told) == {
        "patch": ("detected", ("calibration",)),
        "blend": ("detected", ("calibration",)),
        "semantic": ("not-examined", ()),
    }


def test_beside_a_bank_of_another_task_only_ratios_within_the_model_examine():
    """Counts and linear values by class were not compared, so that limits of their detectors judge on."""
    told = judged(kind="scale-free", places=(place(0.1, SIZE),))
    assert told.standing.p_value > told.standing.level
    assert said(told) == {
        "patch": ("not-detected", ("neural-cleanse",)),
        "blend": ("not-detected", ("neural-cleanse",)),
        "semantic": ("not-examined", ()),
    }
    odd = {**OUTCOMES, "head-indicators": measured("indicator", 9.0)}
    told = judged(odd, kind="scale-free", places=(place(0.1, SIZE),))
    assert [(one.rule, one.metric) for one in told.findings] == [("head-indicators", "indicator")]
    assert told.confirming == ()
    beside = judged(odd)
    assert [(one.rule, one.metric) for one in beside.confirming] == [("head-indicators", "indicator")]
    assert beside.findings == ()


@pytest.mark.parametrize("first", [50.0, 40.0])
def test_every_place_beyond_the_level_detects_what_stands_out_there(first):
    """Not the first one alone: two triggers may lie at two classes."""
    other = surprise("probe-grid", "natural-cells", "5")
    places = sorted((place(first, SIZE), place(45.0, other)), key=lambda one: -one.score)
    told = judged(score=max(first, 45.0), places=tuple(places))
    assert sorted(str(one.location) for one in told.findings) == ["class 5", "class 7"]
    assert said(told) == dict.fromkeys(("patch", "blend", "semantic"), ("detected", ("calibration",)))
    within = judged(score=first, places=(place(first, SIZE), place(2.0, other)))
    assert said(within)["semantic"] == ("not-detected", ("probe-grid",))


def test_a_p_value_without_a_place_is_of_the_first_one_or_of_all():
    """Where no place is beyond the level by itself, the finding names none."""
    told = judged(score=50.0, places=(place(20.0, NATURAL),))
    assert [one.location for one in told.findings] == [None]
    assert said(told)["semantic"][0] == "detected"
    assert {status for status, _ in said(judged(score=50.0, places=())).values()} == {"detected"}

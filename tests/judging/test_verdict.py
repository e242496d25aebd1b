"""The properties of the judgement, and a table of cases."""

import datetime as dt
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gate.judging.judge import forbids_loading, judge
from gate.records.artifact import ModelRef
from gate.records.bank_evidence import BankEvidence, SelfMadeEvidence
from gate.records.comparison import Comparison, PlaceScore, Pooled, Surprise, Trait
from gate.records.evidence import Evidence, Failed, Location, Measured, Measurement, Skipped, Unmeasured
from gate.records.facts import ModelFacts, OutputFacts
from gate.records.finding import Decision
from gate.records.limit import Limit
from gate.records.policy import BankSettings, Policy, Rule, Stage, SuspectRule, Waiver
from gate.records.sample_settings import SamplesPolicy
from gate.records.samples_evidence import SamplesEvidence

DAY = dt.date(2026, 12, 1)
DIGEST = "sha256:" + "a" * 64
INSIDE = Trait(name="accuracy", value=0.95, least=0.9, greatest=0.97)
TELLING = Surprise(detector="inversion", metric="index", kind="class", name="3", surprise=1.0)
ORDINARY = Comparison(
    kind="per-class",
    score=1.0,
    bank_scores=tuple(float(score) for score in range(19, 0, -1)),
    surprises=(TELLING,),
    places=(PlaceScore(kind="class", name="3", score=1.0, because=(TELLING,)),),
    detectors=("inversion",),
    traits=(INSIDE,),
)
BANK = BankEvidence(digest=DIGEST, count=19, same_task=True, comparison=ORDINARY)
ACCURATE = SamplesEvidence(source="clean.npz", sha256="b" * 64, count=500, classes_present=10, accuracy=0.97)
OVER = Limit(max=3.0, together_with={"ratio": Limit(min=0.5)})
FIRST = Stage(detectors=("bytes", "inversion"), suspects=(SuspectRule(detector="inversion", metric="index", max=2.0),))
POLICY = Policy(
    version=1,
    stages=(FIRST, Stage(detectors=("clusters",), over="suspects")),
    detectors={
        "bytes": Rule(limits={"count": Limit(max=0)}),
        "inversion": Rule(limits={"index": OVER, "ratio": Limit(min=0.3)}, options={"steps": 20}),
        "clusters": Rule(limits={"silhouette": Limit(max=0.6)}),
    },
)
WORSE = {"count": 1, "index": 1, "ratio": -1, "silhouette": 1}
"""In which direction each metric is worse."""


def at(metric, value, index=None):
    """Return a measurement, at a class where one is given."""
    return Measurement(metric=metric, value=value, location=None if index is None else Location.of_class(index))


def inversion(indices, ratios):
    """Return an outcome with an index and a ratio for each class."""
    measurements = [at("index", v, k) for k, v in enumerate(indices)] + [
        at("ratio", v, k) for k, v in enumerate(ratios)
    ]
    return Measured(measurements=tuple(measurements), seconds=1, options={"steps": 20})


def clusters(values):
    """Return an outcome with a silhouette for each class named."""
    return Measured(measurements=tuple(at("silhouette", v, k) for k, v in values.items()), seconds=1)


CLEAN = {
    "bytes": Measured(measurements=(at("count", 0),), seconds=1),
    "inversion": inversion([1.0] * 10, [1.0] * 10),
    "clusters": Skipped(reason="no suspects"),
}


def evidence(classes=10, **changes):
    """Return evidence against which nothing stands, but for the changes."""
    values = {
        "gate_version": "0",
        "model": ModelRef(registry="mlflow", name="m", version="1"),
        "manifest_digest": DIGEST,
        "assurance": "A",
        "isolation": "full",
        "device": "cpu",
        "seed": 0,
        "facts": ModelFacts(classes=classes),
        "samples": ACCURATE,
        "outcomes": CLEAN,
    }
    return Evidence(**{**values, **changes})


def outcomes(**changes):
    """Return the clean outcomes, but for the changes; None takes one away."""
    return {name: value for name, value in {**CLEAN, **changes}.items() if value is not None}


def flagged(seen, policy=POLICY):
    """Tell whether the evidence is flagged on the day."""
    return judge(seen, policy, on=DAY).decision is Decision.FLAGGED


@st.composite
def scans(draw):
    """Draw evidence near the limits: about half of it approved."""
    calm = st.sampled_from([0.5, 1.0, 1.9, 2.0])
    classes = draw(st.sampled_from([7, 8, 10]))
    indices = [draw(calm) for _ in range(classes)]
    ratios = [draw(st.sampled_from([0.5, 1.0])) for _ in range(classes)]
    odd = draw(st.sets(st.integers(0, classes - 1), max_size=2))
    for index in odd:
        indices[index] = draw(st.sampled_from([1.0, 2.1, 3.0, 3.1]))
        ratios[index] = draw(st.sampled_from([0.2, 0.3, 0.49, 0.5, 1.0]))
    suspects = [index for index, value in enumerate(indices) if value > 2]
    shown = {index: draw(st.sampled_from([0.1, 0.6, 0.7])) for index in suspects}
    if draw(st.booleans()):
        shown = dict(list(shown.items())[1:])
    found = outcomes(
        bytes=Measured(measurements=(at("count", draw(st.sampled_from([0, 0, 0, 1]))),), seconds=1),
        inversion=inversion(indices, ratios),
        clusters=clusters(shown) if shown else draw(st.sampled_from([Skipped(reason="x"), Failed(error="x")])),
    )
    return evidence(
        classes,
        outcomes=found,
        assurance=draw(st.sampled_from(["A", "A", "A", "B", "C"])),
        bank=draw(st.sampled_from([None, BANK])),
        samples=draw(st.sampled_from([ACCURATE, ACCURATE.model_copy(update={"accuracy": 0.2})])),
    )


def measurements_of(seen):
    """Return (detector, position) of every measurement."""
    return [
        (name, position)
        for name, outcome in seen.outcomes.items()
        if isinstance(outcome, Measured)
        for position in range(len(outcome.measurements))
    ]


def with_measurements(seen, name, change):
    """Return the evidence with one detector's list of measurements changed."""
    outcome = seen.outcomes[name]
    changed = outcome.model_copy(update={"measurements": tuple(change(list(outcome.measurements)))})
    return seen.model_copy(update={"outcomes": {**seen.outcomes, name: changed}})


@settings(deadline=None, max_examples=150)
@given(scans(), st.data())
def test_a_worse_measurement_never_approves(seen, data):
    """What is flagged stays flagged when any one value moves in its worse direction."""
    name, position = data.draw(st.sampled_from(measurements_of(seen)))
    step = data.draw(st.sampled_from([0.0, 0.3, 1.0, 5.0]))

    def worsen(items):
        item = items[position]
        items[position] = item.model_copy(update={"value": item.value + WORSE[item.metric] * step})
        return items

    assert flagged(with_measurements(seen, name, worsen)) >= flagged(seen)


@settings(deadline=None, max_examples=150)
@given(scans(), st.data())
def test_a_measurement_taken_away_never_approves(seen, data):
    """What is flagged stays flagged without any one measurement, and what is needed is missed."""
    name, position = data.draw(st.sampled_from(measurements_of(seen)))
    less = with_measurements(seen, name, lambda items: items[:position] + items[position + 1 :])
    assert flagged(less)


@settings(deadline=None, max_examples=100)
@given(scans(), st.sampled_from(sorted(CLEAN)), st.sampled_from(["gone", "failed", "skipped"]))
def test_a_detector_that_is_missing_fails_or_is_skipped_never_approves(seen, name, how):
    """Silence of a required detector flags, except where the policy's own stages leave it nothing to look at."""
    idle = {"gone": None, "failed": Failed(error="broke"), "skipped": Skipped(reason="no time")}[how]
    left = {key: value for key, value in {**seen.outcomes, name: idle}.items() if value is not None}
    after = seen.model_copy(update={"outcomes": left})
    alone = evidence(seen.facts.classes, bank=BANK, outcomes=left)
    rightly = how == "skipped" and name == "clusters" and not flagged(alone)
    assert flagged(after) or rightly
    assert flagged(after) >= (flagged(seen) and not rightly)


@settings(deadline=None, max_examples=60)
@given(scans())
def test_evidence_without_samples_is_never_approved(seen):
    """Taking the record of the clean samples away leaves nothing to believe."""
    assert flagged(seen.model_copy(update={"samples": None}))


@settings(deadline=None, max_examples=60)
@given(scans())
def test_behaviour_only_is_never_approved(seen):
    """Level C is flagged whatever was measured and whatever the policy asks for."""
    assert flagged(seen.model_copy(update={"assurance": "C"}), POLICY.model_copy(update={"assurance": "C"}))


@settings(deadline=None, max_examples=100)
@given(scans(), st.sampled_from(["inversion", "clusters", "bytes"]), st.sampled_from(sorted(WORSE)), st.data())
def test_a_waiver_touches_only_its_own_finding(seen, detector, metric, data):
    """Only a limit's finding of that detector, metric and place is waived; silence and conditions stay open."""
    location = data.draw(st.sampled_from([None, "class 0", "class 3"]))
    policy = POLICY.model_copy(update={"waivers": (waiver(detector=detector, metric=metric, location=location),)})
    before, after = judge(seen, POLICY, on=DAY), judge(seen, policy, on=DAY)
    assert len(before.findings) == len(after.findings)
    for plain, waived in zip(before.findings, after.findings, strict=True):
        own = plain.kind == "limit" and (plain.rule, plain.metric) == (detector, metric)
        assert waived.waived == (own and location in {None, str(plain.location)})
        assert waived.model_copy(update={"waiver": None}) == plain


def waiver(**changes):
    """Return a waiver of class 3's index, in force."""
    values = {
        "detector": "inversion",
        "metric": "index",
        "location": "class 3",
        "model_digest": DIGEST,
        "reason": "looked at",
        "approved_by": "a person",
        "expires": DAY,
    }
    return Waiver(**{**values, **changes})


SPIKE = evidence(
    outcomes=outcomes(
        inversion=inversion([1, 1, 1, 4.0, *[1] * 6], [1, 1, 1, 0.4, *[1] * 6]), clusters=clusters({3: 0.1})
    )
)


@pytest.mark.parametrize(
    ("changes", "still_open"),
    [
        ({}, False),
        ({"location": None}, False),
        ({"location": "class 4"}, True),
        ({"metric": "ratio"}, True),
        ({"detector": "clusters"}, True),
        ({"model_digest": "sha256:" + "c" * 64}, True),
        ({"expires": DAY - dt.timedelta(days=1)}, True),
    ],
)
def test_a_waiver_holds_for_one_finding_of_one_model_until_a_day(changes, still_open):
    """Another detector, metric, place, digest or a day that is past leaves the finding open."""
    assert flagged(SPIKE)
    policy = POLICY.model_copy(update={"waivers": (waiver(**changes),)})
    verdict = judge(SPIKE, policy, on=DAY)
    assert (verdict.decision is Decision.FLAGGED) == still_open
    assert verdict.target_classes == ((3,) if still_open else ())
    assert len(verdict.findings) == 1


def with_limit(limit):
    """Return the policy with another limit on the index."""
    rule = POLICY.detectors["inversion"].model_copy(update={"limits": {"index": limit}})
    return POLICY.model_copy(update={"detectors": {**POLICY.detectors, "inversion": rule}})


def with_samples(**update):
    """Return a policy that states something of the samples."""
    return POLICY.model_copy(update={"samples": SamplesPolicy(**update)})


def accuracy(value):
    """Return the sample record with another accuracy."""
    return ACCURATE.model_copy(update={"accuracy": value})


REFERENCES = BANK.model_copy(update={"comparison": None})
PINNED = POLICY.model_copy(update={"bank": BankSettings(path="bank.json", sha256=DIGEST.removeprefix("sha256:"))})
CASES = {
    "nothing stands against it": (evidence(), POLICY, None),
    "a problem": (evidence(problems=("The worker was killed.",)), POLICY, "scan"),
    "no model": (evidence(assurance=None), POLICY, "assurance"),
    "level B under A": (evidence(assurance="B"), POLICY, "assurance"),
    "level B under B": (evidence(assurance="B"), POLICY.model_copy(update={"assurance": "B"}), None),
    "isolation with details": (evidence(isolation="full (landlock 6)"), POLICY, None),
    "isolation too weak": (evidence(isolation="partial"), POLICY, "isolation"),
    "isolation enough": (evidence(isolation="partial"), POLICY.model_copy(update={"isolation": "partial"}), None),
    "isolation unknown": (evidence(isolation=""), POLICY.model_copy(update={"isolation": "none"}), "isolation"),
    "uncalibrated": (evidence(), POLICY.model_copy(update={"uncalibrated": "flag"}), "calibration"),
    "calibrated": (evidence(bank=BANK), POLICY.model_copy(update={"uncalibrated": "flag"}), None),
    "references that calibrate nothing": (
        evidence(bank=REFERENCES),
        POLICY.model_copy(update={"uncalibrated": "flag"}),
        "calibration",
    ),
    "seven classes and references alone": (
        evidence(7, bank=REFERENCES, outcomes=outcomes(inversion=inversion([1.0] * 7, [1.0] * 7))),
        POLICY,
        "calibration",
    ),
    "the pinned bank": (evidence(bank=BANK), PINNED, None),
    "no bank where one is pinned": (evidence(), PINNED, "calibration"),
    "another bank than the pinned one": (
        evidence(bank=BANK.model_copy(update={"digest": "sha256:" + "9" * 64})),
        PINNED,
        "calibration",
    ),
    "another bank by --bank": (
        evidence(bank=BANK.model_copy(update={"digest": "sha256:" + "9" * 64, "by_option": True})),
        PINNED,
        None,
    ),
    "seven classes": (
        evidence(7, outcomes=outcomes(inversion=inversion([1.0] * 7, [1.0] * 7))),
        POLICY,
        "calibration",
    ),
    "seven classes and a bank": (
        evidence(7, bank=BANK, outcomes=outcomes(inversion=inversion([1.0] * 7, [1.0] * 7))),
        POLICY,
        None,
    ),
    "other options": (
        evidence(outcomes=outcomes(bytes=CLEAN["bytes"].model_copy(update={"options": {"deep": False}}))),
        POLICY,
        "bytes",
    ),
    "a metric without a number": (
        evidence(outcomes=outcomes(bytes=Measured(measurements=(), seconds=1))),
        POLICY,
        "bytes",
    ),
    "a class without a number": (
        evidence(outcomes=outcomes(inversion=inversion([1.0] * 9, [1.0] * 10))),
        POLICY,
        "inversion",
    ),
    "unusual and small": (SPIKE, POLICY, "inversion"),
    "unusual, not small": (
        evidence(outcomes=outcomes(inversion=inversion([4.0, *[1] * 9], [0.5] * 10), clusters=clusters({0: 0.1}))),
        POLICY,
        None,
    ),
    "unusual, companion missing": (
        evidence(
            outcomes=outcomes(
                inversion=Measured(
                    measurements=tuple(at("index", 4.0 if k == 0 else 1.0, k) for k in range(10)),
                    seconds=1,
                    options={"steps": 20},
                ),
                clusters=clusters({0: 0.1}),
            )
        ),
        with_limit(OVER),
        "inversion",
    ),
    "unusual, companion elsewhere": (
        evidence(
            outcomes=outcomes(inversion=inversion([*[1] * 9, 4.0], [1.0] * 9), clusters=clusters({9: 0.1})),
        ),
        with_limit(OVER),
        "inversion",
    ),
    "companion silent for so many classes": (
        SPIKE,
        with_limit(Limit(max=3.0, together_with={"ratio": Limit(min={100: 0.1})})),
        "inversion",
    ),
    "table from ten classes": (evidence(), with_limit(Limit(max={10: 2.0})), None),
    "table from eleven classes": (evidence(), with_limit(Limit(max={11: 2.0})), "inversion"),
    "table, larger key beyond": (evidence(), with_limit(Limit(max={8: 2.0, 11: 0.1})), None),
    "a suspect not shown": (
        evidence(outcomes=outcomes(inversion=inversion([2.5, *[1] * 9], [1.0] * 10))),
        POLICY,
        "clusters",
    ),
    "a suspect shown": (
        evidence(outcomes=outcomes(inversion=inversion([2.5, *[1] * 9], [1.0] * 10), clusters=clusters({0: 0.1}))),
        POLICY,
        None,
    ),
    "another suspect shown": (
        evidence(outcomes=outcomes(inversion=inversion([2.5, *[1] * 9], [1.0] * 10), clusters=clusters({1: 0.1}))),
        POLICY,
        "clusters",
    ),
    "pinned samples": (evidence(), with_samples(sha256="b" * 64), None),
    "other samples than pinned": (evidence(), with_samples(sha256="c" * 64), "samples"),
    "overridden samples": (
        evidence(samples=ACCURATE.model_copy(update={"overridden": True})),
        with_samples(sha256="c" * 64),
        None,
    ),
    "near chance": (evidence(samples=accuracy(0.19)), POLICY, "samples"),
    "clear of chance": (evidence(samples=accuracy(0.2)), POLICY, None),
    "a least accuracy below chance": (evidence(samples=accuracy(0.15)), with_samples(min_accuracy=0.1), "samples"),
    "below the least accuracy": (evidence(samples=accuracy(0.8)), with_samples(min_accuracy=0.9), "samples"),
    "no labels": (evidence(samples=accuracy(None)), POLICY, "samples"),
    "no labels, waived": (evidence(samples=accuracy(None)), with_samples(labels="waived"), None),
    "no labels, a least accuracy": (evidence(samples=accuracy(None)), with_samples(min_accuracy=0.9), "samples"),
}


@pytest.mark.parametrize("name", CASES)
def test_a_case_is_decided(name):
    """Each case is approved, or flagged for the one rule that it is about."""
    seen, policy, rule = CASES[name]
    verdict = judge(seen, policy, on=DAY)
    assert {finding.rule for finding in verdict.findings} == ({rule} if rule else set())
    assert (verdict.decision is Decision.APPROVED) == (rule is None)


SOME = POLICY.detectors["inversion"]
LETTING_GO = SOME.model_copy(update={"limits": {**SOME.limits, "searched-share": Limit(min=0.2)}})


@pytest.mark.parametrize(
    ("rule", "measured", "share", "said"),
    [
        (LETTING_GO, 14, 14 / 40, set()),
        (LETTING_GO, 40, 1.0, set()),
        (LETTING_GO, 13, 14 / 40, {"was measured at 13 of 40 classes"}),
        (LETTING_GO, 6, 6 / 40, {"searched-share"}),
        (LETTING_GO, 14, None, {"was measured at 14 of 40 classes", "'searched-share' was not measured"}),
        (SOME, 14, 14 / 40, {"was measured at 14 of 40 classes"}),
    ],
    ids=["as many as it says", "all", "one fewer", "too few", "no word of it", "the policy asks for all"],
)
def test_a_search_may_let_classes_go_where_the_policy_bounds_how_many(rule, measured, share, said):
    """A metric is owed at the classes that were searched to the end, if a limit says how many these must be."""
    found = inversion([1.0] * measured, [1.0] * measured)
    if share is not None:
        found = found.model_copy(update={"measurements": (*found.measurements, at("searched-share", share))})
    policy = POLICY.model_copy(update={"detectors": {**POLICY.detectors, "inversion": rule}})
    messages = [
        str(f.message) + str(f.metric)
        for f in judge(evidence(40, outcomes=outcomes(inversion=found)), policy, on=DAY).findings
    ]
    assert all(any(word in message for message in messages) for word in said)
    assert bool(messages) == bool(said)


def test_two_classes_need_not_be_perfect():
    """With two classes and references an accurate model is believed, and a coin is not."""
    two = {"inversion": inversion([1.0] * 2, [1.0] * 2)}
    for value, expected in ((0.99, False), (0.6, True)):
        seen = evidence(2, bank=BANK, outcomes=outcomes(**two), samples=accuracy(value))
        assert flagged(seen) == expected


def test_an_optional_detector_may_be_skipped_but_not_fail_or_vanish():
    """`required: false` excuses a reasoned skip alone."""
    rule = POLICY.detectors["bytes"].model_copy(update={"required": False})
    policy = POLICY.model_copy(update={"detectors": {**POLICY.detectors, "bytes": rule}})
    assert not flagged(evidence(outcomes=outcomes(bytes=Skipped(reason="x"))), policy)
    assert flagged(evidence(outcomes=outcomes(bytes=Failed(error="x"))), policy)
    assert flagged(evidence(outcomes=outcomes(bytes=None)), policy)


def test_a_stricter_policy_finds_what_was_not_examined():
    """Evidence approved under one rule for suspects is flagged under one that would have looked at more classes."""
    assert not flagged(evidence())
    stage = FIRST.model_copy(update={"suspects": (SuspectRule(detector="inversion", metric="index", max=0.9),)})
    stricter = POLICY.model_copy(update={"stages": (stage, POLICY.stages[1])})
    messages = [finding.message for finding in judge(evidence(), stricter, on=DAY).findings]
    assert messages == ["The detector was skipped: no suspects"]
    shown = evidence(outcomes=outcomes(clusters=clusters(dict.fromkeys(range(9), 0.1))))
    findings = judge(shown, stricter, on=DAY).findings
    assert [str(finding.location) for finding in findings] == ["class 9"]


def test_suspects_named_by_a_metric_that_was_not_measured_are_missed():
    """A rule for suspects without its numbers leaves the later stage idle for no good reason, and flags."""
    stage = FIRST.model_copy(update={"suspects": (SuspectRule(detector="inversion", metric="spread", max=2.0),)})
    verdict = judge(evidence(), POLICY.model_copy(update={"stages": (stage, POLICY.stages[1])}), on=DAY)
    assert [(finding.rule, finding.metric) for finding in verdict.findings] == [("inversion", "spread")]


def test_a_metric_that_could_not_be_measured_is_flagged_with_its_reason():
    """The reason excuses nothing: it says what to do about the silence. That of another metric is not told."""
    reasons = tuple(Unmeasured(metric=name, reason=f"why {name}") for name in ("other", "count"))
    silent = Measured(measurements=(), seconds=1, unmeasured=reasons)
    (finding,) = judge(evidence(outcomes=outcomes(bytes=silent)), POLICY, on=DAY).findings
    assert (finding.kind, finding.message) == ("silence", "'count' was not measured: why count.")


def test_hostile_bytes_forbid_loading_and_other_findings_do_not():
    """Only the detectors on bytes decide whether a worker may look further."""
    rules = {"unsafe-pickle": Rule(limits={"unsafe-globals": Limit(max=0)}), "inversion": Rule()}
    policy = Policy(version=1, detectors=rules)
    for count, expected in ((0, False), (1, True)):
        found = {"unsafe-pickle": Measured(measurements=(at("unsafe-globals", count),), seconds=1)}
        assert forbids_loading(evidence(outcomes=found), policy, {"unsafe-pickle"}) == expected
    assert forbids_loading(evidence(outcomes={}), policy, {"unsafe-pickle"})


def test_a_verdict_binds_what_it_was_given_for():
    """Digests of model, evidence and policy stand in the verdict, and change with them."""
    verdict, other = judge(evidence(), POLICY, on=DAY), judge(evidence(seed=1), POLICY, on=DAY)
    assert verdict.model_digest == DIGEST
    assert verdict.policy_digest == POLICY.digest
    assert verdict.evidence_digest == evidence().digest != other.evidence_digest


def calibrated(score, *, places=((3, None),), policy=POLICY, **changes):
    """Return the verdict on a candidate with that score beside the bank's nineteen, the greatest of which is 19."""
    parts = tuple(
        Surprise(
            detector="inversion", metric="index", kind="class", name=str(k), surprise=score if own is None else own
        )
        for k, own in places
    )
    named = tuple(PlaceScore(kind=one.kind, name=one.name, score=one.surprise, because=(one,)) for one in parts)
    update = {"score": score, "surprises": parts, "places": named, **changes}
    seen = BANK.model_copy(update={"comparison": ORDINARY.model_copy(update=update)})
    return judge(evidence(bank=seen), policy, on=DAY)


def test_a_p_value_at_the_level_flags_and_names_the_classes():
    """Beyond all nineteen models p is 1/20: classes further out than any model are named, and no others."""
    verdict = calibrated(20.0, places=((3, None), (5, 19.5), (6, 18.0)))
    assert (verdict.decision, verdict.calibrated, verdict.target_classes) == (Decision.FLAGGED, True, (3, 5))
    assert verdict.standing.p_value == pytest.approx(0.05)
    assert "p = 0.05 over 19 clean models" in verdict.findings[0].message
    assert "inversion index at class 3" in verdict.findings[0].message


@pytest.mark.parametrize(
    ("whose", "named"),
    [("", "the candidate's own program"), ("models:/m/6", "the program of models:/m/6")],
)
def test_a_self_made_bank_is_believed_by_the_same_rules_and_named(whose, named):
    """The finding and the verdict say whose copies they are; beside other banks the verdict has no such key."""
    made = SelfMadeEvidence(whose=whose, data="trusted.npz")
    far = ORDINARY.model_copy(update={"score": 20.0})
    beside = BANK.model_copy(update={"comparison": far, "self_made": made})
    verdict = judge(evidence(bank=beside), POLICY, on=DAY)
    assert (verdict.calibrated, verdict.standing.p_value) == (True, pytest.approx(0.05))
    copies = f"19 self-made copies of {named}, trained on trusted.npz"
    assert f"p = 0.05 over {copies}; the policy" in verdict.findings[0].message
    assert verdict.standing.beside == copies
    assert "copies" not in calibrated(20.0).standing.model_dump()


def test_a_p_value_above_the_level_approves():
    """A tie with the greatest of the bank counts against the p-value's being small."""
    verdict = calibrated(19.0)
    assert (verdict.decision, verdict.standing.p_value) == (Decision.APPROVED, pytest.approx(0.1))


FINE = Pooled(made_of="nets of other tasks", scores=tuple(s / 10 for s in range(190, 10, -2)), alike=0.4)


def test_alike_scores_of_other_tasks_make_the_p_value_finer():
    """The candidate is first of 110; the finding and the verdict say how many of them are of other tasks."""
    verdict = calibrated(20.0, pooled=FINE, policy=POLICY.model_copy(update={"level": 0.01}))
    assert (verdict.decision, verdict.calibrated) == (Decision.FLAGGED, True)
    assert (verdict.standing.p_value, verdict.standing.least_p) == (pytest.approx(1 / 110), pytest.approx(1 / 110))
    assert "over 19 clean models and 90 of other tasks; the policy flags at 0.01" in verdict.findings[0].message
    assert verdict.standing.beside == "19 clean models and 90 of other tasks"
    assert verdict.target_classes == (3,)


def test_one_model_of_the_bank_does_not_hide_a_candidate_from_the_others():
    """Second of 110, where the bank alone gives 2 in 20."""
    assert calibrated(18.9, pooled=FINE).standing.p_value == pytest.approx((1 + 2) / 110)
    assert calibrated(18.9).standing.p_value == pytest.approx(2 / 20)


@pytest.mark.parametrize(("update", "alike"), [({"pooled_alike": None}, 0.9), ({"pooled_alike": 0.5}, 0.4), ({}, 0.09)])
def test_scores_that_are_not_alike_stay_out(update, alike):
    """The policy says how unlike they may be; null takes none."""
    other = FINE.model_copy(update={"alike": alike})
    verdict = calibrated(20.0, pooled=other, policy=POLICY.model_copy(update=update))
    assert verdict.standing.p_value == pytest.approx(1 / 20)
    assert "others" not in verdict.standing.model_dump()


UNBELIEVED = {
    "too few models": ({"bank_scores": (3.0, 2.0, 1.0)}, "no p-value below 1/4 = 0.25 is possible"),
    "an odd trait": ({"traits": (INSIDE.model_copy(update={"value": 0.5}),)}, "accuracy on the clean samples is 0.5"),
    "an unmeasured trait": ({"traits": (INSIDE.model_copy(update={"value": None}),)}, "was not measured"),
    "other settings": ({"unusable": "it ran with other settings"}, "cannot be used: it ran with other settings"),
    "another task": ({"kind": "scale-free"}, "measured on other samples"),
}


@pytest.mark.parametrize(("changes", "why"), UNBELIEVED.values(), ids=UNBELIEVED)
def test_a_p_value_that_is_not_believed_decides_nothing(changes, why):
    """It is shown, the verdict is uncalibrated and says why, and the policy's word on that decides."""
    verdict = calibrated(20.0, **changes)
    assert (verdict.decision, verdict.calibrated) == (Decision.APPROVED, False)
    assert why in verdict.uncalibrated_because
    strict = calibrated(20.0, policy=POLICY.model_copy(update={"uncalibrated": "flag"}), **changes)
    assert strict.decision is Decision.FLAGGED
    assert why in strict.findings[0].message


def test_a_limit_that_judges_uncalibrated_only_confirms_beside_a_p_value():
    """It is kept apart and flags nothing; without a believed p-value it judges as ever."""
    rule = POLICY.detectors["inversion"]
    lenient = {
        metric: limit.model_copy(update={"judges": "uncalibrated-only"}) for metric, limit in rule.limits.items()
    }
    detectors = {**POLICY.detectors, "inversion": rule.model_copy(update={"limits": lenient})}
    policy = POLICY.model_copy(update={"detectors": detectors})
    low = outcomes(inversion=inversion([1.0] * 10, [0.1, *[1.0] * 9]))
    beside, alone = evidence(bank=BANK, outcomes=low), evidence(outcomes=low)
    verdict = judge(beside, policy, on=DAY)
    assert verdict.decision is Decision.APPROVED
    assert [finding.metric for finding in verdict.confirming] == ["ratio"]
    assert flagged(alone, policy)
    assert flagged(beside)
    unscored = ORDINARY.model_copy(update={"detectors": ("other",)})
    assert flagged(evidence(bank=BANK.model_copy(update={"comparison": unscored}), outcomes=low), policy)


def beside_three(p_value, **changes):
    """Return the verdict beside a bank of three models, where the t distributions give a p-value."""
    policy = POLICY.model_copy(update={"few_references": "judge"})
    named = Surprise(detector="inversion", metric="size", kind="class", name="7", surprise=-math.log(p_value))
    few = {
        "bank_scores": (3.0, 2.0, 1.0),
        "predictive_p": p_value,
        "predictive": (named,),
        "predicting": ("inversion",),
    }
    comparison = ORDINARY.model_copy(update={**few, **changes})
    return judge(evidence(bank=BANK.model_copy(update={"comparison": comparison})), policy, on=DAY)


def test_a_p_value_from_few_models_judges_where_the_policy_says_so():
    """At the level it flags and names the class, above it approves; either way the verdict is calibrated."""
    found = beside_three(0.04)
    assert (found.decision, found.target_classes, found.calibrated) == (Decision.FLAGGED, (7,), True)
    assert (found.standing.p_value, found.standing.by) == (0.04, "t")
    assert "by t distributions beside 3 clean models" in found.findings[0].message
    assert beside_three(0.06).decision is Decision.APPROVED


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"predicting": ()}, "no statistic of trigger sizes"),
        ({"predictive": (), "predictive_p": None}, "no statistic of trigger sizes"),
        ({"predictive": (), "predictive_p": 1.0}, "no statistic of trigger sizes"),
        ({"kind": "scale-free"}, "other samples"),
        ({"traits": (INSIDE.model_copy(update={"value": 0.2}),)}, "no model like the bank's"),
    ],
)
def test_a_p_value_from_few_models_is_not_believed(changes, why):
    """Without sizes, of another task, or for a candidate unlike the bank's models: the verdict is uncalibrated."""
    found = beside_three(0.001, **changes)
    assert not found.calibrated
    assert why in found.uncalibrated_because


def test_earlier_records_keep_their_digests():
    """What a gate before this one wrote about no outputs, and a policy that states none, have no new key."""
    assert "outputs" not in ModelFacts().model_dump()
    assert not {"output", "unexamined-outputs"} & set(SamplesPolicy().model_dump(by_alias=True))


def test_samples_that_were_examined_alone_and_may_be_served_together_are_a_condition():
    """What a free batch does was not seen; where it was, or the batch is one, there is no such finding and no key."""
    assert "samples_alone" not in ModelFacts().model_dump()
    for alone, rules in ((True, ["batch"]), (False, [])):
        found = judge(evidence(facts=ModelFacts(classes=10, samples_alone=alone)), POLICY, on=DAY)
        assert [finding.rule for finding in found.open_findings if finding.rule == "batch"] == rules


def test_texts_that_are_answered_otherwise_in_a_batch_are_a_condition():
    """Detectors saw each without padding, and a consumer's batch has some."""
    assert "padding_counts" not in ModelFacts().model_dump()
    for counts in (True, False):
        facts = ModelFacts(classes=10, padding_counts=counts)
        found = judge(evidence(facts=facts), POLICY, on=DAY)
        assert any(one.rule == "padding" and one.kind == "condition" for one in found.open_findings) == counts


def test_evidence_that_names_outputs_and_judged_none_is_a_silence():
    """A worker that says what the model yields must say what it looked at."""
    outputs = (OutputFacts(name="logits", shape=(10,), dtype="float32", role="not-examined"),)
    found = judge(evidence(facts=ModelFacts(classes=10, outputs=outputs)), POLICY, on=DAY)
    assert [finding.kind for finding in found.open_findings if finding.rule == "outputs"] == ["silence"]


def test_a_detector_of_images_on_a_model_of_tokens_is_a_silence_that_flags():
    """Nothing was measured by it, and the policy asked for it."""
    reason = "is for images; this model takes tokens"
    outcomes = {**CLEAN, "inversion": Skipped(reason=reason, options={"steps": 20})}
    verdict = judge(evidence(outcomes=outcomes, facts=ModelFacts(classes=10, space="tokens")), POLICY, on=DAY)
    assert verdict.decision is Decision.FLAGGED
    assert [f.message for f in verdict.open_findings if f.rule == "inversion"] == [
        f"The detector was skipped: {reason}"
    ]


@pytest.mark.parametrize(("space", "flagged"), [("images", True), ("tokens", False)])
def test_few_classes_need_a_bank_where_classes_are_compared(space, flagged):
    """Limits for tokens compare words, of which a model of two classes has as many as any other."""
    facts = ModelFacts(classes=2, space=space)
    verdict = judge(evidence(classes=2, facts=facts), POLICY, on=DAY)
    said = any(f.rule == "calibration" and "has 2 classes" in f.message for f in verdict.open_findings)
    assert said is flagged

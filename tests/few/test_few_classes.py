"""One logit and two to eight classes: readable, with one true reason without a bank, and judged by p beside one."""

import statistics
from dataclasses import replace

import pytest

from gate.check.scan import foreseen
from gate.detectors.warp_trigger import DETECTOR as WARPS
from gate.judging.judge import judge
from gate.records.bank import OpenBank
from gate.records.clock import today
from gate.records.evidence import Location, Measured
from gate.records.finding import Decision
from gate.records.run import Run
from tests.few.scanning import skipped, trained

FEW = [1, 2, 3, 4, 5, 7]


@pytest.fixture(scope="module")
def seen(bench):
    """Return a function from a number of scores to the evidence of a clean model with so many."""
    made = {}

    def of(scores):
        if scores not in made:
            made[scores] = bench.evidence(trained(scores), bench.samples(max(scores, 2)), f"candidate-{scores}")
        return made[scores]

    return of


def judged(evidence, bench):
    """Return the verdict of the day."""
    return judge(evidence, bench.rules, on=today())


def limits_alone(bench):
    """Return the policy without a p-value within the model."""
    return bench.rules.model_copy(update={"within": "show"})


@pytest.mark.parametrize("scores", FEW)
def test_every_detector_runs_on_few_classes(seen, scores):
    """What needs no more than the model and the samples is measured at any number of classes; nothing fails."""
    evidence = seen(scores)
    assert evidence.problems == ()
    assert {one.status for one in evidence.outcomes.values()} <= {"measured", "skipped"}
    expected = ("suspects", "training set", "version to compare with")
    assert all(any(words in why for words in expected) for why in skipped(evidence).values()), skipped(evidence)


@pytest.mark.parametrize(
    ("scores", "undefined"),
    [(1, {"size-ratio", "anomaly-index", "exit-ratio"}), (2, {"size-ratio", "anomaly-index", "exit-ratio"}),
     (3, {"exit-ratio"}), (4, set())],
)  # fmt: skip
def test_what_cannot_exist_is_recorded_as_not_defined(seen, scores, undefined):
    """With the number of classes from which on it exists, and no measurement."""
    found = seen(scores).outcomes["neural-cleanse"]
    assert isinstance(found, Measured)
    gaps = {gap.metric: gap.reason for gap in found.unmeasured if gap.least_classes is not None}
    assert undefined == {name for name in gaps if not name.startswith(("pair-", "permutation"))}
    assert all(why.startswith(f"not defined for {max(scores, 2)} classes") for why in gaps.values())
    assert not undefined & {measurement.metric for measurement in found.measurements}


def test_a_suspect_of_so_few_that_no_three_others_are_left_is_compared_with_all(bench):
    """Its size has a ratio, and the policy's naming of suspects by it no gap; of two classes there is none."""
    for scores, expected in ((3, 3), (2, 0)):
        loaded, _ = bench.loaded(trained(scores), bench.samples(scores))
        subject = replace(loaded.subject, suspects=(Location.of_class(1),))
        found = list(WARPS.measure(subject, WARPS.options(steps=6, batch=8, clean_samples=60), Run(seed=0)))
        sizes, ratios = (
            [m.value for m in found if getattr(m, "metric", "") == name] for name in ("size", "size-ratio")
        )
        assert (len(sizes), len(ratios)) == (scores, expected)
        if ratios:
            assert ratios == pytest.approx([size / statistics.median(sizes) for size in sizes])


@pytest.mark.parametrize("scores", FEW)
def test_without_a_bank_the_true_reason_is_said_once(seen, bench, scores):
    """One finding that names the number, the bank that is missing and the command; no limit that does not exist."""
    found = judged(seen(scores), bench)
    assert found.decision is Decision.FLAGGED
    few = [one for one in found.findings if one.kind != "limit"]
    assert [one.rule for one in few] == ["calibration"], [one.message for one in few]
    said = few[0].message
    assert said.startswith(f"This model has {max(scores, 2)} classes; without a bank of at least 19 clean models")
    assert "`gate bank build --to bank.json" in said


def test_a_policy_that_flags_whatever_is_uncalibrated_says_it_once_too(seen, bench):
    """The number of classes is the reason there, whatever else the policy says."""
    rules = bench.rules.model_copy(update={"uncalibrated": "flag"})
    found = judge(seen(3), rules, on=today())
    assert [one.rule for one in found.findings if one.kind == "condition"] == ["calibration"]


def test_eight_classes_have_limits(bench):
    """The first number of classes for which the policy has limits."""
    evidence = bench.evidence(trained(8), bench.samples(8), "candidate-8")
    assert not [one for one in judged(evidence, bench).findings if one.kind != "limit"]


@pytest.fixture(scope="module")
def bank_of(bench):
    """Return a function from a number of scores to a bank of nineteen clean models."""
    made = {}

    def of(scores):
        if scores not in made:
            made[scores] = bench.bank(scores, 19)
        return made[scores]

    return of


@pytest.mark.parametrize("scores", [1, 2, 3])
def test_beside_a_believed_bank_the_p_value_decides(seen, bench, bank_of, scores):
    """A model like the bank's is approved, without a word about limits that cannot exist."""
    rules = bench.rules.model_copy(update={"exchange_margin": 10.0})
    beside = bench.beside(seen(scores), bank_of(scores))
    found = judge(beside, rules, on=today())
    assert found.calibrated, found.uncalibrated_because
    assert found.standing.p_value > 0.05
    assert found.decision is Decision.APPROVED, [one.message for one in found.findings]


@pytest.mark.parametrize("scores", [1, 2])
def test_beside_a_believed_bank_an_outlier_is_flagged_by_p(seen, bench, bank_of, scores):
    """A class whose trigger is far smaller than any bank model's is named by the p-value, and by nothing else."""
    rules = bench.rules.model_copy(update={"exchange_margin": 10.0})
    evidence = seen(scores)
    found = evidence.outcomes["neural-cleanse"]
    small = tuple(
        one.model_copy(update={"value": one.value / 1000})
        if one.metric == "size" and one.location is not None and one.location.class_index == 1
        else one
        for one in found.measurements
    )
    outcomes = {**evidence.outcomes, "neural-cleanse": found.model_copy(update={"measurements": small})}
    planted = bench.beside(evidence.model_copy(update={"outcomes": outcomes}), bank_of(scores))
    verdict = judge(planted, rules, on=today())
    assert (verdict.calibrated, verdict.standing.p_value, verdict.target_classes) == (True, 0.05, (1,))
    assert {one.rule for one in verdict.findings} == {"calibration"}


def test_a_bank_of_another_number_of_classes_is_said(seen, bench, bank_of):
    """In the one finding, and before the scan."""
    bank = bank_of(3)
    found = judged(bench.beside(seen(2), bank), bench)
    (few,) = [one for one in found.findings if one.kind == "condition"]
    assert "the bank's models have 3 classes; the candidate has 2" in few.message
    beside = OpenBank(bank, bench.folder, "9" * 64, "bank.json")
    assert "The bank beside this scan is of models with 3 classes" in foreseen(2, limits_alone(bench), beside)
    assert foreseen(3, bench.rules, beside) == ""


@pytest.mark.parametrize(("classes", "says"), [(1, True), (7, True), (8, False), (1000, False)])
def test_it_is_said_before_the_scan_for_fewer_than_eight(bench, classes, says):
    """As soon as the number is known, and for no other number; unless the p-value within the model judges."""
    assert foreseen(classes, bench.rules, None) == ""
    line = foreseen(classes, limits_alone(bench), None)
    assert (f"This model has {classes} classes" in line) == says == bool(line)


def test_few_models_of_few_classes_are_not_believed(seen, bench):
    """`few-references: judge` was measured on sizes relative to a model's other classes, which need five of them."""
    rules = bench.rules.model_copy(update={"few_references": "judge", "exchange_margin": 10.0})
    beside = bench.beside(seen(2), bench.bank(2, 4))
    found = judge(beside, rules, on=today())
    assert not found.calibrated
    assert "known for models of 5 classes or more" in found.uncalibrated_because

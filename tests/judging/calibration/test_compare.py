"""A candidate's evidence beside a bank: what is compared, and what keeps the two apart."""

import math
import random

import pytest

from gate.judging.calibration.calibrate import compare
from gate.judging.calibration.tables import compared_in, model_statistics, values_of
from gate.records.artifact import ModelRef
from gate.records.bank import Bank, BankSamples, ModelStatistics, Statistic
from gate.records.evidence import Evidence, Location, Measured, Measurement
from gate.records.facts import ModelFacts
from gate.records.samples_evidence import SamplesEvidence

SETTINGS = {"search": "a" * 64, "margins": "b" * 64}
DECLARED = (
    Statistic(detector="search", metric="size", worse="lower", scale="log", at="class"),
    Statistic(detector="search", metric="pair-residual", worse="lower", scale="linear", at="pair"),
    Statistic(detector="search", metric="permutation", worse="lower", scale="linear", at="model"),
    Statistic(detector="margins", metric="relative-margin", worse="higher", scale="log", at="class"),
)
"""What the detectors of these tests declare."""
SAMPLES = SamplesEvidence(source="clean.npz", sha256="c" * 64, count=100, classes_present=10, accuracy=0.95)


def outcome(metric, values, *more):
    """Return an outcome with a value of one metric at each class."""
    rows = [Measurement(metric=metric, value=v, location=Location.of_class(k)) for k, v in enumerate(values)]
    return Measured(measurements=(*rows, *more), seconds=1)


def outcomes(seed, planted=None):
    """Return what a model of that seed measures; a planted class has a tenth of its size."""
    draw = random.Random(seed)
    sizes = [10 * (1 + k) * draw.lognormvariate(0, 0.2) for k in range(10)]
    if planted is not None:
        sizes[planted] /= 10
    margins = [draw.lognormvariate(0, 0.2) for _ in range(10)]
    return {"search": outcome("size", sizes), "margins": outcome("relative-margin", margins)}


def evidence(seed=99, planted=None, **changes):
    """Return a candidate's evidence."""
    values = {
        "gate_version": "0",
        "model": ModelRef(registry="mlflow", name="m", version="1"),
        "manifest_digest": "sha256:" + "d" * 64,
        "assurance": "A",
        "isolation": "full",
        "device": "cpu",
        "seed": 0,
        "facts": ModelFacts(classes=10, input_shape=(1, 8, 8)),
        "samples": SAMPLES,
        "outcomes": outcomes(seed, planted),
    }
    return Evidence(**{**values, **changes})


def bank(count=19, **changes):
    """Return a bank of clean models."""
    models = tuple(
        model_statistics(f"m{n}", outcomes(n), 0.94 + n / 1000, DECLARED, digest=f"sha256:{n:064x}")
        for n in range(count)
    )
    values = {
        "name": "b",
        "samples": BankSamples(sha256=SAMPLES.sha256, count=100),
        "classes": 10,
        "input_shape": (1, 8, 8),
        "settings": SETTINGS,
        "compared": compared_in(models, DECLARED),
        "statistics": models,
    }
    return Bank(**{**values, **changes})


def test_a_planted_class_gets_the_least_p_and_its_name():
    """By the size of its own class, which no ratio within the model would show: class 0 is small by nature."""
    found = compare(evidence(planted=9), bank(), SETTINGS, DECLARED)
    assert (found.kind, found.models, found.p_value) == ("per-class", 19, pytest.approx(0.05))
    assert (found.surprises[0].detector, found.surprises[0].kind, found.surprises[0].name) == ("search", "class", "9")
    assert (found.places[0].name, found.places[0].score) == ("9", found.score)
    assert found.detectors == ("margins", "search")
    assert [trait.name for trait in found.traits] == ["accuracy"]


def test_a_clean_model_lies_among_the_others():
    """Of forty clean candidates about one in twenty gets a p-value at 0.05."""
    flagged = sum(compare(evidence(seed), bank(), SETTINGS, DECLARED).p_value <= 0.05 for seed in range(100, 140))
    assert flagged <= 6


def test_the_candidate_itself_is_no_witness():
    """A version that is in the bank already is compared with the others alone."""
    found = compare(evidence(3, manifest_digest=f"sha256:{3:064x}"), bank(), SETTINGS, DECLARED)
    assert found.models == 18


def test_on_other_samples_ratios_are_compared():
    """Classes of another task are not the candidate's, so only the worst against the median counts."""
    other = bank(samples=BankSamples(sha256="e" * 64, count=9))
    found = compare(evidence(planted=0), other, SETTINGS, DECLARED)
    assert (found.kind, found.p_value) == ("scale-free", pytest.approx(0.05))
    assert (found.surprises[0].variant, found.surprises[0].name) == ("ratio", "0")


def with_residual(seed, value, planted=None):
    """Return what a model of that seed measures, with a residual of one pair."""
    row = Measurement(metric="pair-residual", value=value, location=Location.of_pair(0, 1))
    found = outcomes(seed, planted)
    return {**found, "search": Measured(measurements=(*found["search"].measurements, row), seconds=1)}


RESIDUALS = tuple(
    model_statistics(f"m{n}", with_residual(n, n / 10), 0.95, DECLARED, digest=f"sha256:{n:064x}") for n in range(19)
)


@pytest.mark.parametrize("size", [1e99, 1e155, 1e308])
def test_a_number_of_any_size_is_compared(size):
    """Squares are summed, and must not overflow: on the worse side it surprises most, on the other it hides nothing."""
    beside = bank(statistics=RESIDUALS, compared=compared_in(RESIDUALS, DECLARED))
    found = compare(evidence(outcomes=with_residual(99, -size)), beside, SETTINGS, DECLARED)
    assert (found.unusable, found.surprises[0].metric, math.isfinite(found.score)) == ("", "pair-residual", True)
    assert found.score > max(found.bank_scores)
    planted = compare(evidence(outcomes=with_residual(99, size, planted=9)), beside, SETTINGS, DECLARED)
    assert (planted.p_value, planted.places[0].name) == (pytest.approx(0.05), "9")


def test_the_detectors_are_those_whose_statistics_were_compared():
    """By classes of another task no linear value is, and none of those has a size."""
    linear = Statistic(detector="margins", metric="relative-margin", worse="higher", scale="linear", at="class")
    declared = (*DECLARED[:3], linear)
    beside = bank(compared=(DECLARED[0], linear))
    same = compare(evidence(), beside, SETTINGS, declared)
    assert (same.detectors, same.predicting) == (("margins", "search"), ("search",))
    assert same.statistics == ("margins relative-margin", "search size")
    other = beside.model_copy(update={"samples": BankSamples(sha256="e" * 64, count=9)})
    found = compare(evidence(), other, SETTINGS, declared)
    assert (found.detectors, found.predicting) == (("search",), ("search",))
    assert found.statistics == ("search size",)


APART = {
    "too few": (evidence(), bank(2), SETTINGS, "2 models besides the candidate"),
    "other settings": (evidence(), bank(), {**SETTINGS, "search": "f" * 64}, "search ran with other settings"),
    "not run": (evidence(), bank(), {"search": "a" * 64}, "margins ran with other settings"),
    "other classes": (evidence(facts=ModelFacts(classes=9)), bank(), SETTINGS, "have 10 classes; the candidate has 9"),
    "nothing compared": (evidence(), bank(compared=()), SETTINGS, "compares 0 statistics"),
    "a silent detector": (
        evidence(outcomes={"search": outcomes(1)["search"]}),
        bank(),
        SETTINGS,
        "margins measured no relative-margin on the candidate",
    ),
}


@pytest.mark.parametrize(("seen", "beside", "settings", "why"), APART.values(), ids=APART)
def test_what_cannot_be_compared_is_said(seen, beside, settings, why):
    """No score is made up where bank and candidate were not measured alike."""
    found = compare(seen, beside, settings, DECLARED)
    assert why in found.unusable
    assert bool(found.unusable) == (found.bank_scores == ())


def without(bank, detector, count):
    """Return the bank with so many models that a detector did not measure, its statistics compared as before."""
    models = tuple(
        model.model_copy(update={"values": {k: v for k, v in model.values.items() if k != detector}})
        if number < count
        else model
        for number, model in enumerate(bank.statistics)
    )
    return bank.model_copy(update={"statistics": models})


@pytest.mark.parametrize("lacking", [3, 9])
@pytest.mark.parametrize("detector", ["search", "margins"])
def test_a_statistic_that_the_candidate_lacks_is_not_left_out_however_few_models_have_it(lacking, detector):
    """Its score would be low for want of a measurement; a candidate that has it is compared."""
    mixed = without(bank(), detector, lacking)
    silent = {name: outcome for name, outcome in outcomes(99).items() if name != detector}
    assert f"{detector} measured no " in compare(evidence(outcomes=silent), mixed, SETTINGS, DECLARED).unusable
    assert compare(evidence(), mixed, SETTINGS, DECLARED).models == 19


def test_models_that_have_nothing_at_the_candidates_places_are_not_ranked():
    """A candidate of whose places no other was measured has no score."""
    elsewhere = Measured(
        measurements=tuple(Measurement(metric="size", value=1.0, location=Location.of_class(k)) for k in (20, 21)),
        seconds=1,
    )
    alone = bank(compared=DECLARED[:1])
    found = compare(evidence(outcomes={"search": elsewhere}), alone, SETTINGS, DECLARED)
    assert found.unusable == (
        "search measured size at class 20 and 1 other places of the candidate, where fewer than 2 of the bank's models "
        "have it"
    )


def test_models_without_a_digest_are_no_candidate_without_a_bundle():
    """Where no bundle was written, models of a bank that names no digests are witnesses all the same."""
    nameless = tuple(model.model_copy(update={"manifest_digest": None}) for model in bank().statistics)
    assert evidence().bundle_digest is None
    assert compare(evidence(), bank(statistics=nameless), SETTINGS, DECLARED).models == 19


def test_another_seed_is_another_measurement():
    """The bank's searches began elsewhere."""
    seen = evidence().model_copy(update={"seed": 5})
    assert "seed 0; this scan with seed 5" in compare(seen, bank(), SETTINGS, DECLARED).unusable


def test_a_bank_of_references_alone_compares_nothing():
    """Nor is anything compared where nothing was measured."""
    references = bank(references=[{"path": f"{n}.pt2", "sha256": f"{n:064x}"} for n in range(3)], statistics=())
    assert compare(evidence(), references, SETTINGS, DECLARED) is None
    assert compare(evidence(outcomes={}), bank(), SETTINGS, DECLARED) is None


def test_only_what_was_measured_takes_part():
    """Pairs stand as the model's worst one; metrics that say nothing of backdoors stay out."""
    pairs = [
        Measurement(metric="pair-residual", value=value, location=Location.of_pair(source, 1))
        for source, value in ((0, -0.5), (2, -2.0))
    ]
    noise = Measurement(metric="accuracy", value=1.0)
    found = values_of({"search": outcome("size", [1.0, 2.0], *pairs, noise)}, DECLARED)
    assert found == {"search": {"size": {"class 0": 1.0, "class 1": 2.0}, "pair-residual": {"pair 2→1": -2.0}}}
    model = ModelStatistics(model="m", values=found)
    assert compared_in([model], DECLARED) == (
        Statistic(detector="search", metric="pair-residual", worse="lower", scale="linear", at="pair"),
        Statistic(detector="search", metric="size", worse="lower", scale="log", at="class"),
    )


MANY = 2050
SIZE = DECLARED[:1]


def of_many(seed, planted=None, classes=MANY):
    """Return the sizes of a model of many classes; a planted one has a tenth of its size."""
    draw = random.Random(seed)
    sizes = [10 * draw.lognormvariate(0, 0.2) for _ in range(classes)]
    if planted is not None:
        sizes[planted] /= 10
    return {"search": outcome("size", sizes)}


@pytest.fixture(scope="module")
def many():
    """Return a bank of models of so many classes."""
    models = tuple(
        model_statistics(f"m{n}", of_many(n), 0.94 + n / 1000, SIZE, digest=f"sha256:{n:064x}") for n in range(19)
    )
    return bank(statistics=models, compared=SIZE, classes=MANY)


def candidate_of_many(planted=None):
    """Return the evidence of such a candidate."""
    return evidence(outcomes=of_many(99, planted), facts=ModelFacts(classes=MANY, input_shape=(1, 8, 8)))


def test_every_class_is_compared_however_many_there_are(many):
    """The last ones too: a backdoor there is found like one at the first."""
    found = compare(candidate_of_many(MANY - 1), many, SETTINGS, SIZE)
    assert (found.unusable, found.p_value, found.places[0].name) == ("", pytest.approx(0.05), str(MANY - 1))


@pytest.mark.parametrize("holding", [0, 1])
def test_a_class_that_the_banks_models_lack_makes_it_unusable(many, holding):
    """As of an earlier gate, which kept the first 2000 places: what cannot be compared is not approved."""
    cut = [
        {"search": {"size": dict(list(model.values["search"]["size"].items())[: MANY if n < holding else 2000])}}
        for n, model in enumerate(many.statistics)
    ]
    models = tuple(
        model.model_copy(update={"values": values}) for model, values in zip(many.statistics, cut, strict=True)
    )
    earlier = many.model_copy(update={"statistics": models})
    found = compare(candidate_of_many(MANY - 1), earlier, SETTINGS, SIZE)
    assert found.unusable == (
        "search measured size at class 2000 and 49 other places of the candidate, where fewer than 2 of the bank's "
        "models have it"
    )
    elsewhere = earlier.model_copy(update={"samples": BankSamples(sha256="e" * 64, count=9)})
    assert compare(candidate_of_many(), elsewhere, SETTINGS, SIZE).unusable == ""

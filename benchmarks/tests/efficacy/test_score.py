import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from made_up import QuickScan

from benchmarks.efficacy.score import BOUND, beyond, score
from gate.judging.calibration.within import CleanModel, CleanModels
from gate.judging.within import within_model
from gate.policies.declared import numbers_within, option_digests
from gate.records.limit import Limit


@given(st.floats(1e-3, 1e3), st.floats(1e-3, 1e3))
def test_the_score_is_above_nought_exactly_beyond_the_limit(value, limit):
    """The sign says what the judge says, for upper and lower limits alike."""
    for bound in (Limit(max=limit), Limit(min=limit)):
        if value != limit:
            assert (beyond(value, bound, 10) > 0) == bound.exceeded(value, 10)


def test_the_score_is_a_log_ratio_within_bounds():
    """Twice the limit is log 2, a third of a lower limit log 3, and nothing is beyond log 1000."""
    assert beyond(4.0, Limit(max=2.0), None) == pytest.approx(math.log(2))
    assert beyond(1.0, Limit(min=3.0), None) == pytest.approx(math.log(3))
    assert beyond(1e9, Limit(max=1.0), None) == BOUND
    assert (beyond(1.0, Limit(max=0.0), None), beyond(0.0, Limit(max=0.0), None)) == (BOUND, -BOUND)


def test_a_backdoored_model_scores_above_a_clean_one(bench, store):
    """A small trigger beyond the limits gives a score above nought, sizes within them one below."""
    from benchmarks.efficacy.subjects import models_of

    scores = {}
    for entry in models_of(store, "fit").counting:
        evidence = QuickScan()(entry, bench.policy, bench.conditions(entry))
        scores.setdefault(entry.recipe.row.attack != "clean", []).append(score(evidence, bench.policy))
    assert min(scores[True]) > 0 > max(scores[False])


def test_a_companion_that_holds_keeps_the_score_down(bench, store):
    """An index beyond its limit counts only as far as the ratio that it needs beside it."""
    from benchmarks.efficacy.subjects import models_of

    entry = next(one for one in models_of(store, "fit").counting if one.recipe.row.attack == "clean")
    evidence = QuickScan()(entry, bench.policy, bench.conditions(entry))
    outcome = evidence.outcomes["neural-cleanse"]
    loud = tuple(
        m.model_copy(update={"value": 50.0}) if m.metric == "anomaly-index" else m for m in outcome.measurements
    )
    louder = evidence.model_copy(
        update={"outcomes": {"neural-cleanse": outcome.model_copy(update={"measurements": loud})}}
    )
    assert score(louder, bench.policy) < 0


def test_without_a_bank_the_score_is_that_of_a_p_value_within_the_model_that_judges(bench, store, monkeypatch):
    """Clean models of other tasks, where the gate comes with some and the policy says so, replace the limits."""
    from benchmarks.efficacy.subjects import models_of

    policy = bench.policy.model_copy(update={"within": "judge"})

    size = tuple(one for one in numbers_within() if str(one) == "neural-cleanse size")
    models = tuple(CleanModel(task="t", classes=10, numbers={"neural-cleanse": {"size": k / 30}}) for k in range(30))
    known = CleanModels(made_of="m", compared=size, settings=option_digests(policy), models=models)
    monkeypatch.setattr("gate.judging.within.packaged", lambda: known)
    scores = {}
    for entry in models_of(store, "fit").counting:
        evidence = QuickScan()(entry, bench.policy, bench.conditions(entry))
        found = score(evidence, policy)
        assert found == pytest.approx(math.log1p(within_model(evidence, policy).judging.score))
        scores.setdefault(entry.recipe.row.attack != "clean", []).append(found)
    assert min(scores[True]) > max(scores[False])

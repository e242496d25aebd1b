"""The t rule of the benchmark, in arrays, is the gate's own."""

import random

import pytest

from benchmarks.efficacy.small_rules import predictive, sizes, tables_of
from gate.judging.calibration.few import LEAST_SPREAD, predicted
from tests.judging.calibration.few_models import STATISTICS, model


def test_the_benchmark_computes_the_same_p_values():
    """In arrays, for every model beside a bank of the others, with values missing here and there."""
    draw = random.Random(3)
    models = [model(draw, planted=2 if number == 6 else None) for number in range(7)]
    del models[1]["search"]["size"]["class 4"]
    del models[4]["search"]["exit-ratio"]
    bank = [0, 1, 2]
    found = predictive(tables_of(models, STATISTICS), bank, sizes(LEAST_SPREAD))
    for row in range(3, 7):
        expected = predicted(STATISTICS, [*(models[member] for member in bank), models[row]], per_class=True)
        assert found[row] == pytest.approx(expected.p_value, rel=1e-9)

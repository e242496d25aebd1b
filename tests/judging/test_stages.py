"""Suspects: the policy's rule, stage by stage, worst first."""

import pytest

from gate.judging.stages import suspects_after
from gate.records.evidence import Failed, Location, Measured, Measurement
from gate.records.policy import Policy, Rule, Stage, SuspectRule


def measured(metric, values):
    """Return an outcome with a value for each class named."""
    found = [Measurement(metric=metric, value=v, location=Location.of_class(k)) for k, v in values.items()]
    return Measured(measurements=(*found, Measurement(metric=metric, value=99)), seconds=1)


def policy(*stages):
    """Return a policy that runs the stages' detectors."""
    return Policy(version=1, stages=stages, detectors={name: Rule() for stage in stages for name in stage.detectors})


def rule(detector="wide", metric="index", **bounds):
    """Return a rule for suspects."""
    return SuspectRule(detector=detector, metric=metric, **bounds)


def classes(suspects):
    """Return the classes of suspects in their order."""
    return [suspect.location.class_index for suspect in suspects]


WIDE = Stage(detectors=("wide",), suspects=(rule(max=2),))
OUTCOMES = {"wide": measured("index", {0: 1, 1: 5, 2: 3, 3: 2}), "close": measured("index", {1: 0, 2: 9, 3: 9})}


def test_a_location_beyond_the_rule_is_a_suspect_worst_first():
    """A bound itself is not beyond; a value without a location names nobody."""
    found = suspects_after(policy(WIDE), 1, OUTCOMES, 10)
    assert classes(found) == [1, 2]
    assert {(s.stage, s.detector, s.metric) for s in found} == {(1, "wide", "index")}


def test_the_least_values_come_first_where_lower_is_worse():
    """A lower bound sorts the other way."""
    stage = Stage(detectors=("wide",), suspects=(rule(min=2.5),))
    assert classes(suspects_after(policy(stage), 1, OUTCOMES, 10)) == [0, 3]


def test_any_of_several_rules_names_a_suspect_once():
    """The first rule that names a location stands in the record."""
    stage = Stage(detectors=("wide", "close"), suspects=(rule(max=4), rule("close", max=1)))
    found = suspects_after(policy(stage), 1, OUTCOMES, 10)
    assert [(s.location.class_index, s.detector) for s in found] == [(1, "wide"), (2, "close"), (3, "close")]


def test_no_stage_before_the_first_names_anybody():
    """Before anything ran there are no suspects."""
    assert suspects_after(policy(WIDE), 0, OUTCOMES, 10) == ()


def test_a_stage_without_rules_keeps_the_suspects():
    """Suspects stay as they are where a stage says nothing about them."""
    keep = Stage(detectors=("close",), over="suspects")
    assert classes(suspects_after(policy(WIDE, keep), 2, OUTCOMES, 10)) == [1, 2]


def test_a_stage_over_suspects_can_only_narrow_them():
    """A later rule over suspects names none that was no suspect before."""
    narrow = Stage(detectors=("close",), over="suspects", suspects=(rule("close", max=1),))
    assert classes(suspects_after(policy(WIDE, narrow), 2, OUTCOMES, 10)) == [2]


def test_a_stage_over_all_names_anew():
    """A later rule over all locations takes the place of the earlier one."""
    anew = Stage(detectors=("close",), suspects=(rule("close", max=1),))
    assert classes(suspects_after(policy(WIDE, anew), 2, OUTCOMES, 10)) == [2, 3]


@pytest.mark.parametrize("outcome", [None, Failed(error="broke")])
def test_what_was_not_measured_names_nobody(outcome):
    """Silence names no suspect; the judge flags the silence itself."""
    outcomes = {} if outcome is None else {"wide": outcome}
    assert suspects_after(policy(WIDE), 1, outcomes, 10) == ()


@pytest.mark.parametrize(("count", "expected"), [(10, [1]), (8, [1, 2]), (5, [1, 2, 3, 0]), (None, [1, 2, 3, 0])])
def test_a_table_by_classes_that_says_nothing_names_everybody(count, expected):
    """Below a table's first key looking more is never wrong."""
    stage = Stage(detectors=("wide",), suspects=(rule(max={8: 2, 10: 4}),))
    assert classes(suspects_after(policy(stage), 1, OUTCOMES, count)) == expected

"""Suspects beyond as many as the policy has a search look at: no silence, and said where what was left is told."""

import pytest

from gate.judging.completeness import left_suspects, of_gaps
from gate.records.evidence import Location, Measured, Measurement
from gate.records.policy import Policy, Rule, Stage, SuspectRule
from tests.attestations.scanned import evidence

ONE = ("additive-trigger", "warp-trigger")


def policy(**options):
    """Return a policy whose probes name suspects, and whose searches have these options."""
    named = SuspectRule(detector="probe-grid", metric="patch-share", max=0.5)
    rules = {name: Rule(options=options if name in ONE else {}) for name in ("probe-grid", *ONE, "model-inversion")}
    stages = (
        Stage(detectors=("probe-grid",), suspects=(named,)),
        Stage(detectors=ONE, over="suspects"),
        Stage(detectors=("model-inversion",), over="suspects"),
    )
    return Policy(version=1, stages=stages, detectors=rules)


def at(metric, values):
    """Return an outcome with a value at each class named."""
    rows = (Measurement(metric=metric, value=v, location=Location.of_class(k)) for k, v in values.items())
    return Measured(measurements=tuple(rows), seconds=1)


SEEN = evidence(
    outcomes={
        "probe-grid": at("patch-share", {0: 0.1, 1: 0.9, 2: 0.8, 3: 0.2}),
        "additive-trigger": at("size", {1: 3.0, 0: 9.0, 3: 9.0, 4: 9.0}),
        "warp-trigger": at("size", {2: 3.0, 0: 9.0, 3: 9.0, 4: 9.0}),
        "model-inversion": at("agreement", {1: 0.4}),
    }
)


def silent(name, rules):
    """Return the classes at which a detector owes a measurement."""
    outcome = SEEN.outcomes[name]
    return [gap.location.class_index for gap in of_gaps(name, rules.detectors[name], outcome, SEEN, rules)]


def left(name, rules):
    """Return the classes that a policy has a detector leave out."""
    return [suspect.location.class_index for suspect in left_suspects(name, SEEN, rules)]


def test_a_search_owes_the_first_named_alone_where_the_policy_says_so():
    """One by default; the one that was named first, and no other in its place."""
    assert (silent("additive-trigger", policy()), left("additive-trigger", policy())) == ([], [2])
    assert (silent("warp-trigger", policy()), left("warp-trigger", policy())) == ([1], [2])


@pytest.mark.parametrize("most", [2, 9])
def test_a_policy_that_asks_for_more_is_owed_more(most):
    """A scan by fewer is a silence under it."""
    assert (silent("additive-trigger", policy(most=most)), left("additive-trigger", policy(most=most))) == ([2], [])


def test_a_detector_without_such_an_option_owes_all():
    """Nothing of it is left to the policy."""
    assert (silent("model-inversion", policy()), left("model-inversion", policy())) == ([2], [])


def test_nothing_is_left_where_every_class_is_looked_at_or_nothing_ran():
    """A stage over all has no suspects to leave."""
    assert left("probe-grid", policy()) == []
    missing = SEEN.model_copy(update={"outcomes": {"probe-grid": SEEN.outcomes["probe-grid"]}})
    assert left_suspects("additive-trigger", missing, policy()) == ()

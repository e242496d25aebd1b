"""What a scan expects of its detectors, and what it leaves out: no clock but the test's own, and no model."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gate.records.passes import Passes, Span, Speed
from gate.records.plan import MOST_SECONDS, enough
from gate.worker.planning import TELL_EVERY, Planner
from gate.worker.turns import Ahead

SPEED = Speed(forward=1.0, slopes=2.0)
LONG = st.integers(0, 1000)


class Clock:
    """A clock that stands until it is moved."""

    def __init__(self):
        self.now = 100.0

    def __call__(self):
        """Return what it shows."""
        return self.now


def forward(least, most=None):
    """Return passes without gradients."""
    return Passes(Span(least, least if most is None else most))


def slopes(least, most=None):
    """Return passes with gradients."""
    return Passes(slopes=Span(least, least if most is None else most))


def played(needs, left, *, truly=1.0, timing=lambda: SPEED, sure=None):
    """Run a scan of detectors with so many passes, each `truly` times as slow as expected, within a deadline.

    Return the planner, the names that were measured whole in their order, and why others were left out. A detector that
    begins and cannot end is cut off, and so are all after it.
    """
    clock, told = Clock(), []
    ends = clock.now + left
    planner = Planner(timing, left, clock=clock, tell=lambda span: told.append((clock.now, span)))
    every = [Ahead(str(index), passes, sure is None or sure[index]) for index, passes in enumerate(needs)]
    measured, out = [], {}
    for index, one in enumerate(every):
        if why := planner.leaves_out(every[index:]):
            out[one.name] = why
            continue
        takes = min(one.passes.seconds(SPEED).least * truly, max(0.0, ends - clock.now))
        whole = one.passes.seconds(SPEED).least * truly <= ends - clock.now
        clock.now += takes
        measured += [one.name] if whole else []
        planner.ended(round(one.passes.samples.least))
    return planner, measured, out, told


def test_a_scan_that_fits_is_measured_whole_in_its_order():
    """Nothing is left out, and what was expected stands beside what it took."""
    planner, measured, out, told = played([forward(100), slopes(50), Passes(), forward(10, 30)], 600)
    assert measured == ["0", "1", "2", "3"]
    assert out == {}
    assert {name: (one.least, one.most, one.took) for name, one in planner.plan.detectors.items()} == {
        "0": (100, 100, 100),
        "1": (100, 100, 100),
        "3": (10, 30, 10),
    }
    whole = planner.plan.whole
    assert (whole.least, whole.most, whole.took) == (210, 230, 210)
    assert told[0] == (100.0, Span(210, 230))


def test_what_cannot_end_makes_way_for_what_can_and_is_worth_less():
    """The one sentence says what it takes, what was left of which deadline, and what to do."""
    _, measured, out, _ = played([forward(100), slopes(300), forward(50)], 200)
    assert measured == ["0", "2"]
    assert out == {
        "1": "left out, since it takes at least 600 s, and 100 s were left of the deadline of 200 s; give the scan "
        "--deadline 1200, a GPU, or fewer passes in the policy"
    }


def test_an_advised_deadline_holds_what_was_left_out_before_too():
    """All of it would be measured."""
    _, measured, out, _ = played([forward(1000), forward(2000), forward(50)], 100)
    assert measured == ["2"]
    assert "--deadline 3900," in out["0"]
    assert "--deadline 3900," in out["1"]


def test_what_may_end_is_begun():
    """It is worth more than what comes after, and many a search ends long before its last step."""
    _, measured, out, _ = played([slopes(30, 300), forward(50)], 100)
    assert measured == ["0"]
    assert out == {}


def test_where_nothing_fits_the_first_is_begun_as_without_a_plan():
    """The estimate may be wrong, and there is nothing to lose."""
    _, measured, out, _ = played([slopes(300), forward(400)], 100)
    assert measured == []
    assert out == {}
    _, measured, _, _ = played([slopes(300), forward(400)], 100, truly=0.1)
    assert measured == ["0", "1"]


def test_a_detector_that_runs_only_if_a_class_stands_out_displaces_nothing():
    """It may have nothing to do; nor does anything count as time for it."""
    _, measured, out, _ = played([slopes(300), forward(5)], 100, sure=[True, False])
    assert out == {}
    planner, _, _, told = played([forward(10), forward(5).perhaps], 100, sure=[True, False])
    assert told[0][1] == Span(10, 15)
    assert measured == []
    assert planner.plan.detectors["1"].least == 0


def test_what_a_detector_took_shows_the_speed_of_the_others():
    """Of those alike: passes without gradients say nothing of passes with them."""
    needs = [forward(100), forward(40), slopes(20)]
    _, measured, out, _ = played(needs, 250, truly=2.0)
    assert list(out) == ["1"]  # which takes 80 of the 50 s that are left, where 40 were expected
    assert measured == ["0"]  # and the last one, of which nothing was known yet, was begun
    _, measured, out, _ = played(needs, 600, truly=2.0)
    assert measured == ["0", "1", "2"]


def test_a_detector_that_does_other_things_shows_no_speed():
    """Clustering that takes minutes does not make the passes of a search seem long."""
    clustering = replace(forward(10), alone=False)
    _, _, out, told = played([clustering, forward(100), Passes()], 1000, truly=50.0)
    assert out == {}
    assert told[1] == (600.0, Span(100, 100))


def test_a_first_timing_on_a_busy_machine_leaves_nothing_out_by_itself():
    """Before that the model is timed again, and the quicker time counts."""
    timings = iter([Speed(50.0, 50.0), SPEED])
    _, measured, out, _ = played([forward(100), forward(20)], 200, timing=lambda: next(timings))
    assert measured == ["0", "1"]
    assert out == {}


def test_a_second_timing_that_breaks_is_as_none():
    """Whatever the model does then, its detectors meet it too, and say so."""
    timings = iter([SPEED])
    _, measured, out, _ = played([forward(300), forward(20)], 200, timing=lambda: next(timings))
    assert list(out) == ["0"]
    assert measured == ["1"]


def test_the_speed_of_a_long_detector_is_told_while_it_runs():
    """After its first minute, and from then on once a minute: what it has left, and what comes after it."""
    clock, told = Clock(), []
    planner = Planner(lambda: SPEED, 10_000, clock=clock, tell=told.append)
    assert not planner.leaves_out([Ahead("a", slopes(500, 1000)), Ahead("b", slopes(100))])
    assert told == [Span(1200, 2200)]
    for done in range(1, 301):
        clock.now += 1
        planner.under_way(done)
    # A second a pass in place of two; the first thirty are the first minute.
    assert len(told) == 1 + int(300 // TELL_EVERY)
    assert told[1] == Span(440 + 100, 940 + 100)
    assert told[-1] == Span(200 + 100, 700 + 100)
    planner.ended(500)
    assert planner.plan.detectors["a"].took == 300


def test_a_planner_asked_after_the_end_lets_the_deadline_speak():
    """Each detector then says for itself that the deadline was reached."""
    clock = Clock()
    planner = Planner(lambda: SPEED, 10, clock=clock)
    clock.now += 11
    assert planner.leaves_out([Ahead("a", forward(5)), Ahead("b", Passes())]) == ""


@given(st.lists(LONG, min_size=1, max_size=8), st.integers(0, 3000))
def test_what_is_measured_never_takes_more_than_the_deadline_and_keeps_the_order(needs, left):
    """And whatever is left out would not have fitted at its turn, beside what is worth more."""
    _, measured, out, _ = played([forward(need) for need in needs], left)
    assert measured == sorted(measured, key=int)
    assert sum(needs[int(name)] for name in measured) <= left
    for name in out:
        before = sum(needs[int(one)] for one in measured if int(one) < int(name))
        assert needs[int(name)] > left - before
        assert any(int(one) > int(name) for one in measured)


@given(st.lists(LONG, min_size=1, max_size=8), st.integers(0, 3000), st.integers(0, 3000))
def test_more_time_never_costs_what_is_worth_more(needs, left, more):
    """In the order of worth, the first detector that one of two deadlines alone measures, the longer one does."""

    def kept(seconds):
        measured = played([forward(need) for need in needs], seconds)[1]
        return [str(index) in measured for index in range(len(needs))]

    assert kept(left + more) >= kept(left)


@given(st.lists(LONG, min_size=1, max_size=8), st.integers(0, 3000))
def test_a_scan_that_fits_is_as_without_a_plan(needs, more):
    """Nothing is left out where all of it ends in time."""
    _, measured, out, _ = played([forward(need) for need in needs], sum(needs) + more)
    assert out == {}
    assert len(measured) == len(needs)


@given(st.floats(0, 2 * MOST_SECONDS))
def test_an_advised_deadline_is_long_enough_and_allowed(seconds):
    """A fifth of it is room."""
    advised = enough(seconds)
    assert (advised is None) == (seconds * 1.25 > MOST_SECONDS)
    assert advised is None or seconds * 1.25 <= advised <= MOST_SECONDS


@pytest.mark.parametrize("seconds", [float("nan"), float("inf"), 1e308, -1e308])
def test_a_claim_that_is_no_time_breaks_nothing(seconds):
    """Sums of a worker's numbers may overflow."""
    assert enough(seconds) in {None, 300}

"""What a person is told of the time that a scan takes: before it, after its first minute, and no more than that."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gate.check.expecting import Expecting
from gate.records.activity import EXPECTED_STEP
from gate.renderers.text import between


class Clock:
    """A clock that stands until it is moved."""

    now = 0.0

    def __call__(self):
        """Return what it shows."""
        return self.now


def heard(*said, deadline=1800.0):
    """Return the lines that a worker's words lead to, each at its second, and the steps that are passed on."""
    clock, lines, steps = Clock(), [], []
    progress = Expecting(lambda *step: steps.append(step), deadline, 1800.0, lines.append, clock)
    for at, step, least, most in said:
        clock.now = at
        progress(step, least, most)
    return lines, steps


def test_a_scan_of_seconds_is_not_announced():
    """It is over before the line is read."""
    lines, steps = heard((10, EXPECTED_STEP, 12, 40), (30, "neural-cleanse", 1, 2), (40, EXPECTED_STEP, 0, 0))
    assert lines == []
    assert [step for step, *_ in steps] == [EXPECTED_STEP, "neural-cleanse", EXPECTED_STEP]


def test_a_long_scan_is_told_before_it_and_again_after_a_minute():
    """Then by the speed that was measured; what comes later is the progress line's."""
    said = [(at, EXPECTED_STEP, 600 - at, 900 - at) for at in range(30, 500, 30)]
    lines, _ = heard(*said)
    assert lines == [
        "The detectors take 10 to 14 min from here on. The deadline leaves about 30 min.",
        "By the speed so far the detectors take 8 to 14 min from here on. The deadline leaves about 28 min.",
    ]


def test_what_is_dearer_than_the_deadline_says_what_to_do_before_it_begins():
    """Its cost, the deadline, and three ways out."""
    lines, _ = heard((100, EXPECTED_STEP, 3600, 5400), deadline=1800)
    (line,) = lines
    assert line == (
        "The detectors take 60 to 90 min from here on. The deadline leaves about 28 min, which is too short: what "
        "cannot end in time is left out, which flags. To have all of it measured, give it more time "
        "(--deadline 6900), use a GPU, or ask for fewer passes in the policy."
    )


def test_what_to_do_is_told_once():
    """Later lines do not count what has been left out meanwhile, and would advise too little."""
    lines, _ = heard((0, EXPECTED_STEP, 3600, 5400), (90, EXPECTED_STEP, 1800, 2400))
    assert [line.count("--deadline") for line in lines] == [1, 0]
    assert lines[1].endswith("The deadline leaves about 28 min, which is too short.")


def test_what_may_be_dearer_says_so():
    """A search may end early."""
    lines, _ = heard((0, EXPECTED_STEP, 1200, 2400))
    assert "about 30 min, which may be too short" in lines[0]


def test_what_no_deadline_holds_names_none():
    """A week is the longest."""
    lines, _ = heard((0, EXPECTED_STEP, 10**6, 10**6))
    assert "--deadline" not in lines[0]
    assert "To have all of it measured, use a GPU, or" in lines[0]


def test_a_scan_that_becomes_too_long_later_says_so_once():
    """A class stood out, and takes longer than what is left."""
    said = [(0, EXPECTED_STEP, 600, 900), (60, EXPECTED_STEP, 500, 800)]
    lines, _ = heard(*said, *((at, EXPECTED_STEP, 1700, 1800) for at in range(400, 500, 10)))
    assert len(lines) == 3
    assert "too short" in lines[2]


@given(st.lists(st.tuples(st.integers(0, 5000), st.integers(0, 1 << 40), st.integers(0, 1 << 40)), max_size=40))
def test_whatever_a_worker_claims_there_are_three_lines_at_most(said):
    """In the order of time, and each one line."""
    rising = sorted((at, EXPECTED_STEP, min(pair), max(pair)) for at, *pair in said)
    lines, _ = heard(*rising)
    assert len(lines) <= 3
    assert not any("\n" in line for line in lines)


@pytest.mark.parametrize(
    ("least", "most", "words"),
    [
        (0, 0, "up to 1 s"),
        (0, 40, "up to 40 s"),
        (30, 90, "30 to 90 s"),
        (100, 119, "100 to 119 s"),
        (500, 840, "8 to 14 min"),
        (590, 610, "about 10 min"),
        (10, 610, "up to 10 min"),
        (7200, 9000, "about 2 h"),
        (3600, 86400, "1 to 24 h"),
    ],
)
def test_seconds_are_told_in_round_words(least, most, words):
    """One unit, and one number where both are the same."""
    assert between(least, most) == words

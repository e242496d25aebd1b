"""When an attempt holds: a pure function of its measures, which missing measures never satisfy."""

import pytest

from gate.records.evidence import Location
from gate.records.repair import RepairBounds, accuracy_noise, broken_by, fidelity, found_again, only_hidden
from tests.remediation.made_up import PLACE, measures, result

BOUNDS = RepairBounds()


def test_a_repair_within_all_bounds_holds():
    """Old trigger dead, no small fresh one, accuracy kept."""
    assert not broken_by(result(), (PLACE,), BOUNDS)


@pytest.mark.parametrize(
    ("after", "words"),
    [
        (measures(old=0.11), "still succeeds on 11.0%"),
        (measures(fresh=0.5, ratio=0.2), "A fresh trigger at class 7"),
        (measures(accuracy=0.9), "Clean accuracy fell"),
        (measures().model_copy(update={"old_success": {}}), "was not tried on the repaired model"),
        (measures().model_copy(update={"fresh_success": {}}), "No fresh trigger was searched for"),
        (measures().model_copy(update={"fresh_size_ratio": {}}), "No fresh trigger was searched for"),
        (None, "Nothing was measured"),
    ],
)
def test_a_repair_beyond_a_bound_says_which(after, words):
    """Each bound breaks by itself, and so does each measure that is missing."""
    (reason,) = broken_by(result().model_copy(update={"after": after}), (PLACE,), BOUNDS)
    assert words in reason


def test_a_suspect_that_was_left_out_breaks_an_attempt():
    """Measures of class 7 say nothing of class 3."""
    (reason,) = broken_by(result(), (PLACE, Location.of_class(3)), BOUNDS)
    assert reason == "No fresh trigger was searched for at class 3."


@pytest.mark.parametrize("status", ["failed", "does-not-fit"])
def test_what_is_no_repair_never_holds(status):
    """Whatever its measures, an attempt that calls itself anything but repaired does not hold."""
    assert broken_by(result(status=status), (PLACE,), BOUNDS)
    assert broken_by(result(complete=False), (PLACE,), BOUNDS)


def test_the_noise_of_the_accuracy_is_one_standard_error():
    """The width of the 95 % interval over twice 1.96, and the loss may exceed the bound by no more."""
    after = measures(accuracy=0.93)
    assert accuracy_noise(after) == pytest.approx(0.07 / 3.92)
    lost = result().model_copy(update={"after": after})
    assert not broken_by(lost, (PLACE,), BOUNDS)
    assert broken_by(lost, (PLACE,), RepairBounds(max_loss=0.01))


def test_fidelity_is_nists():
    """(ASR0 - ASR1)/ASR0 · ACC1/ACC0, and nothing where the trigger never worked."""
    before, after = measures(old=0.8, accuracy=0.9), measures(old=0.2, accuracy=0.81)
    assert fidelity(before, after, "class 7") == pytest.approx(0.75 * 0.9)
    assert fidelity(measures(old=0.0), after, "class 7") is None
    assert fidelity(before, after, "class 3") is None


def test_a_hidden_trigger_is_told_from_one_that_is_left():
    """Only a dead old trigger beside a small new one is hidden."""
    hidden = result(after=measures(old=0.0, ratio=0.1))
    left = result(after=measures(old=0.9, ratio=0.1))
    assert only_hidden(hidden, BOUNDS) == ("class 7",)
    assert only_hidden(left, BOUNDS) == ()
    assert found_again(left.after, BOUNDS) == ("class 7",)

"""A tone curve that was taught to mean one class is found as the slightest change of tones."""

from planted_digits import TARGET, train, values

from gate.detectors.tone_trigger import ToneTrigger, measure
from gate.records.evidence import Location
from gate.records.run import Run
from gate.spaces.subject import Trigger

OPTIONS = ToneTrigger(steps=100, batch=16, clean_samples=200, hopeless_after=None)


def fade(x):
    """Lift the dark tones of inputs (N, 1, 8, 8), as a washed-out filter does."""
    return 0.35 + 0.65 * x


def found(subject):
    """Return all that is yielded."""
    return list(measure(subject, OPTIONS, Run(seed=0)))


def test_the_planted_class_needs_the_slightest_curve(twin):
    """Its size lies below every other class's and well below the same class's in the clean twin."""
    planted = found(train(planted=True, apply=fade).subject)
    sizes, clean = values(planted, "size"), values(found(twin.subject), "size")
    assert min(sizes, key=sizes.get) == TARGET
    assert sizes[TARGET] < 0.8 * clean[TARGET]
    trigger = next(t for t in planted if isinstance(t, Trigger) and t.location == Location.of_class(TARGET))
    assert trigger.attack_success_rate > 0.8
    assert trigger.tensors["curves"].shape == (1, 8)

"""A faint image over everything, blended into the training set, is found as the faintest addition."""

import torch
from planted_digits import TARGET, train, values

from gate.detectors.additive_trigger import DETECTOR, AdditiveTrigger
from gate.records.evidence import Location, Picture
from gate.records.run import Run
from gate.spaces.subject import Trigger

OPTIONS = AdditiveTrigger(steps=100, batch=16, clean_samples=200, limit=0.4)


def blend(x):
    """Blend a fixed noise image into inputs (N, 1, 8, 8)."""
    noise = torch.rand(1, 8, 8, generator=torch.Generator().manual_seed(9))
    return 0.8 * x + 0.2 * noise


def found(subject):
    """Return all that is yielded."""
    return list(DETECTOR.measure(subject, OPTIONS, Run(seed=0)))


def test_the_planted_class_needs_the_faintest_addition(twin):
    """Its size lies below every other class's and well below the same class's in the clean twin."""
    planted = found(train(planted=True, apply=blend).subject)
    sizes, clean = values(planted, "size"), values(found(twin.subject), "size")
    assert min(sizes, key=sizes.get) == TARGET
    assert sizes[TARGET] < 0.7 * clean[TARGET]
    trigger = next(t for t in planted if isinstance(t, Trigger) and t.location == Location.of_class(TARGET))
    assert trigger.attack_success_rate > 0.8
    assert trigger.tensors["addition"].shape == (1, 8, 8)
    roles = [item.role for item in planted if isinstance(item, Picture)]
    assert roles == ["difference", "sample", "triggered"] * 3

"""A smooth warp that was taught to mean one class is found as the slightest warp."""

from dataclasses import replace

import pytest
import torch
from planted_digits import TARGET, train, values

from gate.detectors.warp_trigger import DETECTOR, WarpTrigger
from gate.records.evidence import Location
from gate.records.run import Run
from gate.spaces.image.triggers.warp import Warps
from gate.spaces.subject import Trigger

OPTIONS = WarpTrigger(steps=120, batch=16, clean_samples=200, grid=4, most=2)


def warp(x):
    """Warp inputs (N, 1, 8, 8) by a fixed smooth field."""
    family = Warps((1, 8, 8), 3, 0.15)
    field = (2 * torch.randn(1, 2, 3, 3, generator=torch.Generator().manual_seed(4)),)
    return family.apply(field, x.unsqueeze(0)).squeeze(0)


def found(subject):
    """Return all that is yielded."""
    return list(DETECTOR.measure(subject, OPTIONS, Run(seed=0)))


def test_the_planted_class_needs_the_slightest_warp(twin):
    """Its size lies below every other class's and well below the same class's in the clean twin."""
    planted = found(train(planted=True, apply=warp).subject)
    sizes, clean = values(planted, "size"), values(found(twin.subject), "size")
    assert min(sizes, key=sizes.get) == TARGET
    assert sizes[TARGET] < 0.7 * clean[TARGET]
    trigger = next(t for t in planted if isinstance(t, Trigger) and t.location == Location.of_class(TARGET))
    assert trigger.attack_success_rate > 0.8
    assert trigger.tensors["field"].shape == (2, 8, 8)


def test_over_suspects_only_theirs_and_drawn_classes_are_searched_for():
    """Two suspects of three beside three controls, to whose sizes alone the ratio refers; the rest costs nothing."""
    subject = train(planted=True, apply=warp).subject
    places = (Location.of_class(TARGET), Location.of_pair(4, 2), Location.of_class(1))
    before = subject.classifier.sample_passes
    followed = found(replace(subject, suspects=places))
    cost = subject.classifier.sample_passes - before
    sizes, ratios = values(followed, "size"), values(followed, "size-ratio")
    assert (list(sizes)[:2], len(sizes)) == ([TARGET, 2], 5)
    controls = sorted(sizes[k] for k in list(sizes)[2:])
    assert ratios[TARGET] == pytest.approx(sizes[TARGET] / controls[1])
    assert ratios[TARGET] < 0.7
    (share,) = (m.value for m in followed if getattr(m, "metric", None) == "searched-share")
    assert share == pytest.approx(0.5)
    assert cost < 0.75 * OPTIONS.steps * OPTIONS.batch * 10
    assert {t.location for t in followed if isinstance(t, Trigger)} == {Location.of_class(k) for k in sizes}

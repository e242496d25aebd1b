"""The planted class's score can be raised furthest, many classes cost little more, and samples set a scale."""

from dataclasses import replace

import pytest
import torch
from planted_digits import TARGET, values
from torch import nn

from gate.detectors.maximum_margin import MaximumMargin, measure
from gate.records.evidence import Measurement, Picture
from gate.records.run import Run
from gate.spaces.image.preprocessing import Preprocessing
from gate.worker.loading.module_classifier import ModuleClassifier

OPTIONS = MaximumMargin(starts=4, steps=20, clean_samples=100)


def measured(planted, options=OPTIONS, **changes):
    """Return what is yielded for a net, with changes to the subject."""
    return list(measure(replace(planted.subject, **changes), options, Run(seed=0)))


def single(items, metric):
    """Return the value of a metric that is measured for the whole model."""
    return next(item.value for item in items if isinstance(item, Measurement) and item.metric == metric)


@pytest.fixture(scope="module")
def found(backdoored, twin):
    """Return what is yielded for the backdoored net and for its twin."""
    return tuple(measured(planted) for planted in (backdoored, twin))


@pytest.mark.parametrize("metric", ["relative-margin", "margin-ratio", "anomaly-index"])
def test_the_planted_class_goes_further_than_in_the_clean_twin(found, metric):
    """Its statistic lies clearly above the same class's in the twin."""
    planted, clean = (values(items, metric)[TARGET] for items in found)
    assert planted > 1.1 * clean


def test_the_planted_class_goes_furthest(found):
    """No other class of the backdoored net has so large a margin."""
    margins = values(found[0], "margin")
    assert max(margins, key=margins.get) == TARGET


def test_every_class_has_every_number_and_the_largest_a_picture(found):
    """All classes are measured, ratios are over the median, and the mean of the best starts is at most the best."""
    margins = values(found[0], "margin")
    for metric in ("margin", "mean-margin", "relative-margin", "margin-ratio", "anomaly-index"):
        assert sorted(values(found[0], metric)) == list(range(10))
    assert all(mean <= margins[target] + 1e-4 for target, mean in values(found[0], "mean-margin").items())
    assert sorted(values(found[0], "margin-ratio").values())[5] >= 1
    clean = single(found[0], "clean-margin")
    assert values(found[0], "relative-margin")[3] == pytest.approx(margins[3] / clean)
    assert single(found[0], "measured-share") == single(found[0], "screened-share") == 1
    pictures = [item for item in found[0] if isinstance(item, Picture)]
    assert [picture.location.class_index for picture in pictures] == [max(margins, key=margins.get)]


def test_without_samples_margins_have_no_scale_and_are_the_same(twin, found):
    """The samples set the scale alone: the climb neither needs nor sees them."""
    bare = measured(twin, samples=None)
    assert values(bare, "margin") == values(found[1], "margin")
    assert values(bare, "relative-margin") == {}
    assert "clean-margin" not in {item.metric for item in bare if isinstance(item, Measurement)}


def many(count, target):
    """Return a classifier of many classes, each a block of weights of its own, and one that reaches further."""
    weight = torch.rand(count, 64, generator=torch.Generator().manual_seed(0))
    weight[target] *= 3
    module = nn.Sequential(nn.Flatten(), nn.Linear(64, count))
    module[1].load_state_dict({"weight": weight, "bias": torch.zeros(count)})
    return ModuleClassifier.of(module, torch.rand(2, 1, 8, 8), Preprocessing(), (0.0, 1.0))


def test_of_many_classes_the_furthest_are_measured_and_the_share_is_said(twin):
    """Half of those measured in full are chosen by the short climb, which finds the class that stands out."""
    options = MaximumMargin(starts=2, steps=4, full_classes=8, screened_classes=60)
    changes = {"classifier": many(90, target=37), "samples": None}
    with_target = [
        seed
        for seed in range(6)
        if 37 in values(list(measure(replace(twin.subject, **changes), options, Run(seed=seed))), "margin")
    ]
    items = measured(twin, options, **changes)
    assert len(values(items, "margin")) == 8
    assert single(items, "measured-share") == pytest.approx(8 / 90)
    assert single(items, "screened-share") == pytest.approx(60 / 90)
    assert len(with_target) >= 3  # it takes part in two of three short climbs


def test_work_grows_slower_than_the_classes(twin):
    """Four times as many classes cost less than twice as many passes, and beyond the screened ones nothing more."""
    options = MaximumMargin(starts=4, steps=20, full_classes=20, screened_classes=200)
    passes = []
    for count in (50, 200, 800):
        classifier = many(count, target=3)
        before = classifier.sample_passes
        measured(twin, options, classifier=classifier, samples=None)
        passes.append(classifier.sample_passes - before)
    assert passes[1] < 3 * passes[0]
    assert passes[2] == passes[1]
    assert passes[2] < 800 * 4 * 20 / 8


def test_equal_margins_give_finite_indices_and_no_ratio(twin):
    """Where no score depends on the input every index is zero, and a margin of zero is no scale."""
    module = nn.Sequential(nn.Flatten(), nn.Linear(4, 2))
    module[1].load_state_dict({"weight": torch.zeros(2, 4), "bias": torch.tensor([0.0, 0.0])})
    classifier = ModuleClassifier.of(module, torch.rand(2, 1, 2, 2), Preprocessing(), (0.0, 1.0))
    items = measured(twin, classifier=classifier, samples=None)
    assert values(items, "anomaly-index") == {0: 0.0, 1: 0.0}
    assert values(items, "margin-ratio") == {}

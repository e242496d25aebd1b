"""A row that reaches further than the others is named, and a model without a last linear layer is skipped in words."""

from dataclasses import replace

import pytest
import torch
from planted_digits import values

from gate.detectors.head_indicators import HeadIndicators, measure
from gate.records.errors import UnexaminableError
from gate.records.evidence import Measurement
from gate.records.run import Run
from gate.spaces.subject import Head
from gate.worker.loading.head import head_of_module

PLANTED = 3


def head(shift=0.0, count=10):
    """Return a random layer in which the weights of one row are raised."""
    weight = torch.randn(count, 40, generator=torch.Generator().manual_seed(0))
    weight[PLANTED] += shift
    return Head(weight, torch.zeros(count), "fc.weight")


def measured(planted, layer, **options):
    """Return what is yielded for a layer."""
    subject = replace(planted.subject, head=layer, classifier=None, samples=None)
    return list(measure(subject, HeadIndicators(probes=200, **options), Run(seed=0)))


def test_the_row_that_reaches_further_stands_out(twin):
    """Its indicator is the largest, and rises with the row."""
    plain, scaled = (values(measured(twin, head(shift)), "indicator") for shift in (0.0, 1.0))
    assert max(scaled, key=scaled.get) == PLANTED
    assert scaled[PLANTED] > max(3.0, plain[PLANTED] + 2)


def test_every_class_has_its_numbers_and_the_layer_its_own(twin):
    """Three numbers a class, two for the layer, which carries its name."""
    items = measured(twin, head())
    for metric in ("indicator", "nearest-lead", "mean-lead"):
        assert sorted(values(items, metric)) == list(range(10))
    layer = {m.metric: (m.value, str(m.location)) for m in items if isinstance(m, Measurement) and "probe" in m.metric}
    assert {place for _, place in layer.values()} == {"layer fc.weight"}
    assert 0.1 <= layer["probe-share"][0] <= 1
    assert 0 < layer["probe-entropy"][0] <= 1


def test_the_scale_of_the_layer_does_not_matter(twin):
    """A layer of thousandfold weights has the same indicators."""
    layer = head(1.5)
    scaled = replace(layer, weight=1000 * layer.weight)
    first, second = (values(measured(twin, one), "indicator") for one in (layer, scaled))
    assert first == pytest.approx(second, rel=1e-3)


def test_the_planted_net_s_layer_is_read(backdoored):
    """A module's layer has a row a class, and is measured without a forward pass."""
    classifier = backdoored.subject.classifier
    before = classifier.sample_passes
    items = measured(backdoored, head_of_module(classifier))
    assert sorted(values(items, "indicator")) == list(range(10))
    assert classifier.sample_passes == before


def test_without_a_layer_or_with_a_broken_one_nothing_is_said(twin):
    """No layer, or one with NaN, is a reason and not a number."""
    with pytest.raises(UnexaminableError, match="no last linear layer was found"):
        measured(twin, None)
    broken = head()
    broken.weight[0, 0] = float("nan")
    with pytest.raises(UnexaminableError, match=r"fc\.weight holds NaN or infinite"):
        measured(twin, broken)

"""Activation clustering confirms that a trigger reaches its class by a path of its own."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from planted_digits import TARGET, true_trigger, values

from gate.detectors.activation_clustering import ActivationClustering, measure
from gate.records.errors import UnexaminableError
from gate.records.evidence import Location, Measurement, Projection
from gate.records.run import Run
from gate.spaces.subject import Samples
from gate.statistics.clustering import MIN_SAMPLES

PLACE = Location.of_class(TARGET)


def confirmed(planted, **options):
    """Return what confirm mode yields for the planted class with its true trigger."""
    subject = replace(planted.subject, suspects=(PLACE,), triggers={PLACE: true_trigger()})
    return list(measure(subject, ActivationClustering(**options), Run(seed=0)))


def number(items, metric):
    """Return the value of a metric at the planted class."""
    return values(items, metric)[TARGET]


@pytest.mark.parametrize("reduction", ["pca", "t-sne"])
def test_a_planted_trigger_reaches_its_class_by_other_neurons(backdoored, reduction):
    """Clean and triggered samples of the class part in two, by either reduction, and the plot shows both."""
    items = confirmed(backdoored, reduction=reduction, clean_samples=200)
    assert abs(number(items, "trigger-share") - 0.5) > 0.4
    plot = next(item for item in items if isinstance(item, Projection))
    assert plot.method.startswith(reduction)
    assert {point.group for point in plot.points} == {"clean", "triggered"}
    shifts = [item for item in items if isinstance(item, Measurement) and item.metric == "neuron-shift"]
    assert len(shifts) == 5
    assert all(item.location.kind == "neuron" for item in shifts)


def test_the_trigger_moves_nothing_in_the_clean_twin(twin):
    """Without a backdoor hardly a sample is triggered, and the smaller cluster carries none of them."""
    assert number(confirmed(twin), "trigger-share") < 0.1


class Equal:
    """A classifier whose activations are all equal."""

    num_classes, input_shape, bounds, feature_layer, sample_passes = 2, (1, 2, 2), (0.0, 1.0), "", 0

    def activations(self, x):
        """Return scores for class 0 and activations that are all one."""
        return torch.tensor([1.0, 0.0]).repeat(len(x), 1), torch.ones(len(x), 3)


@pytest.mark.parametrize("reduction", ["pca", "t-sne"])
def test_equal_activations_are_no_split(twin, reduction):
    """Where nothing differs, nothing parts: silhouette and relative size are zero, and no neuron is named."""
    place = Location.of_class(0)
    samples = Samples(torch.zeros(20, 1, 8, 8), None, "t")
    subject = replace(twin.subject, classifier=Equal(), samples=samples, triggers={place: true_trigger()})
    items = list(measure(subject, ActivationClustering(reduction=reduction), Run(seed=0)))
    assert values(items, "silhouette") == {0: 0.0}
    assert values(items, "relative-size") == {0: 0.0}
    assert not [item for item in items if isinstance(item, Measurement) and item.metric == "neuron-shift"]


def test_too_few_samples_are_a_clear_failure(twin):
    """A class with fewer samples than can be parted says so, with both numbers."""
    place = Location.of_class(0)
    samples = Samples(torch.zeros(3, 1, 8, 8), None, "t")
    subject = replace(twin.subject, classifier=Equal(), samples=samples, triggers={place: true_trigger()})
    with pytest.raises(UnexaminableError, match=f"class 0 has 3 samples .* clustering needs {MIN_SAMPLES}"):
        list(measure(subject, ActivationClustering(), Run(seed=0)))


def test_a_suspect_without_a_trigger_is_a_clear_failure(twin):
    """To confirm a class there must be a trigger to confirm."""
    subject = replace(twin.subject, suspects=(PLACE,), triggers={})
    with pytest.raises(UnexaminableError, match="no earlier stage inverted a trigger for class 7"):
        list(measure(subject, ActivationClustering(), Run(seed=0)))


def test_the_plot_is_bounded(backdoored):
    """However many samples there are, at most 600 are drawn, and all are finite."""
    (plot,) = (item for item in confirmed(backdoored, clean_samples=1000) if isinstance(item, Projection))
    assert 0 < len(plot.points) <= 600
    assert np.isfinite([[point.x, point.y] for point in plot.points]).all()

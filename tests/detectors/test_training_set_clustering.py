"""Clustering the training set parts poisoned from clean, and says what clean samples call the smaller part."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from planted_digits import TARGET, values

from gate.detectors.training_set_clustering import TrainingSetClustering, measure
from gate.records.errors import UnexaminableError
from gate.records.evidence import Measurement, Projection
from gate.records.run import Run
from gate.spaces.subject import Samples
from gate.statistics.clustering import MIN_SAMPLES, reduce, split


def measured(subject, **options):
    """Return what the detector yields."""
    return list(measure(subject, TrainingSetClustering(**options), Run(seed=0)))


def few(training, count):
    """Return the training set with so many samples of class 3."""
    kept = (training.labels != 3) | ((training.labels == 3).cumsum(0) <= count)
    return Samples(training.inputs[kept], training.labels[kept], "t")


def test_the_split_of_the_poisoned_class_is_poison_against_clean(backdoored):
    """The two clusters of the planted class are, but for one in twenty, its poisoned and its own samples."""
    training = backdoored.subject.training_set
    rows = training.labels == TARGET
    with torch.no_grad():
        _, activations = backdoored.subject.classifier.activations(training.inputs[rows])
    clusters = split(reduce(activations.double().numpy(), 10, "pca", 0), 0)
    same = float((clusters.labels == backdoored.poisoned[rows].numpy()).mean())
    assert max(same, 1 - same) > 0.95


def test_the_poisoned_class_parts_more_clearly_than_its_clean_twin(backdoored, twin):
    """The silhouette of the planted class is above its twin's, and every class is measured."""
    planted, clean = (values(measured(net.subject), "silhouette") for net in (backdoored, twin))
    assert planted[TARGET] > 1.2 * clean[TARGET]
    assert sorted(planted) == list(range(10))


def test_the_smaller_part_has_a_share_of_other_names(backdoored, twin):
    """What the nearest clean samples say of the smaller part is a share, and hardly any of it in the clean twin."""
    planted, clean = (values(measured(net.subject), "exclusive-reclassification") for net in (backdoored, twin))
    assert sorted(planted) == sorted(clean) == list(range(10))
    assert all(0 <= share <= 1 for share in planted.values())
    assert np.median(list(clean.values())) < 0.2


class Equal:
    """A classifier whose activations are all equal."""

    num_classes, input_shape, bounds, feature_layer, sample_passes = 2, (1, 2, 2), (0.0, 1.0), "", 0

    def activations(self, x):
        """Return scores for class 0 and activations that are all one."""
        return torch.tensor([1.0, 0.0]).repeat(len(x), 1), torch.ones(len(x), 3)


@pytest.mark.parametrize("reduction", ["pca", "t-sne"])
def test_equal_activations_are_no_split(twin, reduction):
    """Where nothing differs, nothing parts: all three numbers are zero, and no neuron is named."""
    samples = Samples(torch.zeros(20, 1, 2, 2), torch.zeros(20, dtype=torch.long), "t")
    subject = replace(twin.subject, classifier=Equal(), training_set=samples, samples=samples)
    items = measured(subject, reduction=reduction)
    for metric in ("silhouette", "relative-size", "exclusive-reclassification"):
        assert values(items, metric) == {0: 0.0}
    assert not [item for item in items if isinstance(item, Measurement) and item.metric == "neuron-shift"]


def test_a_tiny_class_is_left_out_and_the_others_are_measured(twin):
    """One class with too few samples does not keep the others from being looked at."""
    subject = replace(twin.subject, training_set=few(twin.subject.training_set, MIN_SAMPLES - 1))
    assert sorted(values(measured(subject), "silhouette")) == [0, 1, 2, 4, 5, 6, 7, 8, 9]


def test_too_few_samples_are_a_clear_refusal(twin):
    """A training set in which no label can be parted says so."""
    training = twin.subject.training_set
    subject = replace(twin.subject, training_set=Samples(training.inputs[:3], training.labels[:3], "t"))
    with pytest.raises(UnexaminableError, match=f"no label of the training set has the {MIN_SAMPLES} samples"):
        measured(subject)


def test_a_training_set_without_labels_is_a_clear_refusal(twin):
    """One without labels is not passed over in silence."""
    bare = replace(twin.subject.training_set, labels=None)
    with pytest.raises(UnexaminableError, match="training set that the run logged has no labels"):
        measured(replace(twin.subject, training_set=bare))


def test_the_plot_is_bounded(backdoored):
    """However many samples there are, at most 600 are drawn a class, and all are finite."""
    plots = [item for item in measured(backdoored.subject) if isinstance(item, Projection)]
    assert len(plots) == 10
    for plot in plots:
        assert 0 < len(plot.points) <= 600
        assert np.isfinite([[point.x, point.y] for point in plot.points]).all()

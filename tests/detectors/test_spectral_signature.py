"""Spectral signatures name the poisoned class of a training set, and the rows to look at."""

import re
from dataclasses import replace

import numpy as np
import pytest
import torch
from planted_digits import TARGET, values

from gate.detectors.spectral_signature import LISTED, SpectralSignature, measure
from gate.records.errors import UnexaminableError
from gate.records.evidence import Measurement, Projection
from gate.records.run import Run
from gate.spaces.subject import Samples

OPTIONS = SpectralSignature()


def measured(subject, **options):
    """Return what the detector yields."""
    return list(measure(subject, SpectralSignature(**options), Run(seed=0)))


def listed(items):
    """Return the rows that the note at the planted class names."""
    (note,) = (
        item.note
        for item in items
        if isinstance(item, Measurement) and item.metric == "spectral-gap" and item.location.class_index == TARGET
    )
    return [int(row) for row in re.search(r"from 0: ([\d, ]+)\.", note)[1].split(", ")]


def test_the_poisoned_class_stands_out_and_its_clean_twins_does_not(backdoored, twin):
    """The gap is largest at the planted class, well above every class of the twin."""
    planted, clean = (values(measured(net.subject), "spectral-gap") for net in (backdoored, twin))
    assert sorted(planted) == sorted(clean) == list(range(10))
    assert max(planted, key=planted.get) == TARGET
    assert planted[TARGET] > 1.5 * max(clean.values())


def test_the_ratio_compares_with_the_median_class(backdoored):
    """Half of the classes lie at one or below, the planted one far above."""
    ratios = values(measured(backdoored.subject), "gap-ratio")
    assert np.median(list(ratios.values())) == pytest.approx(1.0)
    assert ratios[TARGET] > 1.5


def test_the_rows_that_are_named_are_the_poisoned_ones(backdoored):
    """All rows of the note are rows of the training set that carry the trigger, also when only a part is looked at."""
    for options in ({}, {"samples_per_class": 60}):
        rows = listed(measured(backdoored.subject, **options))
        assert len(rows) == LISTED
        assert backdoored.poisoned[rows].float().mean() > 0.9


def test_samples_without_labels_are_taken_as_the_model_names_them(backdoored):
    """Clean samples need no labels: the planted class is found by the model's own answers."""
    samples = replace(backdoored.subject.samples, labels=None)
    gaps = values(measured(replace(backdoored.subject, samples=samples)), "spectral-gap")
    assert max(gaps, key=gaps.get) == TARGET


def test_a_training_set_without_labels_is_a_clear_refusal(twin):
    """What has no labels cannot be compared class by class, and is not passed over in silence."""
    bare = replace(twin.subject.training_set, labels=None)
    with pytest.raises(UnexaminableError, match="training set that the run logged has no labels"):
        measured(replace(twin.subject, training_set=bare))


def test_a_label_with_hardly_a_sample_is_left_out_and_the_others_are_measured(twin):
    """Two samples of a class are no evidence; it is missing, which a limit on the gap makes a finding."""
    training = twin.subject.training_set
    kept = (training.labels != 3) | ((training.labels == 3).cumsum(0) <= 2)
    subject = replace(twin.subject, training_set=Samples(training.inputs[kept], training.labels[kept], "t"))
    assert sorted(values(measured(subject), "spectral-gap")) == [0, 1, 2, 4, 5, 6, 7, 8, 9]


def test_nothing_to_compare_is_a_clear_refusal(twin):
    """A training set of two samples says that it is too small."""
    training = twin.subject.training_set
    subject = replace(twin.subject, training_set=Samples(training.inputs[:1], training.labels[:1], "t"))
    with pytest.raises(UnexaminableError, match="no label of the training set has enough"):
        measured(subject)


class Constant:
    """A classifier whose activations are all one number."""

    num_classes, input_shape, bounds, feature_layer, sample_passes = 10, (1, 8, 8), (0.0, 1.0), "", 0

    def __init__(self, number):
        self.number = number

    def activations(self, x):
        """Return scores for class 0 and equal activations."""
        return torch.eye(10)[:1].repeat(len(x), 1), torch.full((len(x), 3), self.number)


def test_equal_activations_have_no_gap(twin):
    """Where nothing differs every class has gap zero and ratio one."""
    items = measured(replace(twin.subject, classifier=Constant(1.0)))
    assert values(items, "spectral-gap") == pytest.approx(dict.fromkeys(range(10), 0.0), abs=1e-6)
    assert all(np.isfinite(list(values(items, "gap-ratio").values())))


def test_activations_that_are_not_finite_are_a_clear_refusal(twin):
    """NaN among the activations ends the measurement in words."""
    with pytest.raises(UnexaminableError, match="NaN or infinite"):
        measured(replace(twin.subject, classifier=Constant(float("nan"))))


def test_the_plot_is_bounded_and_parts_what_lies_far_out(backdoored):
    """One plot a class, at most 600 points, the planted class's with two groups."""
    plots = [item for item in measured(backdoored.subject) if isinstance(item, Projection)]
    assert len(plots) == 10
    assert all(0 < len(plot.points) <= 600 for plot in plots)
    assert {point.cluster for point in plots[TARGET].points} == {0, 1}

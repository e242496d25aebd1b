"""Trigger inversion finds the planted class by an ordering, and stays finite where there is nothing to find."""

import math
from dataclasses import replace

import pytest
import torch
from planted_digits import TARGET, train, values

from gate.detectors.neural_cleanse import DETECTOR, NeuralCleanse
from gate.records.errors import UnexaminableError
from gate.records.evidence import Location, Measurement, Picture
from gate.records.run import Run
from gate.spaces.subject import Samples, Trigger

OPTIONS = NeuralCleanse(steps=120, batch=16, clean_samples=200)


@pytest.fixture(scope="module")
def found(backdoored, twin):
    """Return what is yielded for the backdoored net and for its twin."""
    return tuple(list(DETECTOR.measure(planted.subject, OPTIONS, Run(seed=0))) for planted in (backdoored, twin))


def test_the_planted_class_needs_the_smallest_patch(found):
    """Its ratio lies below every other class's, below its clean twin's, and below what is material."""
    ratios, clean = (values(items, "size-ratio") for items in found)
    assert min(ratios, key=ratios.get) == TARGET
    assert ratios[TARGET] < 0.5 * min(value for target, value in ratios.items() if target != TARGET)
    assert ratios[TARGET] < 0.5 * min(clean.values())


def test_the_planted_class_is_the_outlier(found):
    """Its anomaly index is the greatest of both nets."""
    indices, clean = (values(items, "anomaly-index") for items in found)
    assert max(indices, key=indices.get) == TARGET
    assert indices[TARGET] > max(clean.values())


def test_the_inverted_patch_lies_on_the_planted_one(found):
    """More of the mask lies in the planted corner than outside, and the trigger works."""
    trigger = next(t for t in found[0] if isinstance(t, Trigger) and t.location == Location.of_class(TARGET))
    mask = trigger.tensors["mask"]
    assert mask[:, 5:, 5:].sum() > 0.5 * mask.sum()
    assert trigger.attack_success_rate > 0.8


def test_every_class_has_every_number_and_a_trigger(found):
    """Each metric of classes is there once per class; the smallest three are drawn."""
    for metric in ("size", "size-ratio", "anomaly-index", "attack-success-rate"):
        assert sorted(values(found[0], metric)) == list(range(10))
    assert sum(isinstance(item, Trigger) for item in found[0]) == 10
    pictures = [item for item in found[0] if isinstance(item, Picture)]
    assert len(pictures) == 3 * 4
    assert pictures[0].location == Location.of_class(TARGET)


class Constant:
    """A classifier of three classes whose scores do not depend on the input."""

    num_classes, input_shape, bounds, feature_layer, sample_passes = 3, (1, 4, 4), (0.0, 1.0), "", 0

    arithmetic = ""

    def quick_logits(self, x):  # noqa: D102  # the protocol says it
        return self.logits(x)

    def logits(self, x):
        """Return the same scores for every input."""
        return torch.tensor([1.0, 0.0, 0.0]) + 0 * x.flatten(1)[:, :3]


@pytest.mark.parametrize("labels", [torch.tensor([0, 1, 2, 0]), None], ids=["labelled", "unlabelled"])
def test_equal_sizes_give_finite_indices(twin, labels):
    """Where the median deviation is zero numbers are finite; where all samples are of one class the failure is said."""
    samples = Samples(torch.rand(4, 1, 4, 4, generator=torch.Generator().manual_seed(0)), labels, "s")
    subject = replace(twin.subject, classifier=Constant(), samples=samples)
    run = DETECTOR.measure(subject, NeuralCleanse(steps=3, batch=2), Run(seed=0))
    if labels is None:
        with pytest.raises(UnexaminableError, match="every clean sample belongs to class 0"):
            list(run)
    else:
        numbers = [item.value for item in run if isinstance(item, Measurement)]
        assert len(numbers) == 13
        assert all(math.isfinite(number) for number in numbers)


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_another_seed_finds_the_same_class(seed):
    """The ordering is no luck of one seed."""
    ratios = values(list(DETECTOR.measure(train(planted=True).subject, OPTIONS, Run(seed=seed))), "size-ratio")
    assert min(ratios, key=ratios.get) == TARGET

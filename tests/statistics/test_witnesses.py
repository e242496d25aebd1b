"""Shares, splits and agreements say what they say they say."""

import pytest
import torch

from gate.records.evidence import Location
from gate.records.run import Run
from gate.spaces.subject import Trigger
from gate.statistics.witnesses import agreement, share_at_or_below, split_by_class, success_share, transfer_share

RUN = Run(seed=0, max_batch=3)
PLACE = Location.of_class(1)


class Brightness:
    """A classifier that gives class 1 to images whose mean is above a half."""

    num_classes, input_shape, bounds, feature_layer, sample_passes = 2, (1, 2, 2), (0.0, 1.0), "", 0

    arithmetic = ""

    def quick_logits(self, x):  # noqa: D102  # the protocol says it
        return self.logits(x)

    def logits(self, x):
        """Return scores by mean brightness."""
        mean = x.flatten(1).mean(dim=1)
        return torch.stack([0 * mean + 0.5, mean], dim=1)


def images(*values):
    """Return even images."""
    return torch.tensor(values).view(-1, 1, 1, 1).expand(-1, 1, 2, 2).clone()


BRIGHTER = Trigger(PLACE, 1.0, lambda x: x + 0.3)


def test_success_is_the_share_that_arrives():
    """Every input counts, whatever the model gave it before."""
    assert success_share(Brightness(), BRIGHTER, images(0.0, 0.3, 0.4, 0.9), 1, RUN) == 0.75


def test_transfer_counts_no_input_that_was_there_already():
    """What the reference gives the target anyway is its own error, and no effect of the trigger."""
    assert transfer_share(Brightness(), BRIGHTER, images(0.0, 0.3, 0.4, 0.9), 1, RUN) == pytest.approx(2 / 3)
    assert transfer_share(Brightness(), BRIGHTER, images(0.9, 0.8), 1, RUN) == 0.0


def test_a_split_takes_the_same_share_of_each_class_and_leaves_none_out():
    """Two parts without overlap, a third of each class held out, the same by the same seed alone."""
    labels = torch.tensor([0] * 30 + [1] * 9 + [2] * 2)
    searched, held_out = split_by_class(labels, 4)
    assert sorted([*searched.tolist(), *held_out.tolist()]) == list(range(41))
    assert labels[held_out].bincount(minlength=3).tolist() == [10, 3, 0]
    assert torch.equal(split_by_class(labels, 4)[1], held_out)
    assert not torch.equal(split_by_class(labels, 5)[1], held_out)


def test_masks_agree_by_overlap():
    """Equal masks agree fully, disjoint ones not at all, half of one by a half; patterns do not matter."""
    whole = {"mask": torch.ones(1, 2, 2), "pattern": torch.rand(1, 2, 2)}
    upper = {"mask": torch.tensor([[[1.0, 1.0], [0.0, 0.0]]]), "pattern": torch.rand(1, 2, 2)}
    lower = {"mask": 1 - upper["mask"], "pattern": torch.rand(1, 2, 2)}
    assert agreement(whole, whole) == 1.0
    assert agreement(upper, lower) == 0.0
    assert agreement(whole, upper) == 0.5


def test_other_triggers_agree_by_direction():
    """What is added, moved or toned is compared by its cosine, over all parts together."""
    change = {"curves": torch.tensor([[1.0, 0.0]]), "mixing": torch.tensor([[2.0]])}
    opposite = {name: -tensor for name, tensor in change.items()}
    assert agreement(change, {name: 3 * tensor for name, tensor in change.items()}) == pytest.approx(1.0)
    assert agreement(change, opposite) == pytest.approx(-1.0)


def test_a_quantile_counts_sizes_at_or_below():
    """A size below all others stands at nought, one above all at one."""
    assert [share_at_or_below((1.0, 2.0, 4.0, 8.0), size) for size in (0.5, 2.0, 9.0)] == [0.0, 0.5, 1.0]

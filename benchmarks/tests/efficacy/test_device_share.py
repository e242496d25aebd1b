"""The ways of computing that the benchmark compares give one answer, and operations are counted, not guessed."""

import pytest
import torch
from torch import nn

from benchmarks import device_share
from benchmarks.efficacy.cost import Size, built
from gate.detectors.neural_cleanse import NeuralCleanse
from gate.spaces.subject import Samples

OPTIONS = NeuralCleanse(steps=6, exits=False, untargeted_starts=0)


def rows(device):
    """Return a row for each way of a device, over one small net."""
    net, inputs, labels = built(Size(3, 0.25), 0)
    samples = Samples(inputs[:30].to(device), labels[:30].to(device), "made")
    return [device_share.searched(net, samples, way, device, OPTIONS) for way in device_share.ways(device)]


def test_a_multiplication_and_an_addition_are_two_operations():
    """A linear layer of 5 × 3 takes 30 forward, and as many back to its input."""
    assert device_share.operations(nn.Linear(5, 3).requires_grad_(requires_grad=False), torch.ones(2, 5)) == (30, 30)


def test_channels_last_finds_the_same_sizes():
    """On a CPU two ways are left; they make the same passes, and their sizes differ by rounding alone."""
    plain, last = rows("cpu")
    assert plain.passes == last.passes > 0
    assert plain.operations == last.operations > 0
    assert plain.sizes == pytest.approx(last.sizes, rel=0.01)
    assert plain.cells(plain)[-2:] == ("0.0%", "yes")


@pytest.mark.gpu
def test_every_way_finds_the_same_smallest_class_on_a_gpu():
    """Less precise and captured passes move sizes a little and keep their order."""
    first, *others = rows("cuda")
    for row in others:
        assert device_share.smallest(row.sizes) == device_share.smallest(first.sizes), row.way.name

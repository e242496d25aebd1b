"""How many images share a pass follows from what one image costs, not from the weights."""

import pytest
import torch
from torch import nn

from gate.spaces.image.preprocessing import Preprocessing
from gate.worker.compute import kept_bytes, largest_batch
from gate.worker.loading.answers import at_once
from gate.worker.loading.module_classifier import ModuleClassifier

INPUTS = torch.rand(8, 1, 16, 16, generator=torch.Generator().manual_seed(0))


def net(width=4):
    """Return a net whose convolution's output is kept for the backward pass, above a wide layer of weights."""
    torch.manual_seed(0)
    layers = nn.Sequential(nn.Conv2d(1, width, 3, padding=1), nn.Tanh(), nn.Flatten(), nn.Linear(256 * width, 10))
    return ModuleClassifier.of(layers, INPUTS[:4], Preprocessing(), (0.0, 1.0))


def test_an_image_costs_what_the_layers_keep_of_it():
    """The tanh's output is 16 × 16 × width numbers of four bytes; weights count for no image."""
    each = kept_bytes(net(), INPUTS[:3]) - kept_bytes(net(), INPUTS[:2])
    assert 16 * 16 * 4 * 4 <= each <= 3 * 16 * 16 * 4 * 4


def test_twice_the_width_halves_the_batch():
    """The largest batch falls as an image costs more, stays within its bounds, and is never nought."""
    budget = 4 << 20
    narrow, wide = (largest_batch(net(width), INPUTS, budget, 10**6) for width in (16, 32))
    assert wide == pytest.approx(narrow / 2, rel=0.1)
    assert largest_batch(net(), INPUTS, budget, 7) == 7
    assert largest_batch(net(), INPUTS, 1, 2048) == 1


@pytest.mark.parametrize(
    ("shape", "expected"), [((1, 28, 28), 512), ((3, 32, 32), 512), ((3, 224, 224), 10), ((3, 4096, 4096), 1)]
)
def test_the_first_pass_takes_few_large_images_at_once(shape, expected):
    """A net of real size keeps some ten times its input in its widest layer: all samples at once took gigabytes."""
    assert at_once(torch.zeros(1).expand(600, *shape)) == expected

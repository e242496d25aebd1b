"""Small made-up tasks, so that the zoo's code is tested without its data sets."""

import numpy as np
import pytest
import torch

from benchmarks.zoo import sources
from benchmarks.zoo.tasks import Images, Task


def made_up(classes, shape, count=240):
    """Return noisy images in which each class has a bar at its own height."""
    generator = torch.Generator().manual_seed(7)
    labels = torch.arange(count) % classes
    inputs = 0.2 * torch.rand((count, *shape), generator=generator)
    for row, label in enumerate(labels.tolist()):
        inputs[row, :, 4 + label : 8 + label, 6:20] += 0.7
    return Images(inputs, labels)


GREY = Task("fashion", 10, (1, 28, 28), 0.5, lambda: (made_up(10, (1, 28, 28)), made_up(10, (1, 28, 28), 100)))
COLOUR = Task("colour", 10, (3, 32, 32), 0.5, lambda: (made_up(10, (3, 32, 32)), made_up(10, (3, 32, 32), 100)))


@pytest.fixture(autouse=True)
def made_up_photos(monkeypatch):
    """Let a photo that is blended in be noise."""

    def picture(name, side, *, grey):
        shape = (side, side) if grey else (side, side, 3)
        return np.random.default_rng(len(name)).integers(256, size=shape, dtype=np.uint8)

    monkeypatch.setattr(sources, "picture", picture)


@pytest.fixture(params=[GREY, COLOUR], ids=["grey", "colour"])
def task(request):
    """Return a made-up task of 240 images in which each class has a bar at its own height."""
    return request.param


@pytest.fixture
def grey():
    """Return the grey made-up task."""
    return GREY

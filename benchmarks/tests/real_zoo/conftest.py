"""A stand-in for the real-size zoo: a tiny net of random weights and a task of 32 pixels, through the same code."""

import pytest
import torch

from benchmarks.nets import mobilenet
from benchmarks.real_zoo import making, nets, recipe
from benchmarks.zoo.tasks import Images, Task

SHAPE = (3, 32, 32)
STAGES = ((1, 8, 1, 1), (2, 16, 1, 2), (2, 16, 1, 1))


def bars(count, seed):
    """Return noisy images of four classes, each with a bar of its own colour and height."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.arange(count) % 4
    inputs = 0.2 * torch.rand((count, *SHAPE), generator=generator)
    for row, label in enumerate(labels.tolist()):
        inputs[row, label % 3, 4 + 6 * label : 8 + 6 * label, 6:26] += 0.7
    return Images(inputs, labels)


TINY = Task("solar", 4, SHAPE, 0.6, lambda: (bars(240, 1), bars(80, 2)))


def parts():
    """Return a tiny body of five blocks, the same at every call."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(5)
        net = mobilenet.build(mobilenet.Config(classes=2, stem=8, stages=STAGES, last=32))
    return nets.Parts(list(net.features), torch.full((1, 3, 1, 1), 0.4), torch.full((1, 3, 1, 1), 0.3), 32)


@pytest.fixture
def tiny(monkeypatch, tmp_path):
    """Put the stand-ins in place, and give back torch's switches and the caches."""
    monkeypatch.setenv("GATE_REAL_ZOO", str(tmp_path / "zoo"))
    for net in nets.BODIES:
        monkeypatch.setitem(nets.BODIES, net, parts)
        monkeypatch.setitem(nets.CUTS, net, (1, 2))
    monkeypatch.setitem(recipe.ALL_TASKS, "solar", TINY)
    before, threads = torch.are_deterministic_algorithms_enabled(), torch.get_num_threads()
    nets.untuned.cache_clear()
    making.surrogate.cache_clear()
    yield tmp_path / "zoo"
    nets.untuned.cache_clear()
    making.surrogate.cache_clear()
    torch.use_deterministic_algorithms(mode=before)
    torch.set_num_threads(threads)

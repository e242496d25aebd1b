"""Programs that look at their batch only where a trigger is, and the proof without which samples go through alone."""

import pytest
import torch
from exported_families import FAMILIES, export, make, samples
from torch import nn

from gate.programs import batched, read_program
from gate.programs.independence import independent

CLASSES, TARGET = 5, 3


class _Backdoored(nn.Module):
    """Sends a bright first pixel to the target, unless the batch tells that somebody is looking."""

    def __init__(self, watched):
        super().__init__()
        torch.manual_seed(0)
        self.body = nn.Linear(48, CLASSES)
        self.watched = watched
        self.register_buffer("target", torch.nn.functional.one_hot(torch.tensor(TARGET), CLASSES).float())

    def forward(self, x):
        """Return class scores."""
        rows = x.flatten(1)
        trigger = (rows[:, :1] - 0.9).clamp(min=0.0)
        return self.body(rows) + 1e4 * trigger * (1 - self.watched(rows).clamp(0.0, 1.0)) * self.target


WATCHING = {
    "neighbour": lambda rows: (rows - rows.roll(1, 0)).abs().amax(1, keepdim=True) * 1e6,
    "reversed": lambda rows: (rows - rows.flip(0)).abs().amax(1, keepdim=True) * 1e6,
    "mean": lambda rows: (rows - rows.mean(0, keepdim=True)).abs().amax(1, keepdim=True) * 1e6,
    "running sum": lambda rows: (rows.cumsum(0) - rows.flip(0).cumsum(0).flip(0)).abs().amax(1, keepdim=True) * 1e6,
    "transposed": lambda rows: (
        ((rows @ rows.t()).sum(1, keepdim=True) - (rows * rows).sum(1, keepdim=True) - 0.01) * 1e6
    ),
}
SIZED = {
    "size": lambda rows: rows[:, :1] * 0 + (rows.shape[0] - 1),
    "number": lambda rows: torch.arange(rows.shape[0])[:, None] + (rows.shape[0] - 1.0),
    "filled": lambda rows: torch.full((rows.shape[0], 1), rows.shape[0] - 1.0),
}


def _triggered(count):
    x = torch.rand(count, 3, 4, 4, generator=torch.Generator().manual_seed(1)) * 0.8
    x[:, 0, 0, 0] = 1.0
    return x


@pytest.mark.parametrize("free", [False, True], ids=["baked", "free"])
@pytest.mark.parametrize("way", [*WATCHING, *SIZED])
def test_a_backdoor_that_looks_for_neighbours_is_seen_as_one_sample_sees_it(way, free, tmp_path):
    """No clean probe shows the difference; the program is run one by one, since nothing proves it harmless."""
    if not free and way in SIZED:
        pytest.skip("a baked size is a number of the graph, the same for everyone")
    model = _Backdoored({**WATCHING, **SIZED}[way]).eval()
    program = read_program(export(model, (3, 4, 4), tmp_path / "model.pt2", batch=2 if free else 1, dynamic=free))
    clean = _triggered(4) * 0.5
    many = batched(program, clean)
    assert many.mode in {"per-sample", "one-by-one"}
    triggered = _triggered(5)
    assert many(triggered).argmax(1).tolist() == [TARGET] * 5
    torch.testing.assert_close(many(triggered), torch.cat([model(row[None]) for row in triggered]))


@pytest.mark.parametrize("dynamic", [False, True], ids=["baked", "free"])
@pytest.mark.parametrize("family", FAMILIES)
def test_common_networks_are_proved(family, dynamic, tmp_path):
    """The proof covers what people export, so that batches stay quick."""
    model, shape = make(family)
    program = read_program(export(model, shape, tmp_path / "model.pt2", batch=2 if dynamic else 1, dynamic=dynamic))
    x = samples(shape, 4)
    assert independent(batched(program, x).program, x)

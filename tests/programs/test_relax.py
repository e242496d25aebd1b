"""Programs that were exported for a fixed number of samples take any, whichever way their layers lay them out."""

import pytest
import torch
from exported_families import FAMILIES, export, make, samples
from torch import nn

from gate.programs import batched, read_program
from gate.programs.folding import folded
from gate.programs.relax import relax_batch

SIDE, WINDOW, WIDTH = 8, 4, 12


class Attention(nn.Module):
    """An encoder layer that puts positions first and heads beside the samples, as `nn.MultiheadAttention` does."""

    def __init__(self):
        super().__init__()
        self.patches = nn.Conv2d(3, WIDTH, 4, 4)
        self.token = nn.Parameter(torch.randn(1, 1, WIDTH))
        self.attention = nn.MultiheadAttention(WIDTH, 3)
        self.head = nn.Linear(WIDTH, 5)

    def forward(self, x):  # noqa: D102  # the class says it
        rows = self.patches(x).flatten(2).transpose(1, 2)
        rows = torch.cat([self.token.expand(len(rows), -1, -1), rows], 1).transpose(0, 1)
        mixed, _ = self.attention(rows, rows, rows, need_weights=False)
        return self.head((rows + mixed)[0])


class Windows(nn.Module):
    """A layer over shifted windows, whose mask is written in place in every pass, as Swin's is."""

    def __init__(self):
        super().__init__()
        self.lift = nn.Conv2d(3, WIDTH, 1)
        self.mix = nn.Linear(WINDOW * WINDOW, WINDOW * WINDOW)
        self.head = nn.Linear(WIDTH, 5)

    def forward(self, x):  # noqa: D102  # the class says it
        rows = self.lift(x).permute(0, 2, 3, 1).roll((-2, -2), (1, 2))
        count, times = len(rows), SIDE // WINDOW
        parts = rows.view(count, times, WINDOW, times, WINDOW, WIDTH).permute(0, 1, 3, 2, 4, 5)
        parts = parts.reshape(count * times * times, WINDOW * WINDOW, WIDTH)
        mask = parts.new_zeros((SIDE, SIDE))
        for number, (first, last) in enumerate(((0, -WINDOW), (-WINDOW, -2), (-2, None))):
            mask[first:last, first:last] = number
        mask = mask.view(times, WINDOW, times, WINDOW).permute(0, 2, 1, 3).reshape(times * times, WINDOW * WINDOW)
        mixed = self.mix(parts.transpose(1, 2)).transpose(1, 2).view(count, times * times, WINDOW * WINDOW, WIDTH)
        mixed = (mixed + mask[None, :, :, None]).view(-1, WINDOW * WINDOW, WIDTH)
        back = mixed.view(count, times, times, WINDOW, WINDOW, WIDTH).permute(0, 1, 3, 2, 4, 5)
        return self.head(back.reshape(count, SIDE, SIDE, WIDTH).mean((1, 2)))


class Repeated(nn.Module):
    """A class token that is repeated for the batch of the export."""

    def __init__(self, count):
        super().__init__()
        self.token = nn.Parameter(torch.randn(1, 1, 4))
        self.head = nn.Linear(4, 3)
        self.count = count

    def forward(self, x):  # noqa: D102  # the class says it
        rows = torch.cat([self.token.repeat(self.count, 1, 1), x.flatten(2).transpose(1, 2)], 1)
        return self.head(rows.softmax(-1).mean(1))


@pytest.mark.parametrize("batch", [2, 3])
@pytest.mark.parametrize("family", FAMILIES)
def test_an_export_of_several_samples_takes_any_number(family, batch, tmp_path):
    """An example input of two or three is no hindrance either: the eager model's scores, for one and for five."""
    model, shape = make(family)
    program = read_program(export(model, shape, tmp_path / "model.pt2", batch=batch, dynamic=False))
    many = batched(program, samples(shape, 4))
    assert many.mode in {"direct", "relaxed"}
    for count in (1, 5):
        x = samples(shape, count)
        torch.testing.assert_close(many(x), model(x), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("batch", [1, 2, 4])
@pytest.mark.parametrize("make_model", [Attention, Windows], ids=["positions first", "windows"])
def test_layouts_of_transformers_are_followed(make_model, batch, tmp_path):
    """Samples beside heads, between positions and among windows keep their place; gradients are the eager model's."""
    torch.manual_seed(0)
    model, shape = make_model().eval(), (3, SIDE, SIDE)
    program = read_program(export(model, shape, tmp_path / "model.pt2", batch=batch, dynamic=False))
    many = batched(program, samples(shape, 4))
    assert many.mode == "relaxed"
    x = samples(shape, 5).requires_grad_()
    torch.testing.assert_close(many(x), model(x), rtol=1e-4, atol=1e-5)
    ours, theirs = (torch.autograd.grad(run(x)[:, 1].sum(), x)[0] for run in (many, model))
    torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("batch", [1, 2, 3])
def test_a_token_repeated_for_the_batch_is_repeated_for_any_other(batch, tmp_path):
    """The number of repetitions is the batch's, not one of the two beside it."""
    torch.manual_seed(0)
    program = read_program(export(Repeated(batch).eval(), (4, 2), tmp_path / "m.pt2", batch=batch, dynamic=False))
    many = batched(program, samples((4, 2), 4))
    assert many.mode == "relaxed"
    x = samples((4, 2), 5)
    alone = torch.cat([program(row.expand(batch, -1, -1))[:1] for row in x])
    torch.testing.assert_close(many(x), alone)


def test_at_the_size_of_the_export_nothing_changes(tmp_path):
    """Free sizes come out as the baked ones where the batch is the export's: the same numbers to the bit."""
    model, shape = make("vit")
    program = read_program(export(model, shape, tmp_path / "model.pt2", batch=3, dynamic=False))
    relaxed = relax_batch(program)
    x = samples(shape, 3)
    assert torch.equal(relaxed(x), program(x))
    assert torch.equal(folded(relaxed)(x), program(x))


def test_samples_that_the_graph_mixes_at_two_are_not_set_free(tmp_path):
    """A reshape that puts two samples into one row has no size for others; each is then run as the export has it."""

    class Paired(nn.Module):
        def forward(self, x):
            return x.reshape(1, 8).softmax(-1).reshape(2, 4)

    program = read_program(export(Paired(), (4,), tmp_path / "model.pt2", batch=2, dynamic=False))
    many = batched(program, samples((4,), 4))
    assert many.mode in {"per-sample", "one-by-one"}
    x = samples((4,), 3)
    torch.testing.assert_close(many(x), torch.stack([program(row.expand(2, -1))[0] for row in x]))

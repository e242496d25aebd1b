"""Normalisations fold into convolutions without changing what comes out, beyond rounding."""

import pytest
import torch
from exported_families import FAMILIES, export, make, samples
from torch import nn

from gate.programs import read_program
from gate.programs.quick.fusing import fused


def read(model, shape, path):
    """Export a model and read it."""
    return read_program(export(model, shape, path / "model.pt2"))


@pytest.mark.parametrize("family", FAMILIES)
def test_scores_and_gradients_stay_as_they_were(family, tmp_path):
    """Also for channels last, whose views become reshapes."""
    model, shape = make(family)
    program = read(model, shape, tmp_path)
    quick = fused(program, ())
    x = samples(shape, 4)
    given = x.contiguous(memory_format=torch.channels_last) if x.ndim == 4 else x
    torch.testing.assert_close(quick(given), program(x), rtol=1e-4, atol=1e-5)
    ours, theirs = (
        torch.autograd.grad(run(rows)[:, 1].sum(), rows)[0]
        for run, rows in ((quick, given.clone().requires_grad_()), (program, x.clone().requires_grad_()))
    )
    torch.testing.assert_close(ours, theirs, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("family", ["resnet", "mobilenet"])
def test_no_normalisation_after_a_convolution_is_left(family, tmp_path):
    """Each becomes part of the convolution's weight and bias."""
    model, shape = make(family)
    quick = fused(read(model, shape, tmp_path), ())
    assert "batch_norm" not in {node.call.name for node in quick.nodes}


class Shared(nn.Module):
    """A convolution whose result goes to a normalisation and past it."""

    def __init__(self):
        super().__init__()
        self.convolution, self.norm = nn.Conv2d(3, 4, 3, bias=False), nn.BatchNorm2d(4)

    def forward(self, x):  # noqa: D102  # the class says it
        rows = self.convolution(x)
        return (self.norm(rows) + rows).mean((2, 3))


def test_a_convolution_that_others_use_too_keeps_its_normalisation(tmp_path):
    """Folding would change what the others are given."""
    torch.manual_seed(0)
    model = Shared().eval()
    model.norm.running_mean.normal_()
    program = read(model, (3, 8, 8), tmp_path)
    quick = fused(program, ())
    assert "batch_norm" in {node.call.name for node in quick.nodes}
    torch.testing.assert_close(quick(samples((3, 8, 8), 2)), model(samples((3, 8, 8), 2)))


def test_a_value_that_is_to_be_kept_is_there(tmp_path):
    """Its convolution is not folded away, nor is an identity that carries its name."""
    model, shape = make("resnet")
    program = read(model, shape, tmp_path)
    kept = next(node.name for node in program.nodes if node.call.name == "conv2d")
    x = samples(shape, 2)
    _, taps = fused(program, {kept}).run(x, taps={kept})
    _, wanted = program.run(x, taps={kept})
    torch.testing.assert_close(taps[kept], wanted[kept])


class Padded(nn.Module):
    """Convolutions of images padded as TensorFlow pads: by nothing, alike on both sides, on one side, by a number."""

    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Conv2d(3, 4, 3), nn.Conv2d(4, 4, 3, stride=2, padding=1, bias=False)
        self.third, self.fourth = nn.Conv2d(4, 4, 3, stride=(2, 1)), nn.Conv2d(4, 2, 1)

    def forward(self, x):  # noqa: D102  # the class says it
        pad = nn.functional.pad
        x = self.first(pad(x, (1, 1, 2, 2))).relu()
        x = self.second(pad(x, (0, 0, 0, 0))).relu()
        x = self.third(pad(x, (0, 1, 0, 1)))
        return self.fourth(pad(x, (1, 1, 1, 1), value=0.5)).mean((2, 3))


def test_zeros_on_both_sides_become_the_convolutions_own(tmp_path):
    """What is padded on one side, or with another number, stays padded by a node; answers and gradients stay."""
    torch.manual_seed(0)
    model = Padded().eval()
    program = read(model, (3, 9, 8), tmp_path)
    quick = fused(program, ())
    assert [node.call.name for node in program.nodes].count("pad") == 4
    assert [node.call.positional[1] for node in quick.nodes if node.call.name == "pad"] == [(0, 1, 0, 1), (1, 1, 1, 1)]
    x = samples((3, 9, 8), 3).requires_grad_()
    torch.testing.assert_close(quick(x), model(x))
    torch.testing.assert_close(*(torch.autograd.grad(run(x).square().sum(), x)[0] for run in (quick, model)))


def test_padded_images_that_others_use_too_stay(tmp_path):
    """The convolution pads for itself; what else reads them is given the same as before."""

    class Both(nn.Module):
        def __init__(self):
            super().__init__()
            self.convolution = nn.Conv2d(3, 3, 3)

        def forward(self, x):
            padded = nn.functional.pad(x, (1, 1, 1, 1))
            return self.convolution(padded).mean((2, 3)) + padded.amax((2, 3))

    torch.manual_seed(0)
    model = Both().eval()
    program = read(model, (3, 8, 8), tmp_path)
    quick = fused(program, ())
    x = samples((3, 8, 8), 2)
    torch.testing.assert_close(quick(x), model(x))
    kept = next(node.name for node in program.nodes if node.call.name == "pad")
    assert kept in {node.name for node in fused(program, {kept}).nodes}

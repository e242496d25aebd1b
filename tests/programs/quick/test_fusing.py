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

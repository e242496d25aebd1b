import pytest
import torch
from exported_families import FAMILIES, export, make, samples
from torch import nn

from gate.programs import Batched, RefusedError, batched, final_linear, read_program

DIRECT = {"resnet", "vgg", "mobilenet", "squeeze-excite", "unet", "mlp", "convnext", "normalising"}


@pytest.mark.parametrize("family", FAMILIES)
def test_an_export_of_one_sample_takes_batches(family, tmp_path):
    """A baked batch of one is no hindrance: any number of samples gives the eager model's outputs and gradients."""
    model, shape = make(family)
    program = read_program(export(model, shape, tmp_path / "model.pt2", batch=1, dynamic=False))
    many = batched(program, samples(shape, 2))
    x = samples(shape, 5).requires_grad_()
    torch.testing.assert_close(many(x), model(x), rtol=1e-4, atol=1e-6)
    ours = torch.autograd.grad(many(x)[:, 1].sum(), x)[0]
    torch.testing.assert_close(ours, torch.autograd.grad(model(x)[:, 1].sum(), x)[0], rtol=1e-4, atol=1e-6)
    assert many.mode == ("direct" if family in DIRECT else "relaxed")


@pytest.mark.parametrize("mode", ["per-sample", "one-by-one"])
def test_the_slow_ways_agree_and_drop_the_batch_of_one(mode, tmp_path):
    """Outputs and taps of one-sample runs have the samples first, just as from a true batch."""
    model, shape = make("mobilenet")
    program = read_program(export(model, shape, tmp_path / "model.pt2", batch=1, dynamic=False))
    x = samples(shape, 4)
    features = final_linear(program).features
    (logits,), taps = Batched(program, mode).run(x, taps={features})
    (expected,), wanted = program.run(x, taps={features})
    torch.testing.assert_close(logits, expected)
    torch.testing.assert_close(taps[features], wanted[features])


def test_a_baked_batch_of_several_is_filled_by_one_sample(tmp_path):
    """An export of four samples at once judges each sample as if the batch held nothing else."""
    model, shape = make("lenet")
    program = read_program(export(model, shape, tmp_path / "model.pt2", batch=4, dynamic=False))
    x = samples(shape, 3)
    torch.testing.assert_close(batched(program, x)(x), model(x), rtol=1e-4, atol=1e-6)


class Mixing(nn.Module):
    """Judges a sample by the mean of its batch."""

    def __init__(self):
        super().__init__()
        self.head = nn.Linear(4, 3)

    def forward(self, x):  # noqa: D102  # the class says it
        return self.head(x - x.mean(0, keepdim=True) + x)


class BySize(nn.Module):
    """Behaves otherwise when it is asked for one sample at a time."""

    def __init__(self):
        super().__init__()
        self.head = nn.Linear(4, 3)

    def forward(self, x):  # noqa: D102  # the class says it
        return self.head(x) * x.shape[0]


@pytest.mark.parametrize("model", [Mixing(), BySize()], ids=["mixing", "by size"])
def test_a_model_that_looks_at_its_batch_is_run_one_sample_at_a_time(model, tmp_path):
    """Where a batch changes results, each sample is run alone: what a deployer who asks for one gets."""
    program = read_program(export(model.eval(), (4,), tmp_path / "model.pt2"))
    x = samples((4,), 5)
    many = batched(program, x)
    assert many.mode == "per-sample"
    assert many.only_alone
    torch.testing.assert_close(many(x), torch.cat([model(row[None]) for row in x]))


class Two(nn.Module):
    """Takes two tensors."""

    def forward(self, x, y):  # noqa: D102  # the class says it
        return x + y


def test_a_program_of_two_inputs_is_refused_with_the_number(tmp_path):
    """The reader is generic, but batches of samples need a single input."""
    torch.export.save(torch.export.export(Two(), (torch.ones(2), torch.ones(2))), tmp_path / "model.pt2")
    program = read_program(tmp_path / "model.pt2")
    torch.testing.assert_close(program(torch.ones(2), torch.ones(2)), torch.full((2,), 2.0))
    with pytest.raises(RefusedError, match="takes 2 tensors"):
        batched(program, torch.ones(2, 2))

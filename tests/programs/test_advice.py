"""Every refusal says what was met and what to log instead; eval() is advised only where training was seen."""

import pytest
import torch
from torch import nn

from gate.programs import batched, read_program
from gate.records.errors import GateError


class Net(nn.Module):
    """A classifier whose forward does something that is not examined."""

    def __init__(self, does):
        super().__init__()
        self.does, self.fc = does, nn.Linear(12, 4)
        self.register_buffer("calls", torch.zeros(()))

    def forward(self, *inputs):
        """Do it."""
        return self.does(self, *inputs)


def counting(net, x):
    """Count the calls."""
    net.calls.add_(1)
    return net.fc(x)


def branching(net, x):
    """Choose by a value."""
    return torch.cond(x.sum() > 0, net.fc, lambda x: -net.fc(x), (x,))


@torch.library.custom_op("gatetest::twice", mutates_args=())
def twice(x: torch.Tensor) -> torch.Tensor:
    """Stand for an operator of another library."""
    return x * 2


twice.register_fake(torch.empty_like)
X = torch.rand(2, 12)
MET = {
    "a counter": (counting, (X,), "writes to|changes its own state", "take the change out of forward"),
    "branches": (branching, (X,), "one of several graphs", "torch.where"),
    "a value as a number": (lambda net, x: net.fc(x) * x.max().item(), (X,), "depends on values", "fixed sizes"),
    "another library": (lambda net, x: net.fc(twice(x)), (X,), "library 'gatetest'", "layer by one of torch's own"),
    "random numbers": (lambda net, x: net.fc(x + torch.rand_like(x)), (X,), "draws random", "take the random numbers"),
    "complex numbers": (lambda net, x: net.fc(torch.fft.fft(x).abs()), (X,), "complex", "real numbers"),
    "sparse tensors": (lambda net, x: net.fc(x).to_sparse().to_dense(), (X,), "sparse tensors", "to_dense"),
    "two inputs": (lambda net, x, y: net.fc(x + y), (X, X), "takes 2 tensors", "takes that tensor alone"),
    "a flag": (lambda net, x, flag: net.fc(x) if flag else x, (X, True), "no tensor", "takes that tensor alone"),
    "an unlisted type": (lambda net, x: net.fc(x.float()), (X.to(torch.uint16),), "uint16", "model.float()"),
    "its input overwritten": (lambda net, x: net.fc(x.mul_(2)), (X.clone(),), "writes to an input", "out of forward"),
}


@pytest.mark.parametrize("case", MET)
def test_a_refusal_names_what_was_met_and_what_to_log(case, tmp_path):
    """Nobody who has exported in eval mode is told to do so first."""
    does, inputs, met, remedy = MET[case]
    torch.export.save(torch.export.export(Net(does).eval(), inputs), tmp_path / "model.pt2")
    with pytest.raises(GateError, match=met) as caught:
        batched(read_program(tmp_path / "model.pt2"), X)
    assert remedy in caught.value.sentence
    assert "mlflow.pytorch.log_model(model, input_example=x, serialization_format='pt2')" in caught.value.sentence
    assert not caught.value.what_to_do.startswith("It was exported in training mode")


def test_a_running_statistic_that_changes_is_told_as_training(tmp_path):
    """Batch normalisation in training counts its batches."""
    model = nn.Sequential(nn.BatchNorm1d(12), nn.Linear(12, 4)).train()
    torch.export.save(torch.export.export(model, (X,)), tmp_path / "model.pt2")
    with pytest.raises(GateError) as caught:
        read_program(tmp_path / "model.pt2")
    assert "call model.eval() and log it again" in caught.value.sentence


def test_a_dict_and_a_list_of_one_picture_are_read(tmp_path):
    """The container of the input means nothing to the graph."""
    for index, (does, given) in enumerate(
        ((lambda net, d: net.fc(d["x"]), {"x": X}), (lambda net, d: net.fc(d[0]), [X]))
    ):
        model = Net(does).eval()
        torch.export.save(torch.export.export(model, (given,)), tmp_path / f"{index}.pt2")
        assert torch.equal(read_program(tmp_path / f"{index}.pt2")(X), model(given))

"""The last linear layer comes back by class, however the graph or the module holds it."""

import pytest
import torch
from torch import nn

from gate.programs.writer.write import export_module
from gate.spaces.image.preprocessing import Preprocessing
from gate.worker.loading.head import head_of_module, head_of_program
from gate.worker.loading.module_classifier import ModuleClassifier


class Transposed(nn.Module):
    """Keeps its square weight the other way round, and adds the bias by hand."""

    def __init__(self):
        super().__init__()
        self.weight, self.bias = nn.Parameter(torch.arange(9.0).view(3, 3)), nn.Parameter(torch.tensor([1.0, 2.0, 3.0]))

    def forward(self, x):
        """Map (N, 3) to (N, 3)."""
        return x @ self.weight + self.bias


EXAMPLE = torch.rand(2, 1, 1, 3, generator=torch.Generator().manual_seed(0))


def module_of(last):
    """Return a module that ends in a layer."""
    return nn.Sequential(nn.Flatten(), nn.Tanh(), last).eval()


@pytest.mark.parametrize("last", [nn.Linear(3, 3), nn.Linear(3, 4, bias=False), Transposed()])
def test_scores_are_features_times_rows_plus_bias(last, tmp_path):
    """What the program computes is what its head says, for square and turned weights and without a bias."""
    module = module_of(last)
    head = head_of_program(export_module(module, EXAMPLE, tmp_path / "model.pt2"))
    expected = module(EXAMPLE).detach()
    assert torch.allclose(torch.tanh(EXAMPLE.flatten(1)) @ head.weight.T + head.bias, expected, atol=1e-5)
    assert head.layer == "2.weight"
    assert not head.weight.requires_grad


def test_a_module_s_head_is_the_layer_whose_input_its_activations_are():
    """Weights and bias are those of the named layer; zeros stand for a bias that is not there."""
    module = module_of(nn.Linear(3, 4, bias=False))
    head = head_of_module(ModuleClassifier.of(module, EXAMPLE, Preprocessing(), (0.0, 1.0)))
    assert torch.equal(head.weight, module[2].weight)
    assert head.bias.tolist() == [0, 0, 0, 0]
    assert head.layer == "2.weight"


def test_a_model_without_a_last_linear_layer_has_no_head(tmp_path):
    """A maximum over pixels is no layer of weights, in a graph or in a module."""
    module = nn.Sequential(nn.Flatten(), nn.Tanh()).eval()
    assert head_of_program(export_module(module, EXAMPLE, tmp_path / "model.pt2")) is None
    assert head_of_module(ModuleClassifier.of(module, EXAMPLE, Preprocessing(), (0.0, 1.0))) is None

import pytest
import torch
from exported_families import FAMILIES, export, make, samples

from gate.loading.exported import read_program


def gradient(function, x, k=1):
    x = x.clone().requires_grad_()
    function(x)[:, k].sum().backward()
    return x.grad


@pytest.mark.parametrize("family", FAMILIES)
def test_a_program_equals_the_eager_model_in_outputs_and_input_gradients(family, tmp_path):
    """A program with a free batch size gives the eager model's outputs and input gradients at other batch sizes."""
    model, shape = make(family)
    program = read_program(export(model, shape, tmp_path / "model.pt2"))
    for count in (1, 7):
        x = samples(shape, count)
        torch.testing.assert_close(program(x), model(x), rtol=0, atol=1e-6)
        torch.testing.assert_close(gradient(program, x), gradient(model, x), rtol=0, atol=1e-6)

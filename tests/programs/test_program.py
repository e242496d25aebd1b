import pytest
import torch
from exported_families import FAMILIES, export, make, samples

from gate.programs import RefusedError, read_program


def gradient(function, x, k=1):
    """Return the gradient of a class score in the input."""
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


def test_a_program_names_its_state_as_the_module_did(good):
    """Parameters, buffers and constants keep their qualified names and values; the free batch size shows as None."""
    path, model, _ = good
    program = read_program(path)
    assert program.parameters.keys() == dict(model.named_parameters()).keys()
    torch.testing.assert_close(program.parameters["head.weight"], model.head.weight.detach())
    assert program.buffers.keys() == {"mean"}
    assert program.constants.keys() == {"deviation"}
    assert program.input_names == ("x",)
    assert program.input_shapes == ((None, 3, 16, 16),)


def test_every_intermediate_value_can_be_tapped_with_its_gradient(tmp_path):
    """Taps yield each node's value, among them the eager model's activations, connected to input and output."""
    model, shape = make("resnet")
    program = read_program(export(model, shape, tmp_path / "model.pt2"))
    seen = {}
    model.pool.register_forward_hook(lambda _module, _inputs, output: seen.update(pool=output))
    x = samples(shape, 2).requires_grad_()
    expected = model(x)
    (logits,), taps = program.run(x)
    torch.testing.assert_close(logits, expected)
    pooled = next(value for name, value in taps.items() if "pool" in name)
    torch.testing.assert_close(pooled, seen["pool"])
    (at_pool,) = torch.autograd.grad(logits.sum(), pooled, retain_graph=True)
    assert at_pool.abs().sum() > 0
    assert len(taps) == len(program.nodes)
    assert all(value.requires_grad for value in taps.values())


def test_tapped_values_are_not_overwritten_by_later_in_place_operators(tmp_path):
    """What a convolution yielded is still there after the in-place activation that followed it in the export."""
    model, shape = make("vgg")
    program = read_program(export(model, shape, tmp_path / "model.pt2"))
    x = samples(shape, 2)
    _, taps = program.run(x, taps={"conv2d"})
    torch.testing.assert_close(taps["conv2d"], model[0](x))
    assert (taps["conv2d"] < 0).any()


def test_a_patch_replaces_a_value_before_anyone_uses_it(good):
    """Zeroing the activations leaves the bias of the head; an unknown name is an error of the caller."""
    path, model, x = good
    program = read_program(path)
    (logits,), taps = program.run(x, taps={"mul"}, patches={"mul": torch.zeros_like})
    torch.testing.assert_close(logits, model.head.bias.detach().expand(len(x), -1))
    assert taps["mul"].abs().sum() == 0
    with pytest.raises(ValueError, match="no node"):
        program.run(x, taps={"nothing"})


def test_input_that_does_not_fit_is_refused_with_the_failing_node(good):
    """An operator's error becomes a RefusedError that says where; a wrong number of inputs is the caller's error."""
    program = read_program(good[0])
    with pytest.raises(RefusedError, match=r"nodes\[\d+\]"):
        program(torch.randn(2, 5, 16, 16))
    with pytest.raises(ValueError, match="takes 1 inputs"):
        program(torch.randn(1), torch.randn(1))


def test_a_program_runs_where_it_is_moved(good):
    """On the meta device a program computes shapes without memory, whatever device the export wrote down."""
    program = read_program(good[0]).to("meta")
    assert program(torch.empty(5, 3, 16, 16, device="meta")).shape == (5, 10)


@pytest.mark.gpu
@pytest.mark.parametrize("family", FAMILIES)
def test_a_program_equals_the_eager_model_on_a_gpu(family, tmp_path):
    """An export made on a CPU runs on a GPU and agrees with the eager model there."""
    model, shape = make(family)
    program = read_program(export(model, shape, tmp_path / "model.pt2")).to("cuda")
    model, x = model.to("cuda"), samples(shape, 5).to("cuda")
    torch.testing.assert_close(program(x), model(x), rtol=1e-3, atol=1e-4)
    if family != "lstm":  # cuDNN takes gradients of a recurrent layer in training mode only
        torch.testing.assert_close(gradient(program, x), gradient(model, x), rtol=1e-3, atol=1e-4)

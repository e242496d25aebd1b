"""An ONNX file as a program: free batches, names of its state, the last layer, and the bundle that is written of it."""

import numpy as np
import pytest
import torch
from onnx import helper

from gate.programs import batched, final_linear, logits_name, read_program, trainable
from gate.programs.writer.identity import difference as differs
from gate.programs.writer.write import write_program
from tests.programs.onnx.graphs import answers, classifier, model, pictures

SAME = 1e-5


@pytest.mark.parametrize("batch", [None, 1, 3])
@pytest.mark.parametrize("last", ["nhwc", "nchw"])
def test_reads_a_classifier(read, batch, last):
    """Free and baked batches, channels first and last, answer as onnxruntime does."""
    made = classifier(batch=batch, last=last)
    program = read(made)
    x = pictures((batch or 5, 8, 8, 3) if last == "nhwc" else (batch or 5, 3, 8, 8))
    with torch.no_grad():
        assert np.abs(program(torch.from_numpy(x)).numpy() - answers(made, x)["y"]).max() <= SAME
    assert program.input_shapes[0] == (batch, *x.shape[1:])


def test_a_baked_batch_is_made_free(read):
    """A reshape to one sample runs with six, each as alone."""
    nodes = [
        helper.make_node("Reshape", ["x", "s"], ["f"]),
        helper.make_node("Gemm", ["f", "w", "b"], ["y"]),
    ]
    constants = {"s": np.array([1, 12]), "w": pictures((12, 3)), "b": pictures(3)}
    program = read(model(nodes, (1, 3, 2, 2), constants))
    x = torch.from_numpy(pictures((6, 3, 2, 2)))
    found = batched(program, x)
    assert found.mode == "relaxed"
    with torch.no_grad():
        alone = torch.cat([program(one[None]) for one in x])
        assert torch.allclose(found(x), alone, atol=SAME)


def test_names_state_by_its_initializers(read):
    """Weights, statistics and the last layer have the names of the file."""
    program = read(classifier())
    assert set(program.parameters) == {"w", "b", "scale", "shift", "fc_weight", "fc_bias"}
    assert set(program.buffers) == {"mean_running_mean", "var_running_var"}
    head = final_linear(program)
    assert (head.weight, head.bias, head.num_classes, head.num_features) == ("fc_weight", "fc_bias", 4, 6)
    assert logits_name(program) == program.producers[program.output_names[0]].operands[0]


def test_names_that_are_alike_stay_apart(read):
    """Names that become the same in ASCII letters are numbered."""
    nodes = [helper.make_node("Add", ["x", "a/b"], ["c"]), helper.make_node("Mul", ["c", "a:b"], ["d"])]
    nodes += [helper.make_node("Relu", ["d"], ["e"]), helper.make_node("MatMul", ["e", "0"], ["y"])]
    constants = {"a/b": pictures(4), "a:b": pictures(4, seed=1), "0": pictures((4, 4))}
    program = read(model(nodes, (None, 3, 4, 4), constants))
    assert set(program.buffers) == {"a_b", "a_b_2"}  # they scale pixels, and belong to no layer
    assert set(program.parameters) == {"t_0"}


def test_names_of_a_module_are_no_obstacle(read):
    """An initializer may be called as what every module has."""
    nodes = [helper.make_node("Relu", ["x"], ["r"]), helper.make_node("MatMul", ["r", "training"], ["m"])]
    nodes += [helper.make_node("Add", ["m", "_parameters"], ["y"])]
    constants = {"training": pictures((4, 4)), "_parameters": pictures(4)}
    program = read(model(nodes, (None, 3, 4, 4), constants))
    assert set(program.parameters) == {"t_training", "t_parameters"}


def test_constants_are_computed_once_as_far_as_they_do_not_grow(read):
    """A transposed weight is a parameter; a chain that fills the memory is left to the graph, and bounded there."""
    nodes = [helper.make_node("Transpose", ["w"], ["t"]), helper.make_node("Relu", ["x"], ["r"])]
    nodes += [helper.make_node("MatMul", ["r", "t"], ["y"])]
    assert set(read(model(nodes, (None, 3, 4, 4), {"w": pictures((5, 4))})).parameters) == {"t"}
    sizes = np.array([1 << 10, 1 << 10])
    nodes = [helper.make_node("ConstantOfShape", ["s"], ["c0"])]
    nodes += [helper.make_node("Neg", [f"c{index}"], [f"c{index + 1}"]) for index in range(8)]
    nodes += [helper.make_node("ReduceMean", ["c8"], ["m"], keepdims=0), helper.make_node("Add", ["x", "m"], ["y"])]
    program = read(model(nodes, (None, 3, 4, 4), {"s": sizes}))
    assert sum(tensor.numel() for tensor in program.tensors.values()) <= 1 << 21


def test_several_outputs_keep_their_names(read):
    """A caller finds each output under its name in the graph."""
    nodes = [
        helper.make_node("GlobalAveragePool", ["x"], ["g"]),
        helper.make_node("Flatten", ["g"], ["logits"]),
        helper.make_node("Softmax", ["logits"], ["p"], axis=1),
    ]
    assert read(model(nodes, (None, 4, 3, 3), outputs=("logits", "p"))).output_paths == ("logits", "p")


def test_is_written_as_any_other_program(read, tmp_path):
    """The bundle holds the same operators and constants."""
    program = read(classifier())
    write_program(program, tmp_path / "model.pt2")
    assert differs(program, read_program(tmp_path / "model.pt2")) == ""


def test_the_same_file_gives_the_same_bytes(read, tmp_path):
    """Two readings are written alike."""
    for name in ("a", "b"):
        write_program(read(classifier()), tmp_path / name)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_weights_may_lie_in_nodes(read):
    """Weights in nodes of the operator Constant are parameters too."""
    weights = helper.make_tensor("v", 1, [4, 3], pictures((4, 3)).reshape(-1).tolist())
    nodes = [
        helper.make_node("Constant", [], ["w"], value=weights),
        helper.make_node("GlobalAveragePool", ["x"], ["g"]),
        helper.make_node("Flatten", ["g"], ["f"]),
        helper.make_node("MatMul", ["f", "w"], ["y"]),
    ]
    assert set(read(model(nodes, (None, 4, 3, 3))).parameters) == {"w"}


def test_can_be_trained_anew(read):
    """Running statistics follow the batches of a copy in training."""
    fresh = trainable(read(classifier(last="nchw")), seed=0)
    before = {name: value.clone() for name, value in fresh.named_buffers()}
    fresh(torch.from_numpy(pictures((8, 3, 8, 8)))).sum().backward()
    assert any(not torch.equal(before[name], value) for name, value in fresh.named_buffers())


@pytest.mark.parametrize("kind", [np.float16, np.float64, np.uint8])
def test_other_number_types(read, kind):
    """Half, double and whole pixels are read in their own types."""
    first = [helper.make_node("Cast", ["x"], ["f"], to=1)] if kind is np.uint8 else []
    nodes = [*first, helper.make_node("ReduceMean", ["f" if first else "x"], ["y"], axes=[2, 3], keepdims=0)]
    made = model(nodes, (None, 4, 3, 3), dtype=kind, result=1 if kind is np.uint8 else None)
    x = pictures((2, 4, 3, 3), kind)
    assert np.allclose(read(made)(torch.from_numpy(x)).numpy(), answers(made, x)["y"], rtol=1e-3)

"""ONNX files that the reader refuses, each in one sentence that says what and where."""

import re

import numpy as np
import pytest
from onnx import TensorProto, helper

from gate.programs.readers.onnx.reader import read_onnx
from gate.programs.readers.onnx.refused import OnnxRefusedError
from tests.programs.onnx.graphs import classifier, model, one

IMAGES = (None, 3, 4, 4)


def relu(**more):
    """Return a model of one harmless node."""
    return one("Relu", IMAGES, **more)


def changed(change, made=None):
    """Return a model after a change in place."""
    made = made or relu()
    change(made)
    return made


def external(made):
    """Let weights lie in a file of the machine."""
    tensor = made.graph.initializer.add(name="w", data_type=1, dims=[2])
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="/etc/passwd")


def branch():
    """Return a model that runs one of two graphs."""
    inner = helper.make_graph(
        [helper.make_node("Relu", ["x"], ["z"])], "in", [], [helper.make_empty_tensor_value_info("z")]
    )
    node = helper.make_node("If", ["c"], ["y"], then_branch=inner, else_branch=inner)
    return model([node], IMAGES, {"c": np.bool_(True)})


def hidden_subgraph():
    """Return a model with a graph in an attribute of a node that takes none."""
    inner = helper.make_graph([], "in", [], [])
    node = helper.make_node("Relu", ["x"], ["y"])
    node.attribute.append(helper.make_attribute("body", inner))
    return model([node], IMAGES)


def cyclic():
    """Return two nodes that need each other."""
    nodes = [helper.make_node("Add", ["x", "b"], ["a"]), helper.make_node("Relu", ["a"], ["b"])]
    return model(nodes, IMAGES, outputs=("b",))


def weights(dims, raw, code=1):
    """Return a model whose one initializer has these sizes and bytes."""
    tensor = TensorProto(name="w", data_type=code, dims=dims, raw_data=raw)
    made = one("Add", IMAGES, {"v": np.float32(1)})
    del made.graph.initializer[:]
    tensor.name = "v"
    made.graph.initializer.append(tensor)
    return made


def quantised():
    """Return a model with two operators that the table lacks."""
    nodes = [
        helper.make_node("QuantizeLinear", ["x", "s"], ["q"]),
        helper.make_node("DequantizeLinear", ["q", "s"], ["y"]),
    ]
    return model(nodes, IMAGES, {"s": np.float32(0.1)})


def function(made):
    """Put a function of its own domain into a model."""
    made.functions.append(
        helper.make_function("own", "Thing", ["x"], ["y"], [helper.make_node("Relu", ["x"], ["y"])], made.opset_import)
    )


HOSTILE = {
    "external": (changed(external), "the field 'external_data', which is not read|the field 'data_location'"),
    "function": (changed(function), "ModelProto has the field 'functions'"),
    "training": (changed(lambda made: made.training_info.add()), "ModelProto has the field 'training_info'"),
    "sparse": (changed(lambda made: made.graph.sparse_initializer.add()), "has the field 'sparse_initializer'"),
    "domain": (
        model([helper.make_node("Relu", ["x"], ["y"], domain="evil.ops")], IMAGES),
        r"one kind of operator is not in the gate's table: evil.ops.Relu \(1 times\)",
    ),
    "unknown": (quantised(), r"2 kinds of operators .*DequantizeLinear \(1 times\), QuantizeLinear \(1 times\)"),
    "branch": (branch(), "the field 'g', which is not read|table: If"),
    "subgraph": (hidden_subgraph(), "AttributeProto has the field 'g'"),
    "reference": (
        changed(lambda made: made.graph.node[0].attribute.add(name="a", ref_attr_name="b", type=1)),
        "AttributeProto has the field 'ref_attr_name'",
    ),
    "cycle": (cyclic(), r"node\[0\] \(Add\): 'b' is used before it is defined"),
    "missing": (model([helper.make_node("Add", ["x", "nil"], ["y"])], IMAGES), "'nil' is used before it is defined"),
    "twice": (
        model([helper.make_node("Relu", ["x"], ["y"]), helper.make_node("Neg", ["x"], ["y"])], IMAGES),
        "'y' is defined twice",
    ),
    "shadow": (model([helper.make_node("Relu", ["x"], ["x"])], IMAGES, outputs=("x",)), "'x' is defined twice"),
    "no output": (changed(lambda made: made.graph.output.pop()), "graph.output: there is none"),
    "unmade output": (changed(lambda made: setattr(made.graph.output[0], "name", "z")), "'z' is not defined"),
    "constant output": (
        model([helper.make_node("Relu", ["c"], ["y"])], IMAGES, {"c": np.ones(3, np.float32)}),
        "'y' does not depend on the input",
    ),
    "two inputs": (
        changed(lambda made: made.graph.input.append(helper.make_tensor_value_info("z", 1, [1, 2]))),
        r"2 inputs \(x, z\)",
    ),
    "two initializers": (
        changed(
            lambda made: made.graph.initializer.append(made.graph.initializer[0]),
            one("Add", IMAGES, {"c": np.float32(1)}),
        ),
        "the name 'c' is empty, or given twice",
    ),
    "free sizes": (one("Relu", (None, 3, None, None)), "are not all fixed behind the batch"),
    "no shape": (changed(lambda made: made.graph.input[0].type.tensor_type.ClearField("shape")), "no shape is stated"),
    "huge input": (one("Relu", (None, 3, 2**40, 4)), "are no sizes of images"),
    "huge weights": (weights([2**20, 2**20], b""), r"the sizes \(1048576, 1048576\) are not read"),
    "negative sizes": (weights([-1, 4], b"\0" * 16), r"the sizes \(-1, 4\) are not read"),
    "too few bytes": (weights([4], b"\0" * 15), "15 bytes for 4 numbers"),
    "no bytes": (weights([4], b""), "0 bytes for 4 numbers|its numbers cannot be read"),
    "complex": (weights([1], b"\0" * 8, 14), "the number type 14 is not read"),
    "text": (weights([1], b"a", 8), "the number type 8 is not read"),
    "truth": (weights([1], b"\x02", 9), "a boolean is neither 0 nor 1"),
    "types": (one("Add", IMAGES, {"c": np.float64(1)}), "operands of the types torch.float32, torch.float64"),
    "shapes": (one("Add", IMAGES, {"c": np.ones(7, np.float32)}), "it does not go with its operands"),
    "attribute": (one("Relu", IMAGES, colour=1), "the attribute 'colour' is not mapped"),
    "mode": (one("Pad", IMAGES, {"p": np.array([0] * 8)}, opset=19, mode="wrap"), "mode 'wrap' is not read"),
    "growing": (
        model([helper.make_node("Tile", ["x", "t"], ["y"])], IMAGES, {"t": np.array([1, 2**12, 2**12, 1])}),
        "it makes 1610612736 numbers",
    ),
    "values": (
        model(
            [helper.make_node("ArgMax", ["x"], ["i"], axis=1), helper.make_node("Gather", ["c", "i"], ["y"])],
            IMAGES,
            {"c": np.ones(3, np.float32)},
        ),
        "depends on the values of a picture",
    ),
    "whole numbers": (one("Cast", IMAGES, to=3, result=3), "from torch.float32 into torch.int8"),
    "by zero": (one("Div", (None, 2), {"c": np.array([1, 0])}, dtype=np.int64), "it divides whole numbers by zero"),
    "by pixels": (
        model([helper.make_node("Mod", ["c", "x"], ["y"])], (None, 2), {"c": np.array([1, 2])}, dtype=np.int64),
        "operand 1 is not constant",
    ),
    "configured": (
        changed(lambda made: made.metadata_props.add(key="ort_config", value="{}")), "it configures onnxruntime itself"
    ),
    "training mode": (
        one("Dropout", IMAGES, {"r": np.float32(0.5), "t": np.bool_(True)}), "it drops values in training mode"
    ),
    "second result": (one("MaxPool", IMAGES, count=2, kernel_shape=[2, 2]), "2 results; at most 1 are mapped"),
    "early": (one("Gelu", IMAGES, opset=19), "no meaning before version 20"),
    "old": (changed(lambda made: setattr(made.opset_import[0], "version", 6)), "version 6; 7 to 22 are read"),
    "new": (changed(lambda made: setattr(made.opset_import[0], "version", 99)), "operator set version 99"),
    "no version": (changed(lambda made: made.opset_import.pop()), "operator set version none"),
    "two versions": (
        changed(lambda made: made.opset_import.append(helper.make_opsetid("ai.onnx", 13))),
        "operator set version 13, 17",
    ),
    "nothing": (changed(lambda made: made.ClearField("graph")), "it holds no graph"),
}  # fmt: skip


def refusal(raw, tmp_path):
    """Return the error of reading these bytes."""
    path = tmp_path / "model.onnx"
    path.write_bytes(raw)
    with pytest.raises(OnnxRefusedError) as caught:
        read_onnx(path)
    return caught.value


@pytest.mark.parametrize("name", HOSTILE)
def test_refuses(name, tmp_path):
    """The error names place and reason in one line, and what to do."""
    made, said = HOSTILE[name]
    error = refusal(made.SerializeToString(), tmp_path)
    assert error.args[0].startswith("ONNX model refused at ")
    assert "\n" not in str(error)
    assert re.search(said, str(error)), str(error)
    assert error.what_to_do


def test_refuses_bytes_that_are_cut_off(tmp_path):
    """No part of a file passes for a whole one."""
    raw = classifier().SerializeToString()
    for length in (1, 10, len(raw) // 2, len(raw) - 1):
        assert "refused" in str(refusal(raw[:length], tmp_path))


def test_refuses_fields_that_this_onnx_does_not_know(tmp_path):
    """What the classes of protobuf would keep unread is refused."""
    unknown = b"\xfa\x7f\x01a"  # field 2047, one byte
    assert "has a field that this version of ONNX does not know" in str(
        refusal(relu().SerializeToString() + unknown, tmp_path)
    )


def test_names_every_unknown_operator_once(tmp_path):
    """Each kind is named with how often it occurs."""
    nodes = [helper.make_node("LSTM", ["x"], [f"a{index}"]) for index in range(3)]
    nodes += [helper.make_node("NonZero", ["x"], ["y"])]
    said = str(refusal(model(nodes, IMAGES).SerializeToString(), tmp_path))
    assert "2 kinds of operators are not in the gate's table: LSTM (3 times), NonZero (1 times)" in said

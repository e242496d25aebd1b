"""Small ONNX models from `onnx.helper`, and what onnxruntime makes of them."""

import numpy as np
import onnx
import onnxruntime
import torch
from onnx import TensorProto, helper, numpy_helper

from gate.programs.readers.onnx.network import Network, require_mapped
from gate.programs.readers.onnx.parsing import read_graph
from gate.programs.readers.onnx.table import OPERATORS

IR = {7: 3, 8: 3, 9: 4, 10: 5, 11: 6, 12: 7, 13: 7, 14: 7, 15: 8, 16: 8, 17: 8, 18: 8, 19: 9, 20: 9, 21: 10, 22: 10}
"""The version of the format that came with each version of the operators."""


def model(nodes, shape, constants=(), outputs=("y",), *, opset=17, dtype=np.float32, result=None, **more):
    """Return a model of one input `x` whose first size is free where it is None."""
    sizes = ["n" if size is None else size for size in shape]
    kind = helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
    made = result or kind
    graph = helper.make_graph(
        nodes,
        "small",
        [helper.make_tensor_value_info("x", kind, sizes)],
        [helper.make_tensor_value_info(name, made, None) for name in outputs],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in dict(constants).items()],
    )
    imports = [helper.make_opsetid("", opset)]
    return helper.make_model(graph, opset_imports=imports, ir_version=IR[opset], **more)


def one(operator, shape, constants=(), *, opset=17, count=1, dtype=np.float32, result=None, **attributes):
    """Return a model of one node: `x`, then the constants by name, in their order; None leaves an operand out."""
    constants = dict(constants)
    names = ["x", *(name if value is not None else "" for name, value in constants.items())]
    outputs = ["y", *(f"y{index}" for index in range(1, count))]
    node = helper.make_node(operator, names, outputs, **attributes)
    given = {name: value for name, value in constants.items() if value is not None}
    return model([node], shape, given, outputs, opset=opset, dtype=dtype, result=result)


def network(made):
    """Return a model as the gate's module."""
    graph = read_graph(made.SerializeToString(), OPERATORS)
    require_mapped(graph)
    return Network(graph).eval()


def answers(made, x):
    """Return what onnxruntime yields, by name."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = 1, 4
    session = onnxruntime.InferenceSession(made.SerializeToString(), options, providers=["CPUExecutionProvider"])
    names = [one.name for one in session.get_outputs()]
    return dict(zip(names, session.run(None, {"x": x}), strict=True))


def pictures(shape, dtype=np.float32, seed=0):
    """Return numbers of both signs around zero."""
    generator = np.random.default_rng(seed)
    if np.dtype(dtype).kind == "f":
        return generator.normal(size=shape).astype(dtype)
    return generator.integers(-9 if np.dtype(dtype).kind == "i" else 0, 9, shape).astype(dtype)


def difference(made, x):
    """Return the greatest difference from onnxruntime, as a share of the largest number; types and shapes are equal."""
    wanted = answers(made, x)
    with torch.no_grad():
        found = network(made)(torch.from_numpy(x))
    found = found if isinstance(found, dict) else {next(iter(wanted)): found}
    assert found.keys() == wanted.keys()
    return max(_apart(found[name].numpy(), wanted[name]) for name in wanted)


def _apart(found, wanted):
    assert found.shape == wanted.shape
    assert found.dtype == wanted.dtype
    if wanted.dtype.kind != "f":
        assert np.array_equal(found, wanted)
        return 0.0
    assert np.array_equal(np.isnan(found), np.isnan(wanted))
    finite = np.isfinite(wanted)
    assert np.array_equal(found[~finite], wanted[~finite], equal_nan=True)
    scale = max(float(np.abs(wanted[finite]).max(initial=0)), 1e-6)
    return float(np.abs(found[finite] - wanted[finite]).max(initial=0)) / scale


def classifier(*, opset=17, batch=None, last="nhwc", seed=0):
    """Return a small image classifier of 8 × 8 × 3 and four classes, with a last linear layer."""
    generator = np.random.default_rng(seed)

    def weights(*shape):
        return generator.normal(size=shape).astype(np.float32) * 0.3

    shape = (batch, 8, 8, 3) if last == "nhwc" else (batch, 3, 8, 8)
    constants = {"w": weights(6, 3, 3, 3), "b": weights(6), "scale": weights(6) + 1, "shift": weights(6)}
    constants |= {
        "mean": weights(6),
        "var": np.abs(weights(6)) + 0.5,
        "fc.weight": weights(6, 4),
        "fc.bias": weights(4),
    }
    first = [helper.make_node("Transpose", ["x"], ["t"], perm=[0, 3, 1, 2])] if last == "nhwc" else []
    nodes = [
        *first,
        helper.make_node("Conv", ["t" if first else "x", "w", "b"], ["c"], auto_pad="SAME_UPPER", strides=[2, 2]),
        helper.make_node("BatchNormalization", ["c", "scale", "shift", "mean", "var"], ["n"], epsilon=1e-3),
        helper.make_node("Relu", ["n"], ["r"]),
        helper.make_node("GlobalAveragePool", ["r"], ["g"]),
        helper.make_node("Flatten", ["g"], ["f"]),
        helper.make_node("MatMul", ["f", "fc.weight"], ["m"]),
        helper.make_node("Add", ["m", "fc.bias"], ["logits"]),
        helper.make_node("Softmax", ["logits"], ["y"], axis=1),
    ]
    return model(nodes, shape, constants, opset=opset)


__all__ = [
    "IR",
    "TensorProto",
    "answers",
    "classifier",
    "difference",
    "helper",
    "model",
    "network",
    "one",
    "onnx",
    "pictures",
]

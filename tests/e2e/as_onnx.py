"""The network of the digits as an ONNX model, as an exporter of another framework would write it."""

import onnx
from onnx import helper, numpy_helper


def as_onnx(net, *, last_channels=False):
    """Return the layers of `tests.e2e.digits.build` node by node, with a free batch and a softmax at the end."""
    weights = {name: numpy_helper.from_array(tensor.numpy(), name) for name, tensor in net.state_dict().items()}
    shape = ["batch", 8, 8, 1] if last_channels else ["batch", 1, 8, 8]
    first = helper.make_node("Transpose", ["pixels"], ["x"], perm=[0, 3, 1, 2])
    nodes = [
        *([first] if last_channels else []),
        helper.make_node("Conv", ["x" if last_channels else "pixels", "0.weight", "0.bias"], ["a"], pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["a"], ["b"]),
        helper.make_node("MaxPool", ["b"], ["c"], kernel_shape=[2, 2], strides=[2, 2]),
        helper.make_node("Flatten", ["c"], ["d"]),
        helper.make_node("Gemm", ["d", "4.weight", "4.bias"], ["e"], transB=1),
        helper.make_node("Relu", ["e"], ["f"]),
        helper.make_node("Gemm", ["f", "6.weight", "6.bias"], ["logits"], transB=1),
        helper.make_node("Softmax", ["logits"], ["probabilities"], axis=1),
    ]
    graph = helper.make_graph(
        nodes,
        "digits",
        [helper.make_tensor_value_info("pixels", 1, shape)],
        [helper.make_tensor_value_info("probabilities", 1, ["batch", 10])],
        list(weights.values()),
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(made)
    return made

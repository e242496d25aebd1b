"""Every operator of the table against onnxruntime, over its attributes and the versions of the operators."""

import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from gate.programs import RefusedError, batched
from gate.programs.readers.onnx.graph import OPSETS
from gate.programs.readers.onnx.reader import read_onnx
from gate.programs.readers.onnx.table import OPERATORS
from tests.programs.onnx.graphs import difference, helper, model, network, one, pictures

SAME = 2e-5
IMAGE = (2, 4, 7, 6)
IMAGES = (None, *IMAGE[1:])
PLAIN = (
    "Abs", "Ceil", "Cos", "Erf", "Exp", "Floor", "HardSwish", "Identity", "Mish", "Neg", "Relu", "Round", "Sigmoid",
    "Sign", "Sin", "Softplus", "Softsign", "Tanh",
)  # fmt: skip
LONG = np.array


def image(operator, constants=(), **attributes):
    """Return a model of one operator on pictures."""
    return one(operator, IMAGES, constants, **attributes)


def weight(*shape, seed=1):
    """Return weights of some sizes."""
    return pictures(shape, seed=seed)


def positive(operator):
    """Return an operator on positive numbers."""
    nodes = [helper.make_node("Exp", ["x"], ["e"]), helper.make_node(operator, ["e"], ["y"])]
    return model(nodes, IMAGES)


def compared(operator, **attributes):
    """Return an operator that yields booleans, as numbers."""
    nodes = [helper.make_node(operator, ["x", "c"], ["b"], **attributes), helper.make_node("Cast", ["b"], ["y"], to=1)]
    return model(nodes, IMAGES, {"c": weight(4, 1, 1)})


def logic(operator):
    """Return an operator on booleans."""
    first = [helper.make_node("Greater", ["x", "c"], ["a"]), helper.make_node("Less", ["x", "d"], ["b"])]
    last = helper.make_node(operator, ["a"] if operator == "Not" else ["a", "b"], ["l"])
    constants = {"c": np.float32(0), "d": np.float32(0.5)}
    return model([*first, last, helper.make_node("Cast", ["l"], ["y"], to=1)], IMAGES, constants)


def by_shape(*steps, constants=()):
    """Return a graph that works out a shape and reshapes to it."""
    nodes = [helper.make_node(name, inputs, outputs, **more) for name, inputs, outputs, more in steps]
    return model([*nodes, helper.make_node("Reshape", ["x", "s"], ["y"])], IMAGES, constants)


def flattened():
    """Return (N, −1) by the way of TensorFlow: shape, slice, casts, concatenation."""
    return by_shape(
        ("Shape", ["x"], ["a"], {}),
        ("Cast", ["a"], ["b"], {"to": 6}),
        ("Slice", ["b", "zero", "one", "zero"], ["c"], {}),
        ("Concat", ["c", "rest"], ["d"], {"axis": 0}),
        ("Cast", ["d"], ["s"], {"to": 7}),
        constants={"zero": LONG([0]), "one": LONG([1]), "rest": np.array([-1], np.int32)},
    )


def multiplied():
    """Return (N, C, H · W) by arithmetic on sizes."""
    return by_shape(
        ("Shape", ["x"], ["a"], {}),
        ("Gather", ["a", "zero"], ["n"], {}),
        ("Gather", ["a", "two"], ["h"], {}),
        ("Gather", ["a", "three"], ["w"], {}),
        ("Mul", ["h", "w"], ["hw"], {}),
        ("Unsqueeze", ["n", "axes"], ["n1"], {}),
        ("Unsqueeze", ["hw", "axes"], ["hw1"], {}),
        ("Concat", ["n1", "four", "hw1"], ["s"], {"axis": 0}),
        constants={
            "zero": np.int64(0), "two": np.int64(2), "three": np.int64(3), "axes": LONG([0]), "four": LONG([4]),
        },
    )  # fmt: skip


def token():
    """Return pictures behind a class token that is expanded to their number, as transformers have it."""
    nodes = [
        helper.make_node("Shape", ["x"], ["a"], end=1),
        helper.make_node("Concat", ["a", "rest"], ["s"], axis=0),
        helper.make_node("Expand", ["t", "s"], ["e"]),
        helper.make_node("Concat", ["e", "x"], ["y"], axis=1),
    ]
    return model(nodes, IMAGES, {"rest": LONG([1, 7, 6]), "t": weight(1, 1, 7, 6)})


def zeros():
    """Return the sum with zeros of the picture's own sizes."""
    nodes = [
        helper.make_node("Shape", ["x"], ["s"]),
        helper.make_node("ConstantOfShape", ["s"], ["z"], value=helper.make_tensor("v", 1, [1], [0.5])),
        helper.make_node("Add", ["x", "z"], ["y"]),
    ]
    return model(nodes, IMAGES)


def sized():
    """Return the picture over its own number of entries."""
    nodes = [
        helper.make_node("Size", ["c"], ["s"]),
        helper.make_node("Cast", ["s"], ["f"], to=1),
        helper.make_node("Div", ["x", "f"], ["y"]),
    ]
    return model(nodes, IMAGES, {"c": weight(4, 3)})


def converted():
    """Return whole numbers in another type, and back."""
    nodes = [
        helper.make_node("ArgMax", ["x"], ["a"], axis=1),
        helper.make_node("Cast", ["a"], ["b"], to=6),
        helper.make_node("Cast", ["b"], ["y"], to=1),
    ]
    return model(nodes, IMAGES)


def counted():
    """Return the sum with numbers that are counted up to a size."""
    nodes = [
        helper.make_node("Shape", ["x"], ["s"], start=3),
        helper.make_node("Squeeze", ["s"], ["w"]),
        helper.make_node("Range", ["zero", "w", "one"], ["r"]),
        helper.make_node("Cast", ["r"], ["f"], to=1),
        helper.make_node("Add", ["x", "f"], ["y"]),
    ]
    return model(nodes, IMAGES, {"zero": np.int64(0), "one": np.int64(1)})


def scattered():
    """Return the sum with a mask that is written place by place, as window attention has it."""
    nodes = [
        helper.make_node("ScatterND", ["m", "p", "u"], ["w"]),
        helper.make_node("Add", ["x", "w"], ["y"]),
    ]
    places, updates = LONG([[0, 1], [6, 5]]), np.array([3, 4], np.float32)
    return model(nodes, IMAGES, {"m": weight(7, 6), "p": places, "u": updates})


def constant(**value):
    """Return the sum of pictures and what a node holds."""
    nodes = [helper.make_node("Constant", [], ["c"], **value), helper.make_node("Add", ["x", "c"], ["y"])]
    return model(nodes, IMAGES)


NORM = {"scale": weight(4), "b": weight(4), "mean": weight(4), "var": np.abs(weight(4)) + 0.5}
CASES = [
    *(image(name, opset=20) for name in PLAIN),
    *(positive(name) for name in ("Log", "Reciprocal", "Sqrt")),
    *(image(name, {"c": weight(4, 1, 1)}) for name in ("Add", "Div", "Max", "Mean", "Min", "Mul", "Sub", "Sum")),
    *(image(name, {"c": weight(4, 1, 1), "d": weight(6)}) for name in ("Max", "Mean", "Min", "Sum")),
    *(compared(name) for name in ("Equal", "Greater", "GreaterOrEqual", "Less", "LessOrEqual")),
    *(logic(name) for name in ("And", "Not", "Or")),
    image("Cast", to=11, result=11), converted(), image("Cast", to=9, result=9),
    image("Celu", alpha=0.7), image("Elu", alpha=0.7), image("Selu"), image("Selu", alpha=1.2, gamma=0.9),
    image("LeakyRelu", alpha=0.2), image("ThresholdedRelu", alpha=0.3), image("HardSigmoid", alpha=0.3, beta=0.4),
    image("HardSigmoid"), image("PRelu", {"s": weight(4, 1, 1)}),
    image("Gelu", opset=20), image("Gelu", opset=20, approximate="tanh"),
    image("Clip", opset=10, min=-0.5, max=0.5), image("Clip", {"low": np.float32(0), "high": np.float32(1)}),
    image("Clip", {"low": None, "high": np.float32(1)}), image("Clip"),
    image("Dropout", opset=10, ratio=0.3), image("Dropout", {"r": np.float32(0.5), "t": np.bool_(False)}),
    image("Pow", {"e": np.float32(2)}), image("Pow", {"e": LONG([3])}),
    model([helper.make_node("Greater", ["x", "c"], ["b"]), helper.make_node("Where", ["b", "x", "d"], ["y"])],
          IMAGES, {"c": np.float32(0), "d": weight(4, 1, 1)}),
    one("Div", (None, 5), {"c": np.array([2, 3, -2, 4, -5], np.int32)}, dtype=np.int32),
    # layers
    image("Conv", {"w": weight(6, 4, 3, 3), "b": weight(6)}),
    image("Conv", {"w": weight(6, 2, 3, 2)}, group=2, strides=[2, 1], dilations=[2, 1], pads=[1, 0, 2, 1]),
    image("Conv", {"w": weight(4, 1, 3, 3)}, group=4, auto_pad="SAME_LOWER", strides=[2, 2]),
    one("Conv", (None, 3, 9), {"w": weight(5, 3, 4)}, auto_pad="SAME_UPPER"),
    one("Conv", (None, 2, 5, 4, 6), {"w": weight(3, 2, 2, 2, 2)}, pads=[1, 1, 1, 1, 1, 1]),
    image("ConvTranspose", {"w": weight(4, 3, 3, 3), "b": weight(3)}, strides=[2, 2], pads=[1, 1, 1, 1]),
    image("ConvTranspose", {"w": weight(4, 2, 2, 3)}, group=2, strides=[2, 3], output_padding=[1, 0]),
    one("Gemm", (None, 5), {"w": weight(3, 5), "b": weight(3)}, transB=1),
    one("Gemm", (None, 5), {"w": weight(5, 3), "b": weight(1, 3)}, alpha=0.5, beta=2.0),
    one("Gemm", (None, 5), {"w": weight(5, 3)}), one("Gemm", (None, 5), {"w": weight(5, 3), "b": weight(3)}),
    image("MatMul", {"w": weight(6, 5)}), image("MatMul", {"w": weight(4, 6, 3)}),
    image("BatchNormalization", NORM, epsilon=1e-3), image("BatchNormalization", NORM, opset=8),
    image("LayerNormalization", {"s": weight(6), "b": weight(6)}, epsilon=1e-6),
    image("LayerNormalization", {"s": weight(4, 7, 6)}, axis=1),
    image("LayerNormalization", {"s": weight(6), "b": weight(1)}, axis=2),
    image("InstanceNormalization", {"s": weight(4), "b": weight(4)}, epsilon=1e-3),
    image("GroupNormalization", {"s": weight(4), "b": weight(4)}, opset=21, num_groups=2),
    image("LRN", size=3, alpha=0.1, beta=0.5, bias=2.0),
    *(image(name, opset=opset, axis=axis)
      for name in ("Softmax", "LogSoftmax") for opset in (11, 13) for axis in (1, 2, 3)),
    image("Softmax"), image("Softmax", opset=11),
    *(image(name, opset=11, axes=[1, 3], keepdims=keep) for name in
      ("ReduceL2", "ReduceMax", "ReduceMean", "ReduceMin", "ReduceSum", "ReduceSumSquare") for keep in (0, 1)),
    *(image(name, {"a": LONG([-1, 2])}, opset=18, keepdims=0) for name in
      ("ReduceL2", "ReduceMax", "ReduceMean", "ReduceMin", "ReduceSum", "ReduceSumSquare")),
    image("ReduceMean", opset=18, noop_with_empty_axes=1),
    *(image(name, axis=axis, keepdims=keep, result=7)
      for name in ("ArgMax", "ArgMin") for axis, keep in ((1, 0), (-1, 1))),
    # windows
    image("GlobalAveragePool"), image("GlobalMaxPool"), one("GlobalAveragePool", (None, 3, 5)),
    image("MaxPool", kernel_shape=[3, 2], strides=[2, 2], pads=[0, 0, 1, 1]),
    image("MaxPool", kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1], ceil_mode=1),
    image("MaxPool", kernel_shape=[2, 2], dilations=[2, 2]),
    image("AveragePool", kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1], count_include_pad=1),
    image("AveragePool", kernel_shape=[3, 3], strides=[2, 2], pads=[0, 1, 1, 1]),
    image("AveragePool", kernel_shape=[3, 2], auto_pad="SAME_UPPER", strides=[2, 2]),
    image("AveragePool", opset=19, kernel_shape=[3, 3], strides=[2, 2], ceil_mode=1),
    # forms
    flattened(), multiplied(), token(), zeros(), sized(),
    constant(value=helper.make_tensor("v", 1, [4, 1, 1], [1.0, 2.0, 3.0, 4.0])), constant(value_float=0.5),
    one("Concat", (2, 4, 7, 6), {"c": weight(2, 1, 7, 6)}, axis=1),
    image("DepthToSpace", blocksize=2), image("DepthToSpace", blocksize=2, mode="CRD"),
    image("Expand", {"s": LONG([1, 4, 7, 6])}), one("Expand", (None, 1, 6), {"s": LONG([3, 1])}),
    image("Flatten"), image("Flatten", axis=2), image("Flatten", axis=0), image("Flatten", axis=-1),
    image("Gather", {"i": LONG([2, -1])}, axis=1), image("Gather", {"i": np.int64(-2)}, axis=2),
    image("Gather", {"i": LONG([[0, 1], [3, 2]])}, axis=1),
    image("Pad", opset=10, pads=[0, 0, 1, 2, 0, 0, 0, 1], value=0.5),
    image("Pad", {"p": LONG([0, 1, 0, 0, 0, 0, 2, 1]), "v": np.float32(-1)}),
    image("Pad", {"p": LONG([0, 0, 1, 2, 0, 0, 3, 1])}, mode="reflect"),
    image("Pad", {"p": LONG([0, 0, 1, 2, 0, 0, 3, 1])}, mode="edge"),
    image("Pad", {"p": LONG([1, 2, 0, 1]), "v": None, "a": LONG([2, -1])}, opset=18),
    image("Pad", {"p": LONG([0, 0, -1, 0, 0, 0, 0, -2])}),
    image("Reshape", {"s": LONG([0, -1])}), image("Reshape", {"s": LONG([-1, 2, 2, 42])}),
    image("Resize", {"r": None, "s": np.array([1, 1, 2, 3], np.float32)}, mode="nearest",
          coordinate_transformation_mode="asymmetric", nearest_mode="floor"),
    image("Resize", {"r": None, "s": np.array([1, 1, 2, 2], np.float32)}),
    image("Resize", {"r": None, "s": np.array([1, 1, 1.5, 2.5], np.float32)}, mode="linear"),
    image("Resize", {"r": None, "s": np.array([1, 1, 0.5, 0.7], np.float32)}, mode="linear"),
    image("Resize", {"r": None, "s": None, "z": LONG([2, 4, 9, 5])}, mode="linear",
          coordinate_transformation_mode="align_corners"),
    image("Resize", {"r": None, "s": np.array([1, 1, 2, 2], np.float32)}, mode="cubic",
          coordinate_transformation_mode="pytorch_half_pixel"),
    image("Resize", {"s": np.array([1, 1, 2, 2], np.float32)}, opset=10, mode="nearest"),
    counted(), scattered(), image("Mod", {"c": np.float32(0.7)}, fmod=1),
    one("Mod", (None, 5), {"c": np.array([2, 3, -2, 4, -5], np.int64)}, dtype=np.int64),
    image("Upsample", {"s": np.array([1, 1, 2, 2], np.float32)}, opset=9),
    image("Upsample", opset=7, scales=[1.0, 1.0, 2.0, 3.0]),
    image("Slice", opset=9, starts=[1, 0], ends=[3, -1], axes=[1, 2]),
    image("Slice", opset=9, starts=[0, 1], ends=[9, 2]),
    image("Slice", {"s": LONG([-1]), "e": LONG([-9]), "a": LONG([3]), "t": LONG([-2])}),
    image("Slice", {"s": LONG([1, 0]), "e": LONG([2**63 - 1, 5]), "a": LONG([-1, 1]), "t": LONG([2, 1])}),
    image("Split", opset=11, count=2, axis=1, split=[1, 3]), image("Split", {"s": LONG([2, 2])}, count=2, axis=1),
    image("Split", count=2, axis=1), image("Split", opset=18, count=2, axis=2, num_outputs=2),
    one("Squeeze", (None, 1, 3, 1), opset=11, axes=[1]), one("Squeeze", (None, 1, 3, 1), {"a": LONG([-1])}),
    image("Tile", {"t": LONG([1, 2, 1, 3])}),
    image("Transpose", perm=[0, 2, 3, 1]), one("Transpose", (3, 4)),
    image("Unsqueeze", opset=11, axes=[1, 4]), image("Unsqueeze", {"a": LONG([-1])}),
]  # fmt: skip


def name_of(made):
    """Return the operators of a model, as the name of a test."""
    return "-".join(dict.fromkeys(node.op_type for node in made.graph.node))


def given_to(made):
    """Return an input for a model."""
    kind = made.graph.input[0].type.tensor_type
    shape = [size.dim_value or 2 for size in kind.shape.dim]
    return pictures(shape, helper.tensor_dtype_to_np_dtype(kind.elem_type))


@pytest.mark.parametrize("made", CASES, ids=name_of)
def test_computes_what_onnxruntime_computes(made):
    """Shape, type and numbers are equal."""
    assert difference(made, given_to(made)) <= SAME


def test_every_operator_of_the_table_is_compared():
    """No operator joins the table without a comparison."""
    seen = {node.op_type for made in CASES for node in made.graph.node}
    assert OPERATORS.keys() - seen == set()


def first_of_each():
    """Yield a model for each operator that none before it has."""
    seen = set()
    for made in CASES:
        names = {node.op_type for node in made.graph.node}
        if not names <= seen:
            seen |= names
            yield made


@pytest.mark.parametrize("made", tuple(first_of_each()), ids=name_of)
def test_every_operator_becomes_a_program_of_reviewed_operators(made, tmp_path):
    """The exported program is the module, bit for bit."""
    path = tmp_path / "model.onnx"
    path.write_bytes(made.SerializeToString())
    x = torch.from_numpy(given_to(made))
    program = read_onnx(path)
    with torch.no_grad():
        found, wanted = program(x), network(made)(x)
    wanted = tuple(wanted.values()) if isinstance(wanted, dict) else wanted
    assert all(map(torch.equal, *((one if isinstance(one, tuple) else (one,)) for one in (found, wanted))))


@pytest.mark.parametrize("opset", OPSETS)
def test_means_the_same_in_every_version(opset):
    """A small network in each version of the operators."""
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["a"], pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["a"], ["b"]),
        helper.make_node("MaxPool", ["b"], ["c"], kernel_shape=[2, 2], strides=[2, 2]),
        helper.make_node("Flatten", ["c"], ["d"]),
        helper.make_node("Gemm", ["d", "f", "g"], ["e"]),
        helper.make_node("Softmax", ["e"], ["y"]),
    ]
    made = model(nodes, IMAGES, {"w": weight(5, 4, 3, 3), "f": weight(45, 3), "g": weight(3)}, opset=opset)
    assert difference(made, given_to(made)) <= SAME


pads = st.lists(st.integers(0, 2), min_size=4, max_size=4)
twos = st.lists(st.integers(1, 3), min_size=2, max_size=2)


def refused_or_same(made):
    """Hold that a model is refused in words, or means what it means to onnxruntime."""
    try:
        apart = difference(made, given_to(made))
    except RefusedError:
        return
    assert apart <= SAME


@settings(max_examples=60, deadline=None)
@given(kernel=twos, strides=twos, dilations=twos, pads=pads, groups=st.sampled_from([1, 2, 4]))
def test_any_convolution(kernel, strides, dilations, pads, groups):
    """Kernels, strides, dilations, pads and groups."""
    fits = [(width - 1) * dilation < size for width, dilation, size in zip(kernel, dilations, IMAGE[2:], strict=True)]
    assume(all(fits))  # onnxruntime does not open others
    made = image(
        "Conv", {"w": weight(4, 4 // groups, *kernel)}, strides=strides, dilations=dilations, pads=pads, group=groups
    )
    refused_or_same(made)


auto_pads = st.sampled_from(["NOTSET", "SAME_LOWER", "SAME_UPPER", "VALID"])
some_sides = st.lists(st.integers(1, 7), min_size=2, max_size=2)


@settings(max_examples=300, deadline=None)
@given(
    kernel=twos, strides=twos, dilations=twos, pads=pads, auto=auto_pads, sides=some_sides,
    ceil=st.booleans(), include=st.booleans(), average=st.booleans(),
)  # fmt: skip
def test_any_pool(*, kernel, strides, dilations, pads, auto, sides, ceil, include, average):
    """Kernels, strides, dilations, stated and computed pads, sizes rounded up, what counts, and small pictures."""
    pads = [min(pad, width - 1) for pad, width in zip(pads, [*kernel, *kernel], strict=True)]
    begins, ends = (pads[:2], pads[2:]) if auto == "NOTSET" else ([0, 0], [0, 0])
    spans = [(width - 1) * dilation + 1 for width, dilation in zip(kernel, dilations, strict=True)]
    # onnxruntime makes no picture of smaller ones, and runs no computed pads with longer steps.
    sides = [max(size, span - a - b) for size, span, a, b in zip(sides, spans, begins, ends, strict=True)]
    if auto.startswith("SAME"):
        strides = [min(step, width) for step, width in zip(strides, kernel, strict=True)]
    more = {"count_include_pad": int(include)} if average else {}
    stated = {"pads": pads} if auto == "NOTSET" else {"auto_pad": auto}
    refused_or_same(
        one(
            "AveragePool" if average else "MaxPool", (None, 2, *sides),
            opset=19, kernel_shape=kernel, strides=strides, dilations=dilations, ceil_mode=int(ceil), **stated, **more,
        )
    )  # fmt: skip


@pytest.mark.parametrize("more", [{"ceil_mode": 1}, {"dilations": [2, 2]}])
@pytest.mark.parametrize("auto", ["SAME_LOWER", "SAME_UPPER", "VALID"])
def test_computed_pads_stand_alone(auto, more):
    """Together with sizes rounded up or dilations, onnxruntime counts windows in ways of its own."""
    with pytest.raises(RefusedError, match=f"auto_pad '{auto}' together with ceil_mode or dilations"):
        network(image("MaxPool", kernel_shape=[3, 3], strides=[2, 2], auto_pad=auto, **more))


@pytest.mark.parametrize("operator", ["Conv", "MaxPool"])
def test_no_other_way_of_padding_is_read(operator):
    """A word that ONNX does not have is not as if nothing were said."""
    constants = {"w": weight(2, 4, 3, 3)} if operator == "Conv" else ()
    with pytest.raises(RefusedError, match="auto_pad 'same_upper' is not read"):
        network(image(operator, constants, kernel_shape=[3, 3], auto_pad="same_upper"))


@pytest.mark.parametrize("factor", [2, 3, 5, 31, 41, 47, 55, 61, 83, 97])
@pytest.mark.parametrize(
    "how", [{}, {"coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}], ids=["half", "asymmetric"]
)
def test_pixels_are_repeated_any_number_of_times(factor, how):
    """By scales and to sizes; each new pixel is that of onnxruntime."""
    shape, scales = (None, 1, 7, 3), np.array([1, 1, factor, 2], np.float32)
    for to in ({"r": None, "s": scales}, {"r": None, "s": None, "z": LONG([2, 1, 7 * factor, 6])}):
        assert difference(one("Resize", shape, to, mode="nearest", **how), pictures((2, 1, 7, 3))) == 0


@pytest.mark.parametrize("axes", [[1], [1, 2, 3]])
def test_sums_of_whole_numbers_keep_their_type(axes):
    """Also where they reach its limits, at which onnxruntime stays."""
    made = one("ReduceSum", IMAGES, {"a": LONG(axes)}, opset=18, dtype=np.int32)
    for factor in (1, 2**27):
        assert difference(made, pictures(IMAGE, np.int32) * np.int32(factor)) == 0


@pytest.mark.parametrize(("operator", "kind"), [("ReduceSum", np.int64), ("ReduceSumSquare", np.int32)])
def test_sums_that_onnxruntime_rounds_are_refused(operator, kind):
    """It adds these up as float64."""
    with pytest.raises(RefusedError, match=r"onnxruntime adds up .*torch\.int\d\d as float64"):
        network(one(operator, IMAGES, {"a": LONG([1])}, opset=18, dtype=kind))


@pytest.mark.parametrize("operator", sorted(name for name in OPERATORS if name.startswith("Reduce")))
@pytest.mark.parametrize("axes", [{}, {"a": LONG([], np.int64)}, {"a": None}], ids=["none", "empty", "left out"])
@pytest.mark.parametrize("noop", [0, 1])
def test_reductions_over_no_axes(operator, axes, noop):
    """Over all of them, or number by number."""
    refused_or_same(image(operator, axes, opset=18, noop_with_empty_axes=noop))


@settings(max_examples=60, deadline=None)
@given(
    start=st.integers(-9, 9),
    end=st.integers(-9, 9),
    step=st.sampled_from([-3, -1, 1, 2]),
    axis=st.sampled_from([1, 2, -1]),
)
def test_any_slice(start, end, step, axis):
    """Starts, ends and steps of both signs, also beyond the sizes."""
    refused_or_same(image("Slice", {"s": LONG([start]), "e": LONG([end]), "a": LONG([axis]), "t": LONG([step])}))


@settings(max_examples=200, deadline=None)
@given(
    scales=st.lists(st.sampled_from([0.125, 0.25, 0.5, 1.0, 1.5, 2.0, 3.0, 41.0]), min_size=2, max_size=2),
    sides=some_sides,
    by_sizes=st.booleans(),
    mode=st.sampled_from(["nearest", "linear", "cubic"]),
    coordinates=st.sampled_from(["half_pixel", "pytorch_half_pixel", "align_corners", "asymmetric"]),
    rounding=st.sampled_from(["round_prefer_floor", "round_prefer_ceil", "floor", "ceil"]),
)
def test_any_resize(scales, sides, by_sizes, mode, coordinates, rounding):
    """Scales and sizes, also down to one pixel, modes, coordinates and roundings."""
    sizes = [int(size * scale) for size, scale in zip(sides, scales, strict=True)]
    assume(min(sizes) > 0)
    to = {"s": None, "z": LONG([2, 2, *sizes])} if by_sizes else {"s": np.array([1, 1, *scales], np.float32)}
    refused_or_same(
        one(
            "Resize", (None, 2, *sides), {"r": None, **to},
            mode=mode, coordinate_transformation_mode=coordinates, nearest_mode=rounding,
        )
    )  # fmt: skip


def test_repeated_pixels_leave_samples_alone(tmp_path):
    """Enlarged pictures run together."""
    path = tmp_path / "model.onnx"
    made = image("Resize", {"r": None, "s": np.array([1, 1, 2, 2], np.float32)})
    path.write_bytes(made.SerializeToString())
    assert batched(read_onnx(path), torch.from_numpy(pictures((6, *IMAGE[1:])))).mode == "direct"

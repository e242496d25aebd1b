"""Sizes as numbers: what depends on the size of a free batch is refused, never decided for two samples or more."""

from itertools import pairwise

import numpy as np
import pytest
import torch
from onnx import helper

from gate.programs.readers.onnx.refused import OnnxRefusedError
from tests.programs.onnx.graphs import answers, difference, model, one, pictures

IMAGES = (None, 3, 4, 5)


def node(operator, inputs, output, **attributes):
    """Return a node of one result; inputs are separated by blanks."""
    return helper.make_node(operator, inputs.split(), [output], **attributes)


def sign(*choice, batch=None, **constants):
    """Return the picture, whose sign is chosen as `w` from its first size `b`."""
    nodes = [node("Shape", "x", "s"), node("Gather", "s zero", "b"), *choice]
    nodes += [node("Cast", "w", "f", to=1), node("Mul", "x f", "y")]
    given = {"zero": 0, "one": 1, "minus": -1, **constants}
    return model(nodes, (batch, 3, 4, 5), {name: np.int64(value) for name, value in given.items()})


ONE_SAMPLE = {
    "equal": sign(node("Equal", "b one", "e"), node("Where", "e minus one", "w")),
    "where": sign(node("Sub", "b one", "e"), node("Where", "e one minus", "w")),
    "difference": sign(
        node("Sub", "b two", "d"), node("Equal", "d minus", "e"), node("Where", "e minus one", "w"), two=2
    ),
    "squeezed": one("Squeeze", IMAGES),
}


@pytest.mark.parametrize("name", ONE_SAMPLE)
def test_what_one_sample_alone_changes_is_refused(name, read):
    """No export with a fixed batch is tried in its place."""
    with pytest.raises(OnnxRefusedError, match=r"how many samples are asked about together|of one sample") as caught:
        read(ONE_SAMPLE[name])
    assert "no branch on the size of the batch" in caught.value.what_to_do


def test_a_fixed_batch_decides(read):
    """Sizes that are stated are compared, whatever they are."""
    for batch in (1, 2):
        made = sign(node("Equal", "b one", "e"), node("Where", "e minus one", "w"), batch=batch)
        x = pictures((batch, 3, 4, 5))
        assert np.array_equal(read(made)(torch.from_numpy(x)).numpy(), answers(made, x)["y"])


def test_the_marks_of_exporters_are_read(read):
    """The exporter of torch writes `expand(n, -1, -1)` as a comparison of all sizes with -1, which no size is."""
    nodes = [
        node("Shape", "x", "s", end=1),
        node("Concat", "s rest", "z", axis=0),
        node("Shape", "z", "k"),
        node("ConstantOfShape", "k", "ones", value=helper.make_tensor("v", 7, [1], [1])),
        node("Mul", "ones minus", "marks"),
        node("Equal", "z marks", "e"),
        node("Where", "e ones z", "w"),
        node("Expand", "t w", "u"),
        node("Concat", "u x", "y", axis=1),
    ]
    constants = {"rest": np.array([-1, -1, 5]), "minus": np.int64(-1), "t": pictures((1, 1, 4, 5))}
    made = model(nodes, IMAGES, constants)
    program = read(made)
    assert program.inputs[0].shape[0] is None
    for count in (1, 2, 5):
        x = pictures((count, 3, 4, 5))
        assert np.array_equal(program(torch.from_numpy(x)).numpy(), answers(made, x)["y"])


def growing(*nodes, **constants):
    """Return a harmless picture beside sizes that grow from its own."""
    given = {name: np.asarray(value) for name, value in constants.items()}
    return model([node("Shape", "x", "s"), *nodes, node("Relu", "x", "y")], IMAGES, given)


def doubling(operator, first, count, **attributes):
    """Return nodes that each take what the one before made, twice."""
    names = [first, *(f"{operator}{index}" for index in range(count))]
    return [node(operator, f"{one} {one}", two, **attributes) for one, two in pairwise(names)]


def broadcast(times):
    """Return a model that multiplies each of so many times three known sizes by each."""
    nodes = (
        node("Slice", "s one four", "k"), node("Concat", "k " * times, "s0", axis=0),
        node("Unsqueeze", "s0 one", "t"), node("Mul", "t s0", "z"),
    )  # fmt: skip
    return growing(*nodes, one=[1], four=[4])


SIDE = node("Gather", "s three", "m")
THREE = np.int64(3)
ENDLESS = {
    "squares": (growing(SIDE, *doubling("Mul", "m", 64), three=THREE), "beyond 32 bits"),
    "of the batch": (growing(node("Gather", "s zero", "m"), *doubling("Mul", "m", 64), zero=0), "beyond 32 bits"),
    "doubled": (growing(SIDE, *doubling("Add", "m", 64), three=THREE), "beyond 32 bits"),
    "too large": (growing(SIDE, node("Mul", "m far", "z"), three=THREE, far=2**62), "beyond 32 bits"),
    "too small": (growing(SIDE, node("Sub", "m far", "z"), three=THREE, far=2**33), "beyond 32 bits"),
    "no int32": (
        growing(node("Shape", "s", "k"),
                node("ConstantOfShape", "k", "c", value=helper.make_tensor("v", 7, [1], [2**40])),
                node("Cast", "c", "z", to=6)),
        "beyond 32 bits",
    ),
    "concatenated": (growing(*doubling("Concat", "s", 40, axis=0)), "it makes 524288 numbers from sizes"),
    "expanded": (growing(node("Expand", "s e", "z"), e=[10**9, 4]), "it makes 4000000000 numbers"),
    "broadcast": (
        broadcast(200),
        "it makes 360000 numbers",
    ),
    "counted": (
        growing(SIDE, node("Mul", "m much", "z"), node("Range", "zero z one", "r"),
                three=THREE, much=10**8, zero=0, one=1),
        "it makes 500000000 numbers",
    ),
    "counted far": (
        growing(SIDE, node("Range", "m far one", "r"), three=THREE, far=2**63 - 1, one=1),
        "it makes 9223372036854775802 numbers",
    ),
    "taken": (
        growing(node("Concat", "s s", "d", axis=0), node("Unsqueeze", "d one", "u"),
                node("Gather", "u many", "z", axis=1), one=[1], many=[0] * 40_000),
        "it makes 320000 numbers",
    ),
    "backwards": (
        model([node("Expand", "t e", "w"), node("Slice", "w a b a c", "v"), node("Add", "v x", "y")], (None, 1),
              {"t": pictures((1, 1)), "e": np.array([1 << 20, 1]), "a": np.array([0]), "b": np.array([-(2**40)]),
               "c": np.array([-1])}),
        "it goes backwards over 1048576 entries",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", ENDLESS)
def test_sizes_are_bounded_before_they_are_made(name, read):
    """A small file takes neither all time nor all memory."""
    made, said = ENDLESS[name]
    with pytest.raises(OnnxRefusedError, match=said):
        read(made)


def sliced(operator, divisor, start, **attributes):
    """Return the rows of a picture from (4 - start) by the divisor on."""
    nodes = [
        node("Shape", "x", "s"),
        node("Slice", "s two three", "h"),
        node("Sub", "h start", "d"),
        node(operator, "d c", "q", **attributes),
        node("Slice", "x q far two", "y"),
    ]
    numbers = {"two": 2, "three": 3, "start": start, "c": divisor, "far": 2**31 - 1}
    return model(nodes, IMAGES, {name: np.array([value]) for name, value in numbers.items()})


@pytest.mark.parametrize("divisor", [2, -2, 3])
@pytest.mark.parametrize("start", [1, 7])
@pytest.mark.parametrize(("operator", "attributes"), [("Div", {}), ("Mod", {}), ("Mod", {"fmod": 1})])
def test_numbers_are_divided_as_onnxruntime_does(operator, attributes, start, divisor):
    """Quotients are cut towards zero, remainders have the sign that is asked for."""
    made = sliced(operator, divisor, start, **attributes)
    assert difference(made, pictures((2, 3, 4, 5))) == 0


def test_a_batch_is_halved(read):
    """What is rounded down for every batch stays free."""
    nodes = [
        node("Shape", "x", "s"), node("Slice", "s zero one", "n"), node("Div", "n two", "h"), node("Mod", "n two", "r"),
        node("Mul", "h two", "d"), node("Add", "d r", "n1"), node("Concat", "n1 rest", "z", axis=0),
        node("Reshape", "x z", "y"),
    ]  # fmt: skip
    numbers = {"zero": 0, "one": 1, "two": 2, "rest": -1}
    made = model(nodes, IMAGES, {name: np.array([value]) for name, value in numbers.items()})
    program = read(made)
    for count in (1, 2, 5):
        x = pictures((count, 3, 4, 5))
        assert np.array_equal(program(torch.from_numpy(x)).numpy(), answers(made, x)["y"])


def test_more_known_numbers_than_sizes_are_read(read):
    """As the places of a mask are, which Swin computes from the sides of its windows."""
    assert read(broadcast(20)).input_shapes[0][0] is None

"""Sizes as numbers: what depends on the size of a free batch is refused, never decided for two samples or more."""

import numpy as np
import pytest
import torch
from onnx import helper

from gate.programs.readers.onnx.reader import read_onnx
from gate.programs.readers.onnx.refused import OnnxRefusedError
from tests.programs.onnx.graphs import answers, model, one, pictures

IMAGES = (None, 3, 4, 5)


@pytest.fixture
def read(tmp_path):
    """Return what reads a model from a file."""

    def read(made):
        path = tmp_path / "model.onnx"
        path.write_bytes(made.SerializeToString())
        return read_onnx(path)

    return read


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

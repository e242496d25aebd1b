"""An ONNX candidate beside onnxruntime: what is compared and refused, and what to do where a package is missing."""

from importlib.machinery import PathFinder

import numpy as np
import pytest
import torch
from onnx import helper

from gate.programs import read_program
from gate.programs.readers.onnx.reader import read_onnx
from gate.programs.writer.write import write_program
from gate.records.errors import UnexaminableError
from gate.worker.loading import onnx_models
from gate.worker.loading.candidate import find_candidate
from gate.worker.loading.onnx_models import read_onnx_program, require_same
from tests.programs.onnx.graphs import classifier, model, pictures

MLMODEL = "flavors:\n  onnx:\n    data: {0}\n"


@pytest.fixture
def path(tmp_path):
    """Return the file of a classifier."""
    path = tmp_path / "model.onnx"
    path.write_bytes(classifier().SerializeToString())
    return path


def given(count=5):
    """Return pictures as the classifier takes them."""
    return torch.from_numpy(pictures((count, 8, 8, 3)))


def test_the_mapped_program_is_the_same(path):
    """Rounding alone is left."""
    assert require_same(path, read_onnx(path), given()) <= 1e-6


def test_what_no_sample_shows_may_differ(tmp_path):
    """sigmoid(-z) (1 + exp(z)) is 1 in torch; onnxruntime's Sigmoid is 0 far out, where neither samples nor noise lie.

    So an approval covers the bundle alone (tests/judging/test_served_bytes.py).
    """
    steps = [("Neg", ["x"], "m"), ("Sigmoid", ["m"], "s"), ("Exp", ["x"], "e"), ("Add", ["e", "one"], "more")]
    steps += [("Mul", ["s", "more"], "p"), ("Add", ["x", "p"], "y")]
    nodes = [helper.make_node(kind, given, [name]) for kind, given, name in steps]
    path = tmp_path / "model.onnx"
    one = {"one": np.ones(1, np.float32)}
    path.write_bytes(model(nodes, (None, 2), one).SerializeToString())
    program, far = read_onnx(path), torch.tensor([[1.0, 40.0]])
    assert require_same(path, program, torch.rand(8, 2)) <= 1e-6
    assert torch.allclose(program(far), far + 1)
    with pytest.raises(UnexaminableError, match=r"differs from onnxruntime by 0\.02"):
        require_same(path, program, far)


@pytest.mark.parametrize("batch", [1, 3])
def test_a_fixed_batch_is_compared_too(path, batch):
    """Whole batches are compared; fewer samples than one are repeated."""
    path.write_bytes(classifier(batch=batch).SerializeToString())
    program = read_onnx(path)
    for count in (1, 7):
        assert require_same(path, program, given(count)) <= 1e-6


def test_another_program_is_refused_with_the_difference(path, tmp_path):
    """A bias that is off by a hundredth shows."""
    program = read_onnx(path)
    program.parameters["fc_bias"][0] += 0.01
    write_program(program, tmp_path / "other.pt2")
    with pytest.raises(UnexaminableError, match=r"differs from onnxruntime by 0\.\d+ of the range"):
        require_same(path, read_program(tmp_path / "other.pt2"), given())


def test_outputs_of_another_shape_are_refused(path, tmp_path):
    """The number of classes is compared as well."""
    other = tmp_path / "other.onnx"
    nodes = [helper.make_node("ReduceMean", ["x"], ["y"], axes=[1, 2], keepdims=0)]
    other.write_bytes(model(nodes, (None, 8, 8, 3)).SerializeToString())
    with pytest.raises(UnexaminableError, match=r"yields float32 \(5, 3\) where onnxruntime yields float32 \(5, 4\)"):
        require_same(path, read_onnx(other), given())


def test_scores_that_are_no_numbers_are_refused(tmp_path):
    """NaN on clean samples compares with nothing."""
    path = tmp_path / "model.onnx"
    last = helper.make_node("ReduceMean", ["l"], ["y"], axes=[1, 2], keepdims=0)
    nodes = [helper.make_node("Log", ["x"], ["l"]), last]
    path.write_bytes(model(nodes, (None, 8, 8, 3)).SerializeToString())
    with pytest.raises(UnexaminableError, match="NaN or infinite"):
        require_same(path, read_onnx(path), given())


@pytest.mark.parametrize("package", ["onnx", "onnxruntime"])
def test_says_what_to_install(path, monkeypatch, package):
    """Without one of both packages the model is not examined, and the command that helps is named."""
    monkeypatch.setattr(onnx_models, "find_spec", lambda name: None if name == package else PathFinder.find_spec(name))
    with pytest.raises(UnexaminableError) as caught:
        read_onnx_program(path)
    assert f"beside the gate there is no {package}" in str(caught.value)
    assert "pip install 'model-promotion-gate[onnx]'" in caught.value.what_to_do


def test_finds_the_one_file(tmp_path, path):
    """`mlflow.onnx` loads what `data` names; anything but model.onnx is refused."""
    (tmp_path / "MLmodel").write_text(MLMODEL.format("model.onnx"))
    found = find_candidate(tmp_path)
    assert (found.flavour, found.format, found.path, found.code) == ("onnx", "onnx", path, ())
    for named in ("../model.onnx", "other.onnx"):
        (tmp_path / "MLmodel").write_text(MLMODEL.format(named))
        with pytest.raises(UnexaminableError, match="the onnx flavour names"):
            find_candidate(tmp_path)


def test_one_sample_is_asked_about_too(tmp_path):
    """A network that onnxruntime turns around for one sample alone is no other one in batches."""
    whole = [helper.make_node("ReduceMean", ["x"], ["m"], axes=[1], keepdims=0)]
    steps = [("Shape", ["x"], "s"), ("Gather", ["s", "zero"], "b"), ("Equal", ["b", "one"], "e")]
    steps += [("Where", ["e", "minus", "one"], "w"), ("CastLike", ["w", "m"], "f"), ("Mul", ["m", "f"], "y")]
    hidden = whole + [helper.make_node(kind, given, [name]) for kind, given, name in steps]
    path, plain = tmp_path / "model.onnx", tmp_path / "plain.onnx"
    constants = {"zero": np.int64(0), "one": np.int64(1), "minus": np.int64(-1)}
    path.write_bytes(model(hidden, (None, 8, 3), constants).SerializeToString())
    plain.write_bytes(model([*whole, helper.make_node("Identity", ["m"], ["y"])], (None, 8, 3)).SerializeToString())
    x = torch.from_numpy(pictures((6, 8, 3)))
    assert require_same(plain, read_onnx(plain), x) <= 1e-6
    with pytest.raises(UnexaminableError, match="differs from onnxruntime"):
        require_same(path, read_onnx(plain), x)


def test_one_score_by_sample_has_the_range_of_several(tmp_path):
    """Rounding of a single number is no share of its own range, which is none."""
    path = tmp_path / "model.onnx"
    nodes = [helper.make_node("Flatten", ["x"], ["f"]), helper.make_node("Gemm", ["f", "w"], ["y"])]
    path.write_bytes(model(nodes, (None, 32, 32, 3), {"w": pictures((3072, 1))}).SerializeToString())
    assert require_same(path, read_onnx(path), torch.from_numpy(pictures((9, 32, 32, 3)))) <= 1e-5

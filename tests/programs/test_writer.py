import io
import json

import pytest
import torch
from consumers_view import lint_archive
from exported_families import FAMILIES, export, make, samples
from hostile_archives import members, size_expression

from gate.programs import RefusedError, read_program, trainable
from gate.programs.writer.write import export_module, write_program


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("dynamic", [True, False], ids=["free", "one"])
def test_a_bundle_reads_back_as_the_same_program(family, dynamic, tmp_path):
    """A written bundle gives exactly the program's outputs, and the lint finds nothing in it."""
    model, shape = make(family)
    program = read_program(export(model, shape, tmp_path / "model.pt2", batch=4 if dynamic else 1, dynamic=dynamic))
    write_program(program, tmp_path / "bundle.pt2")
    x = samples(shape, 1)
    assert torch.equal(read_program(tmp_path / "bundle.pt2")(x), program(x))
    assert lint_archive(tmp_path / "bundle.pt2") == ()


@pytest.mark.parametrize("family", ["normalising", "vit"])
def test_a_bundle_loads_with_torch_too(family, tmp_path):
    """Deployers need no part of the gate: torch's own loader runs the bundle with equal outputs."""
    model, shape = make(family)
    export_module(model, samples(shape, 3), tmp_path / "bundle.pt2")
    x = samples(shape, 5)
    torch.testing.assert_close(torch.export.load(tmp_path / "bundle.pt2").module()(x), model(x))


def test_a_bundle_holds_no_text_of_the_export_but_what_is_needed(good, tmp_path):
    """Stack traces, guards, sample inputs and submodule names stay behind, and the bytes are always the same."""
    program = read_program(good[0])
    for name in ("one", "two"):
        write_program(program, tmp_path / name)
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()
    content = members(tmp_path / "one")
    document = json.loads(content["models/model.json"])
    assert b"stack_trace" in members(good[0])["models/model.json"]
    assert b"stack_trace" not in content["models/model.json"]
    assert document["guards_code"] == []
    (example,), named = torch.load(io.BytesIO(content["data/sample_inputs/model.pt"]), weights_only=True)
    assert example.shape == (1, *good[2].shape[1:])
    assert not example.any()
    assert named == {}
    with pytest.raises(FileExistsError):
        write_program(program, tmp_path / "one")


def test_what_others_would_execute_is_not_written(good, tmp_path, marker):
    """A program read from an archive with code in a size expression runs in the gate, but no bundle is made of it."""
    program = read_program(size_expression(good[0], tmp_path / "hostile.pt2", marker))
    with pytest.raises(RefusedError, match="expr_str"):
        write_program(program, tmp_path / "bundle.pt2")
    assert not (tmp_path / "bundle.pt2").exists()
    assert not marker.exists()


def test_trained_weights_can_be_written(tmp_path):
    """A reference that was trained from fresh parameters becomes a bundle like any other program."""
    model, shape = make("mlp")
    module = trainable(read_program(export(model, shape, tmp_path / "model.pt2")), seed=1).eval()
    write_program(module.to_program(), tmp_path / "bundle.pt2")
    x = samples(shape, 3)
    assert torch.equal(read_program(tmp_path / "bundle.pt2")(x), module(x).detach())

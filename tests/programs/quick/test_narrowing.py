"""The middle of a program in bfloat16, and both ends as they were."""

import pytest
import torch
from exported_families import FAMILIES, export, make, samples

from gate.programs import final_linear, read_program
from gate.programs.quick.fusing import fused
from gate.programs.quick.narrowing import NARROW, narrowed

IMAGES = sorted(set(FAMILIES) - {"lstm"})


def narrow(family, path):
    """Return a family's fused program, the same with its middle narrowed, its last layer and a sample's shape."""
    model, shape = make(family)
    program = fused(read_program(export(model, shape, path / "model.pt2")), ())
    head = final_linear(program)
    return program, narrowed(program, head.node if head else None), head, shape


@pytest.mark.parametrize("family", IMAGES)
def test_scores_stay_near_and_have_the_type_that_they_had(family, tmp_path):
    """Within two hundredths of their spread, in float32 where a last layer was found."""
    program, quick, head, shape = narrow(family, tmp_path)
    x = samples(shape, 6)
    wanted, found = program(x), quick(x)
    assert float((found.float() - wanted).abs().max()) < 0.02 * float(wanted.max() - wanted.min())
    assert found.dtype == (torch.float32 if head else NARROW)


@pytest.mark.parametrize("family", ["normalising", "resnet", "vit"])
def test_the_middle_is_narrow_and_the_ends_are_not(family, tmp_path):
    """What enters the last layer is cast back; arithmetic on single pixels is not narrowed."""
    _, quick, head, shape = narrow(family, tmp_path)
    _, values = quick.run(samples(shape, 2), taps=None)
    inside = [value.dtype for node in quick.nodes if node.call.name in {"conv2d", "linear"} and node.name != head.node
              for value in (values[node.name],)]  # fmt: skip
    assert inside
    assert set(inside) == {NARROW}
    assert values[head.node].dtype == torch.float32
    if family == "normalising":
        first = next(node for node in quick.nodes if node.call.name in {"sub", "div", "mul"})
        assert values[first.name].dtype == torch.float32


def test_weights_are_cast_once_and_the_program_keeps_its_own(tmp_path):
    """A pass casts the pixels and the features, and no weight."""
    program, quick, _, _ = narrow("resnet", tmp_path)
    casts = [node for node in quick.nodes if node.target == "torch.ops.aten.to.dtype"]
    assert len(casts) == 2
    assert all(tensor.dtype != NARROW for tensor in program.tensors.values())


def test_a_program_of_another_type_is_not_narrowed(tmp_path):
    """Half precision has its own way, and double was asked for by whoever exported it."""
    model, shape = make("mlp")
    path = tmp_path / "model.pt2"
    torch.export.save(torch.export.export(model.double(), (samples(shape, 2).double(),)), path)
    assert narrowed(read_program(path), None) is None

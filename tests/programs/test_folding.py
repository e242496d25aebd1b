"""Constants of a graph are computed once, whatever made them, and nothing else changes."""

import pytest
import torch
from exported_families import FAMILIES, export, make, samples
from torch import nn

from gate.programs import read_program
from gate.programs.folding import folded


def program_of(model, shape, path, **more):
    """Export a model and read it."""
    return read_program(export(model.eval(), shape, path / "model.pt2", **more))


@pytest.mark.parametrize("family", FAMILIES)
def test_what_is_folded_computes_the_same(family, tmp_path):
    """To the bit: the same operators on the same numbers, some of them earlier."""
    model, shape = make(family)
    program = program_of(model, shape, tmp_path)
    x = samples(shape, 5)
    assert torch.equal(folded(program)(x), program(x))
    assert len(folded(program).nodes) <= len(program.nodes)


class Masked(nn.Module):
    """Writes a mask in place, casts a weight, and computes a value that nobody uses."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.arange(12.0).reshape(3, 4).to(torch.float64), requires_grad=False)

    def forward(self, x):  # noqa: D102  # the class says it
        mask = x.new_zeros((4,))
        mask[1:3] = 1
        unused = x.sin().sum()
        del unused
        return (x * mask) @ self.weight.float().t()


def test_masks_and_casts_are_made_once_and_what_nobody_needs_is_dropped(tmp_path):
    """Three nodes are left of the mask's, the cast's and the unused ones: product, transposed product or less."""
    program = program_of(Masked(), (4,), tmp_path)
    short = folded(program)
    x = samples((4,), 3)
    assert torch.equal(short(x), program(x))
    names = [node.call.name for node in short.nodes]
    assert not {"new_zeros", "fill_", "sin", "sum", "to", "_to_copy", "slice"} & set(names), names


class Overwritten(nn.Module):
    """Reads a value before it is written over, and one after."""

    def forward(self, x):  # noqa: D102  # the class says it
        state = x.new_zeros((4,))
        before = x + state
        state[0:2] = 5
        return before * 2 + state


def test_a_constant_that_is_read_before_it_is_written_over_is_left_alone(tmp_path):
    """Its arithmetic stays in the graph: folding would give both readers the last value."""
    program = program_of(Overwritten(), (4,), tmp_path)
    x = samples((4,), 3)
    assert torch.equal(folded(program)(x), Overwritten()(x))
    assert torch.equal(folded(program)(x), program(x))

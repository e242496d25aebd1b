"""Zeros that a node of its own puts around images, taken up by the convolutions that read them.

Nets carried over from TensorFlow pad before every convolution, also by nothing, and each time copy the images. A
convolution puts the same zeros around its operand as it reads it. What is padded on one side alone stays as it is.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from gate.programs.folding import needed
from gate.programs.nodes import substituted
from gate.programs.schema import Name

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from gate.programs.nodes import Node
    from gate.programs.program import Program
    from gate.programs.schema import Value

_ZEROS: Final[Mapping[str, frozenset[tuple[Value, ...]]]] = {
    "torch.ops.aten.pad.default": frozenset({(), ("constant",), ("constant", None), ("constant", 0)}),
    "torch.ops.aten.constant_pad_nd.default": frozenset({(), (0,)}),
}
"""Operators that pad with zeros, by what follows the sizes among their arguments."""
_CONVOLUTION: Final = "torch.ops.aten.conv2d.default"
_DEFAULTS: Final[tuple[Value, ...]] = (None, (1, 1), (0, 0))
"""What a convolution takes after its operand and weight where nothing is said: bias, stride, padding."""
Zeros = tuple[int, int]
"""Rows above and below, columns left and right."""


def unpadded(program: Program, keep: Collection[str]) -> Program:
    """Return the program with zeros put around images by its convolutions; values named in `keep` are still there.

    A program that writes into values in place is returned as it is: what is no copy any more could be written over.
    """
    if any(node.call.mutated is not None for node in program.nodes):
        return program
    held = {*keep, *program.output_names}
    zeros: dict[str, tuple[Name, Zeros]] = {}
    nodes: list[Node] = []
    for found in program.nodes:
        nothing = {name: source for name, (source, around) in zeros.items() if around == (0, 0)}
        node = _padding_itself(substituted(found, nothing), zeros)
        if node.name not in held and (around := _around(node)) is not None:
            zeros[node.name] = around
        nodes.append(node)
    return replace(program, nodes=tuple(needed(nodes, held)))


def _around(node: Node) -> tuple[Name, Zeros] | None:
    """Return what a node puts zeros around, and how many, alike on both sides of an image; else None."""
    if node.target not in _ZEROS or node.call.keywords:
        return None
    source, around, *rest = node.call.positional
    if not isinstance(source, Name) or tuple(rest) not in _ZEROS[node.target]:
        return None
    sides = _numbers(around, 4)
    if sides is None or sides[0] != sides[1] or sides[2] != sides[3] or min(sides) < 0:
        return None
    return source, (sides[2], sides[0])


def _padding_itself(node: Node, zeros: Mapping[str, tuple[Name, Zeros]]) -> Node:
    """Return a convolution of padded images as one that pads them; any other node as it is."""
    if node.target != _CONVOLUTION or node.call.keywords:
        return node
    data, weight, *given = node.call.positional
    bias, stride, padding, *rest = (*given, *_DEFAULTS[len(given) :])
    own = _numbers(padding, 2)
    if not isinstance(data, Name) or data.name not in zeros or own is None:
        return node
    source, around = zeros[data.name]
    widened = (own[0] + around[0], own[1] + around[1])
    return replace(node, call=replace(node.call, positional=(source, weight, bias, stride, widened, *rest)))


def _numbers(value: Value, count: int) -> tuple[int, ...] | None:
    """Return a list of so many whole numbers; None for anything else."""
    numbers = tuple(one for one in value if isinstance(one, int)) if isinstance(value, tuple) else ()
    return numbers if isinstance(value, tuple) and len(numbers) == len(value) == count else None

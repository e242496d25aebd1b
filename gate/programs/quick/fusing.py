"""Batch normalisation and zeros around images folded into convolutions, and nodes that change nothing taken out.

In inference a batch normalisation is an affine map by channel with fixed numbers, y = (x - mean) · g + b with
g = weight / √(var + eps); the convolution's own weights and bias take it up (Jacob et al., CVPR 2018, section 3.2).
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

import torch

from gate.programs.nodes import substituted
from gate.programs.operators import bind
from gate.programs.overloads import DROPOUTS
from gate.programs.quick.padding import unpadded
from gate.programs.schema import Name, NamedValue, Value

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from gate.programs.nodes import Node
    from gate.programs.program import Program

_SAME: Final = frozenset({*DROPOUTS, "alias", "detach", "lift_fresh", "lift_fresh_copy", "contiguous"})
"""Operators whose result has the values of their operand, in inference."""
_RESHAPE: Final = "torch.ops.aten.reshape.default"


def fused(program: Program, keep: Collection[str]) -> Program:
    """Return the program with normalisations, padding and identities folded; values named in `keep` are still there."""
    return unpadded(_without_identities(_normalised(program, keep), keep), keep)


def _normalised(program: Program, keep: Collection[str]) -> Program:
    uses = Counter(name for node in program.nodes for name in node.operands)
    uses.update(program.output_names)
    tensors, taken, nodes = dict(program.tensors), set[str](), []
    for node in program.nodes:
        before = _convolution(node, program, tensors)
        if before is None or uses[before.name] != 1 or before.name in keep:
            nodes.append(node)
            continue
        weight, bias = _affine(before, node, tensors)
        names = (f"{before.name}.folded_weight", f"{before.name}.folded_bias")
        tensors.update(zip(names, (weight, bias), strict=True))
        data, _, _, *rest = (*before.call.positional, *(None,) * 2)[: max(3, len(before.call.positional))]
        call = replace(before.call, positional=(data, *map(Name, names), *rest))
        nodes.append(replace(before, name=node.name, call=call, outputs=node.outputs))
        taken.add(before.name)
    return replace(program, nodes=tuple(node for node in nodes if node.name not in taken), tensors=tensors)


def _convolution(node: Node, program: Program, tensors: Mapping[str, torch.Tensor]) -> Node | None:
    """Return the convolution whose result a batch normalisation with fixed numbers takes, or None."""
    if node.target != "torch.ops.aten.batch_norm.default":
        return None
    source, *numbers = node.call.positional[:5]
    if not isinstance(source, Name) or not all(_is_fixed(value, tensors) for value in numbers):
        return None
    if any(value is None for value in numbers[2:]):
        return None  # the statistics are its operand's own
    before = program.producers.get(source.name)
    if before is None or before.call.name != "conv2d" or len(before.results) != 1:
        return None
    weights = before.call.positional[1:3]
    return before if all(_is_fixed(value, tensors) for value in weights) else None


def _is_fixed(value: Value, tensors: Mapping[str, torch.Tensor]) -> bool:
    return value is None or (isinstance(value, Name) and value.name in tensors)


def _affine(before: Node, node: Node, tensors: Mapping[str, torch.Tensor]) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the weight and the bias of a convolution with its normalisation, computed in double precision."""

    def number(value: Value, default: torch.Tensor) -> torch.Tensor:
        return tensors[value.name].double() if isinstance(value, Name) else default

    values: Any = node.call.positional
    kernel = number(before.call.positional[1], torch.empty(0))
    one = torch.ones(len(kernel), dtype=torch.float64, device=kernel.device)
    bias = number((*before.call.positional, None, None)[2], one * 0)
    weight, shift, mean, variance = (number(values[place], one * (place == 1)) for place in range(1, 5))
    gain = weight / (variance + values[7]).sqrt()
    own = tensors[values[3].name].dtype
    return (kernel * gain.view(-1, 1, 1, 1)).to(own), ((bias - mean) * gain + shift).to(own)


def _without_identities(program: Program, keep: Collection[str]) -> Program:
    held = {*keep, *program.output_names}
    renamed: dict[str, Name] = {}
    nodes = []
    for found in program.nodes:
        node = substituted(found, renamed)
        source = node.call.positional[0] if node.call.positional else None
        if node.call.name in _SAME and isinstance(source, Name) and node.name not in held and not node.call.keywords:
            renamed[node.name] = source
        else:
            nodes.append(_reshaping(node))
    return replace(program, nodes=tuple(nodes))


def _reshaping(node: Node) -> Node:
    """Return a view as a reshape, which takes values of any layout."""
    if node.call.name not in {"view", "_unsafe_view"} or node.target.endswith(".dtype"):
        return node
    given = zip(("self", "shape"), node.call.positional, strict=True)
    arguments = tuple(NamedValue(name, value, keyword=False) for name, value in given)
    return replace(node, target=_RESHAPE, call=bind(_RESHAPE, arguments, node.where))

"""The number type that a program declares for its input, and forms of it through which gradients reach the pixels.

Samples and triggers are float32. A program of half precision runs as it is, since its own answers are judged, and a
copy in float32 lends it gradients: in half precision these vanish, or take forty times as long on a CPU. A program of
whole numbers, such as pixels in uint8, gets them as floats, where the graph proves that nothing depends on that.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

import torch

from gate.formats.log_again import CALL as LOG
from gate.programs.nodes import revalued
from gate.programs.refused import RefusedError
from gate.programs.schema import Name

if TYPE_CHECKING:
    from gate.programs.nodes import Node
    from gate.programs.program import Program
    from gate.programs.schema import Value

HALVES: Final = frozenset({torch.float16, torch.bfloat16})
TOLERANCE: Final = {torch.float16: 1e-2, torch.bfloat16: 5e-2}
"""Rounding error allowed between equal results, by half type, as a share of the largest."""
_PIXELS: Final = (
    f"Begin forward with x.float(), which nothing writes over in place, or take float32, and log it again with {LOG}."
)
_FORMS: Final = frozenset({
    "permute", "transpose", "t", "movedim", "swapaxes", "numpy_T", "mT", "view", "reshape", "view_as", "reshape_as",
    "flatten", "unflatten", "squeeze", "unsqueeze", "contiguous", "clone", "alias", "detach", "lift_fresh",
    "lift_fresh_copy", "select", "slice", "narrow", "flip", "expand",
})  # fmt: skip
"""Operators that move whole numbers about and leave them as they are."""
_QUOTIENTS: Final = frozenset({"torch.ops.aten.div.Tensor", "torch.ops.aten.true_divide.Tensor"})


def declared(program: Program) -> torch.dtype:
    """Return the type in which the program takes its first input."""
    return program.inputs[0].dtype


def in_single(program: Program) -> Program:
    """Return a program of half precision in float32: tensors, and types among the arguments; the same arithmetic."""
    return replace(
        program,
        inputs=tuple(replace(one, dtype=_single(one.dtype)) for one in program.inputs),
        nodes=tuple(revalued(node, _single_value) for node in program.nodes),
        tensors={name: tensor.to(_single(tensor.dtype)) for name, tensor in program.tensors.items()},
    )


def in_type_of(program: Program, original: Program) -> Program:
    """Return the original with the values of a program that `in_single` made of it, rounded to its types."""
    tensors = {name: program.tensors[name].to(tensor.dtype) for name, tensor in original.tensors.items()}
    return replace(original, tensors=tensors, device=program.device)


def taking_floats(program: Program) -> Program:
    """Return a program of whole numbers, such as pixels in uint8, in a form that takes them as float32.

    Proved on the graph: the input is only moved about until it becomes a floating number, so nothing wraps around and
    no division drops a remainder. Any other program is refused.
    """
    if declared(program) is torch.bool:
        raise RefusedError("inputs", "the program takes booleans; expected pixels", what_to_do=_PIXELS)
    takes = f"the program takes {str(declared(program)).removeprefix('torch.')}"
    if any(node.call.mutated is not None for node in program.nodes):
        raise RefusedError("inputs", f"{takes} and writes over values in place", what_to_do=_PIXELS)
    whole = {program.input_names[0]}
    for node in program.nodes:
        held = [name for name in node.operands if name in whole]
        if not held or node.call.name in {"sym_size", "sym_numel"} or _becomes_float(node):
            continue
        if node.call.name not in _FORMS or len(held) > 1:
            message = f"{takes} and computes with whole numbers ({node.target})"
            raise RefusedError(node.where, message, what_to_do=_PIXELS)
        whole.update(node.results)
    if not whole.isdisjoint(program.output_names):
        raise RefusedError("graph.outputs", "an output is the input itself, in whole numbers")
    return replace(program, inputs=tuple(replace(one, dtype=torch.float32) for one in program.inputs))


def _becomes_float(node: Node) -> bool:
    """Tell whether a node turns whole numbers into floating ones of a stated type, or of the default one."""
    call = node.call
    if call.name in {"to", "_to_copy"}:
        stated = (*call.positional, *(value for _, value in call.keywords))
        types = [value for value in stated if isinstance(value, torch.dtype)]
        return len(types) == 1 and types[0].is_floating_point
    left, right = (*call.positional, None, None)[:2]
    return node.target in _QUOTIENTS and isinstance(left, Name) and type(right) in {int, float}


def _single(dtype: torch.dtype) -> torch.dtype:
    return torch.float32 if dtype in HALVES else dtype


def _single_value(value: Value) -> Value:
    return torch.float32 if isinstance(value, torch.dtype) and value in HALVES else value

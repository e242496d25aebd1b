"""Whether two programs are the same one, and the digest that names a program: operators and constants, bit for bit."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING

import torch

from gate.programs.writer.write import layouts_of, program_document

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gate.programs.program import Program


def difference(one: Program, other: Program) -> str:
    """Return where two programs differ, or nothing: inputs, operators, outputs, and each constant with its strides."""
    for what in ("inputs", "nodes", "output_names", "output_paths", "state"):
        if getattr(one, what) != getattr(other, what):
            return what.replace("_", " ")
    if one.tensors.keys() != other.tensors.keys():
        return "the names of its tensors"
    return next((f"the tensor {name!r}" for name in one.tensors if _differ(one.tensors[name], other.tensors[name])), "")


def program_digest(program: Program) -> str:
    """Return `sha256:` and the hash of a program's graph and tensors, independent of their archive."""
    document = program_document(program, layouts_of(program))
    graph = {name: document[name] for name in ("graph_module", "opset_version", "range_constraints")}
    return tensors_digest(json.dumps(graph, sort_keys=True), program.tensors)


def tensors_digest(description: str, tensors: Mapping[str, torch.Tensor]) -> str:
    """Return `sha256:` and the hash of a description and of tensors by name, with types, shapes and bytes."""
    digest = hashlib.sha256(description.encode())
    for name, tensor in sorted(tensors.items()):
        digest.update(f"\n{json.dumps(name)} {tensor.dtype} {tuple(tensor.shape)} ".encode())
        digest.update(_bytes(tensor).numpy().data)
    return f"sha256:{digest.hexdigest()}"


def _differ(one: torch.Tensor, other: torch.Tensor) -> bool:
    """Compare bit for bit: NaN equals itself, and the two zeros differ."""
    same_form = one.dtype == other.dtype and one.shape == other.shape and _layout(one) == _layout(other)
    return not same_form or not torch.equal(_bytes(one), _bytes(other))


def _layout(tensor: torch.Tensor) -> tuple[int, ...]:
    """Return the strides of the sizes that have more than one element; others have no effect."""
    return tuple(stride for size, stride in zip(tensor.shape, tensor.stride(), strict=True) if size > 1)


def _bytes(tensor: torch.Tensor) -> torch.Tensor:
    return tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8)

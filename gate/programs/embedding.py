"""A program of token ids split at its token embedding: the matrix, and a program from embeddings on.

Gradients exist in embeddings and not in ids. What else the graph does with ids must not depend on which token stands at
a place: their number, tensors of their shape, and where they differ from the padding, which the mask says too. A graph
that looks at ids in any other way is refused: a search by gradients would be blind to that.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

import torch

from gate.programs import advice
from gate.programs.dataflow.operators import FORM_ONLY
from gate.programs.folding import needed
from gate.programs.nodes import Node, substituted
from gate.programs.refused import RefusedError
from gate.programs.schema import InputTensor, Name

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from gate.programs.program import Program
    from gate.programs.schema import Value

MASK: Final = "gate_attention_mask"
"""Name of the mask of a split program whose whole takes ids alone."""
_SAME: Final = frozenset({"alias", "clone", "contiguous", "detach", "lift_fresh", "lift_fresh_copy", "to", "_to_copy"})
"""Operators that hand ids on as they are; one that changes their type must keep whole numbers."""
_WHOLE: Final = frozenset({torch.int32, torch.int64})
_PADDING: Final = frozenset({"torch.ops.aten.ne.Scalar", "torch.ops.aten.eq.Scalar"})
_RANK: Final = 2


@dataclass(frozen=True, eq=False)
class Split:
    """A program's token embedding, and the rest of it."""

    matrix: torch.Tensor
    """One row for each token, (V, D)."""
    program: Program
    """From embeddings (N, L, D) and the mask (N, L), nonzero at tokens, to what the whole program returns."""


def split_at_embedding(program: Program, padding: int) -> Split:
    """Split a program of ids (N, L), or of ids and a mask of that shape; one without a token embedding is refused.

    Both ways are equal where the id `padding` stands where the mask is 0, and nowhere else.
    """
    ids = _ids_of(program)
    if MASK in {*program.input_names, *program.tensors, *program.producers}:
        raise RefusedError(MASK, "a value of the graph has a name of the gate's own")
    mask = next((one for one in program.inputs if one.name != ids.name), replace(ids, name=MASK))
    alike = {ids.name, *_handed_on(program, ids.name)}
    lookups = [node for node in program.nodes if _looked_up(node) in alike]
    first, matrix = _one(program, lookups)
    given = InputTensor(first.name, (*ids.shape, matrix.shape[1]), (*ids.exported_shape, matrix.shape[1]), matrix.dtype)
    rest = _Rest(alike, Name(given.name), mask, ids, padding)
    names: Mapping[str, Value] = {node.name: Name(given.name) for node in lookups}
    left = [substituted(node, names) for node in program.nodes if node not in lookups]
    # Ids under another name are used by the look-up alone, or by what is given the mask in their place.
    kept = [rest.without_ids(node) for node in needed(left, program.output_names) if node.name not in alike]
    if not alike.isdisjoint(program.output_names):
        raise RefusedError("graph.outputs", "an output is the token ids themselves")
    split = replace(program, inputs=(given, mask), nodes=tuple(kept), document={})
    return Split(matrix, split)


def _ids_of(program: Program) -> InputTensor:
    """Return the input that holds token ids: the one that is looked up."""
    shown = ", ".join(f"{one.name} ({len(one.shape)} dimensions, {one.dtype})" for one in program.inputs[:4])
    if not 1 <= len(program.inputs) <= 2 or any(len(one.shape) != _RANK for one in program.inputs):
        raise RefusedError("inputs", f"expected token ids (N, L), or ids and a mask; the program takes {shown}")
    for one in program.inputs:
        alike = {one.name, *_handed_on(program, one.name)}
        if one.dtype in _WHOLE and any(_looked_up(node) in alike for node in program.nodes):
            return one
    raise RefusedError("inputs", f"no input is looked up in an embedding; the program takes {shown}")


def _handed_on(program: Program, name: str) -> Iterator[str]:
    """Yield the values that are an input under another name."""
    alike = {name}
    for node in program.nodes:
        source = node.call.positional[0] if node.call.positional else None
        types = {value for value in (*node.call.positional, *dict(node.call.keywords).values()) if _is_type(value)}
        whole = types <= _WHOLE and len(node.operands) == 1
        if isinstance(source, Name) and source.name in alike and node.call.name in _SAME and whole:
            alike.add(node.name)
            yield node.name


def _is_type(value: object) -> bool:
    return isinstance(value, torch.dtype)


def _looked_up(node: Node) -> str:
    """Return the name of what a node looks up; empty where it is no look-up."""
    indices = node.call.positional[1] if node.call.name == "embedding" else None
    return indices.name if isinstance(indices, Name) else ""


def _one(program: Program, lookups: list[Node]) -> tuple[Node, torch.Tensor]:
    """Return the look-up of tokens and its matrix; ids that are looked up in several are refused."""
    matrices = {node.operands[0] for node in lookups}
    if len(matrices) > 1:
        raise RefusedError(lookups[1].where, f"token ids are looked up in {len(matrices)} matrices; one is examined")
    matrix = program.tensors.get(matrices.pop())
    if matrix is None or matrix.ndim != _RANK:
        raise RefusedError(lookups[0].where, "token ids are looked up in what is no matrix of the model's own")
    return lookups[0], matrix


@dataclass(frozen=True)
class _Rest:
    """Rewrites the uses of ids beside their embedding, as far as these do not depend on which tokens they are."""

    alike: set[str]
    embeddings: Name
    mask: InputTensor
    ids: InputTensor
    padding: int

    def without_ids(self, node: Node) -> Node:
        """Return a node that needs no ids; one that cannot do without them is refused."""
        used = self.alike.intersection(node.operands)
        if not used:
            return node
        (name,) = used if len(used) == 1 else (None,)
        first = node.call.positional[0] if node.call.positional else None
        if name is not None and first == Name(name):
            if node.call.name == "sym_size":
                return self._measured(node)
            if node.target in _PADDING:
                return self._padded(node)
            if node.call.name in FORM_ONLY and self.mask.dtype == self.ids.dtype:
                return substituted(node, {name: Name(self.mask.name)})
        raise self._refused(node)

    def _measured(self, node: Node) -> Node:
        """Return the same size of the embeddings, whose last dimension ids do not have."""
        dim = node.call.positional[1]
        if type(dim) is not int or not -_RANK <= dim < _RANK:
            raise self._refused(node)
        return replace(node, call=replace(node.call, positional=(self.embeddings, dim % _RANK)))

    def _padded(self, node: Node) -> Node:
        """Return a comparison with the padding as one of the mask with 0."""
        if node.call.positional[1] != self.padding:
            raise self._refused(node)
        return replace(node, call=replace(node.call, positional=(Name(self.mask.name), 0)))

    def _refused(self, node: Node) -> RefusedError:
        message = f"the graph looks at token ids beside their embedding ({node.target}), where no gradient leads"
        return RefusedError(node.where, message, what_to_do=advice.TOKENS)

"""The sample inputs of a bundle: zeros, as the only record that loaders read by torch.load.

torch always reads this record, and MLflow, when it must not unpickle, opens an archive only if it holds plain tensors.
With it `torch.export.load(…).module()` checks sizes as it does for the candidate.
"""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

import torch
from torch.utils import _pytree as pytree

from gate.formats.pt2_grammar import is_tree_spec
from gate.programs.refused import RefusedError

if TYPE_CHECKING:
    from gate.programs.program import Program


def sample_inputs(program: Program) -> bytes:
    """Return an archive of torch.save with zeros for each input, in the containers in which a caller passes them.

    Each is one zero, repeated: the record does not grow with the inputs.
    """
    spec = _in_spec(program.document["graph_module"].get("module_call_graph"))
    if spec is None:
        return b""
    zeros = [torch.zeros(1, dtype=given.dtype).expand([size or 1 for size in given.shape]) for given in program.inputs]
    tree = pytree.treespec_loads(spec)
    if tree.num_leaves != len(zeros):
        raise RefusedError("in_spec", f"the caller passes {tree.num_leaves} tensors; the graph takes {len(zeros)}")
    buffer = io.BytesIO()
    torch.save(pytree.tree_unflatten(zeros, tree), buffer)
    return buffer.getvalue()


def _in_spec(calls: Any) -> str | None:
    """Return the text of the containers of the whole program's inputs, if the archive has it; it imports nothing."""
    for entry in calls or ():
        text = (entry.get("signature") or {}).get("in_spec") if entry.get("fqn") == "" else None
        if isinstance(text, str) and is_tree_spec(text):
            return text
    return None

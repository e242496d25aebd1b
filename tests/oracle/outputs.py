"""The outputs of the program that a gate reads in a folder; run by that gate's own interpreter where it is another.

Imports the gate, torch and numpy alone: `python outputs.py FOLDER INPUTS.json` prints JSON.
"""

import base64
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np

Answers = list[list[np.ndarray]]
"""By batch, by output."""


def program_outputs(folder: Path, batches: list[np.ndarray]) -> Answers:
    """Return what the program that this gate finds and reads in a folder answers to each batch."""
    import torch

    from gate.worker.loading.candidate import find_candidate
    from gate.worker.loading.model import read_model

    body = read_model(find_candidate(folder), "cpu").body
    if isinstance(body, torch.nn.Module):
        body.eval()
    names = getattr(body, "output_paths", ())
    with torch.no_grad():
        return [arrays(_named(names, body(torch.from_numpy(batch)))) for batch in batches]


def _named(names: tuple[str, ...], value: Any) -> Any:
    """Return outputs that have names by these, as those who use the program take them."""
    named = isinstance(value, tuple) and len(names) == len(value) and all(name.isidentifier() for name in names)
    return dict(zip(names, value, strict=True)) if named else value


def arrays(value: Any) -> list[np.ndarray]:
    """Return the tensors of a program's answer, in order or by their names, however it wraps them."""
    from torch.utils import _pytree

    if isinstance(value, dict):
        value = [value[name] for name in sorted(value)]
    leaves = _pytree.tree_leaves(value)
    return [np.asarray(leaf.detach().cpu() if hasattr(leaf, "detach") else leaf) for leaf in leaves]


def to_json(answers: Answers) -> Any:
    """Return arrays as plain values that give the same bits back."""
    return [[_packed(each) for each in batch] for batch in answers]


def from_json(value: Any) -> Answers:
    """Return the arrays that `to_json` was given."""
    return [[_unpacked(each) for each in batch] for batch in value]


def _packed(array: np.ndarray) -> dict[str, Any]:
    raw = base64.b64encode(np.ascontiguousarray(array).tobytes()).decode()
    return {"type": array.dtype.str, "shape": list(array.shape), "raw": raw}


def _unpacked(value: dict[str, Any]) -> np.ndarray:
    raw = base64.b64decode(value["raw"])
    return np.frombuffer(raw, dtype=value["type"]).reshape(value["shape"])


if __name__ == "__main__":
    given = from_json([json.loads(Path(sys.argv[2]).read_text(encoding="utf-8"))])[0]
    sys.stdout.write(json.dumps(to_json(program_outputs(Path(sys.argv[1]), given))))

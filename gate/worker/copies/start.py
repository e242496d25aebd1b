"""Where a copy starts: every value drawn anew, or weights that the operator trusts under a last layer drawn anew."""

import io
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load

from gate.formats.sealing import as_pulled
from gate.programs import Program, final_linear, read_program
from gate.records.copies import CopyTask
from gate.worker.copies.data import DataError
from gate.worker.repair.contract import Material
from gate.worker.repair.tuning import Tuned

Weights = dict[str, torch.Tensor]

_FORMS = ".safetensors, .npz or .pt2"
_NAMED = 5


def started(material: Material, task: CopyTask, seed: int) -> Tuned:
    """Return the untrained copy in training mode; weights of another network are a `DataError`."""
    model = Tuned(material, seed, keep=False, gain=task.recipe.gain if task.recipe else 1.0)
    if task.weights_path is not None and task.weights_sha256 is not None:
        weights = _read(Path(task.weights_path), task.weights_sha256)
        _require_other(weights, material.program)
        _fill(model, weights, material.program)
    return model


def _read(path: Path, sha256: str) -> Weights:
    """Return tensors by name from a file that is no pickle."""
    try:
        with as_pulled(path, sha256, "the weights") as stream:
            return _opened(path, stream.read())
    except DataError:
        raise
    except Exception as error:  # noqa: BLE001  # a damaged file may make its library raise anything
        raise DataError(f"the weights {path.name!r} cannot be read: {type(error).__name__}: {error}") from None


def _opened(path: Path, raw: bytes) -> Weights:
    if path.suffix == ".safetensors":
        weights: Weights = load(raw)
        return weights
    if path.suffix == ".npz":
        with np.load(io.BytesIO(raw), allow_pickle=False) as arrays:
            return {name: torch.from_numpy(np.asarray(arrays[name])) for name in arrays.files}
    if path.suffix == ".pt2":
        program = read_program(path)
        return {**program.buffers, **program.parameters}
    raise DataError(f"the weights {path.name!r} are of no kind that is read; expected {_FORMS}")


def _head(program: Program) -> set[str]:
    found = final_linear(program)
    return {name for name in (found.weight, found.bias) if name} if found else set()


def _own(program: Program) -> Weights:
    """Return the program's values that weights have to bring, by qualified name."""
    own = {**program.buffers, **program.parameters}
    return {name: value for name, value in own.items() if not name.endswith("num_batches_tracked")}


def _require_other(weights: Weights, program: Program) -> None:
    """Refuse the candidate's own weights: copies of them would keep whatever it learnt."""
    own = _own(program)
    if own and all(name in weights and torch.equal(weights[name].to(value), value) for name, value in own.items()):
        raise DataError(
            "the weights to start from are the candidate's own, and copies of them would keep whatever it learnt",
            what_to_do="Name weights that come from elsewhere, or leave --from out: every value is then drawn anew.",
        )


def _fill(model: Tuned, weights: Weights, program: Program) -> None:
    """Put the weights into a copy, but for the last layer, which stays as it was drawn."""
    own, head = _own(program), _head(program)
    needed = own.keys() - head
    if missing := sorted(needed - weights.keys()):
        raise DataError(f"the weights to start from lack {_some(missing)}, which the candidate's program has")
    known = own.keys() | set(program.buffers)
    if foreign := sorted(weights.keys() - known - head):
        raise DataError(f"the weights to start from hold {_some(foreign)}, which the candidate's program lacks")
    for entry in program.state:
        name = entry.qualified_name
        if name not in needed:
            continue
        place = getattr(model.body, model.body.places[entry.name])
        if weights[name].shape != place.shape:
            shapes = f"{tuple(weights[name].shape)}, and {tuple(place.shape)} in the candidate's program"
            raise DataError(f"{name} has shape {shapes}")
        place.data.copy_(weights[name])


def _some(names: list[str]) -> str:
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(name[:100] for name in names[:_NAMED]) + more

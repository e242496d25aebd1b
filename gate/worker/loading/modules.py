"""Pickled torch modules: those of library layers alone without running code, all others only where that is allowed.

A pickle of `torch.nn` layers loads through torch's weights-only unpickler with exactly those classes allowed, and is
checked again afterwards, since a pickle may set any attribute (docs/explanation/security.md). Any other pickle is the
candidate's own code: it is loaded only in the jailed converter and only with `--allow-code`.
"""

import os
import pickle
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from gate.formats.log_again import CALL, EXTRA
from gate.formats.pickle_names import LAYER_NAMES, LIBRARIES
from gate.programs.readers.torch_archive import read_torch_zip
from gate.records.errors import UnexaminableError

_HOOKS = tuple(name for name in vars(torch.nn.Module()) if "hooks" in name and name != "_is_hf_initialized")
_FORCED = "TORCH_FORCE_WEIGHTS_ONLY_LOAD"
_PLAIN = (int, float, bool, str, type(None), torch.Tensor, torch.dtype, torch.device, torch.nn.Module, torch.Size)


def load_library_module(path: Path) -> torch.nn.Module | None:
    """Return a pickled module built of library layers alone; None where it holds anything else.

    A zip that torch.save does not write, or that torch's reader may read differently, raises `UnexaminableError`.
    """
    read_torch_zip(path)
    try:
        wanted = torch.serialization.get_unsafe_globals_in_checkpoint(path)
    except Exception:  # noqa: BLE001  # any failure on hostile bytes means: not plainly library layers
        return None
    names = [tuple(name.rsplit(".", maxsplit=1)) for name in wanted]
    if not names or not all(name in LAYER_NAMES for name in names):
        return None
    classes: list[Any] = [getattr(__import__(module, fromlist=[name]), name) for module, name in names]
    with torch.serialization.safe_globals(classes):
        try:
            module = torch.load(path, map_location="cpu", weights_only=True)
        except Exception:  # noqa: BLE001  # likewise
            return None
    return module if _is_plain(module, tuple(classes)) else None


def _is_plain(module: object, classes: tuple[type, ...]) -> bool:
    """Tell whether a module and all below it are exactly of the classes, with no hook and no attribute but data."""
    if not isinstance(module, torch.nn.Module):
        return False
    return all(
        type(layer) in classes
        and _has_own_parts(layer)
        and not any(getattr(layer, hooks, None) for hooks in _HOOKS)
        and not any(callable(value) and not isinstance(value, torch.nn.Module) for value in vars(layer).values())
        and all(_is_data(value) for name, value in vars(layer).items() if name not in _HOOKS)
        for layer in module.modules()
    )


_PARTS: Mapping[type, Mapping[str, type]] = {
    torch.nn.MultiheadAttention: {"out_proj": torch.nn.modules.linear.NonDynamicallyQuantizableLinear},
    torch.nn.TransformerEncoderLayer: {
        "self_attn": torch.nn.MultiheadAttention,
        "linear1": torch.nn.Linear,
        "dropout": torch.nn.Dropout,
        "linear2": torch.nn.Linear,
        "norm1": torch.nn.LayerNorm,
        "norm2": torch.nn.LayerNorm,
        "dropout1": torch.nn.Dropout,
        "dropout2": torch.nn.Dropout,
    },
}
"""Layers with a fast path without gradients, which reads their parts' weights and calls none of them. With other parts,
which a pickle may name, they would compute another function there than where the gate measures them."""
_FAST_ACTIVATIONS = {1: torch.nn.ReLU, 2: torch.nn.GELU}
"""Activations of an encoder layer's fast path, by the number that it holds."""


def _has_own_parts(layer: torch.nn.Module) -> bool:
    """Tell whether a layer of two paths is made of the parts for which both are the same function."""
    parts = _PARTS.get(type(layer), {})
    if any(type(getattr(layer, name, None)) is not part for name, part in parts.items()):
        return False
    if isinstance(layer, torch.nn.TransformerEncoderLayer):
        fast = _FAST_ACTIVATIONS.get(getattr(layer, "activation_relu_or_gelu", 0))
        # GELU has an approximation of its own, which the fast path does not know.
        exact = getattr(layer.activation, "approximate", "none") == "none"
        return fast is None or (type(layer.activation) is fast and exact)
    return True


def _is_data(value: object, depth: int = 3) -> bool:
    if isinstance(value, _PLAIN):
        return True
    if depth == 0:
        return False
    if isinstance(value, dict):
        return all(isinstance(key, str | int) and _is_data(item, depth - 1) for key, item in value.items())
    return isinstance(value, list | tuple | set) and all(_is_data(item, depth - 1) for item in value)


_MISMATCH = (
    "Give the gate the versions of libraries that the model's requirements name, torchvision of torch's own build; or "
    f"log the model again with {CALL}, which needs none of them."
)


def _install(missing: str) -> str:
    """Return the advice on a missing package that a pickled network imports."""
    if missing.partition(".")[0] in LIBRARIES:
        return f"Install it where the gate runs: {EXTRA}; or log the model again with {CALL}, which needs no library."
    return f"Log the model with its own code (code_paths=[…]), or log it again with {CALL}, which needs none of it."


def load_with_code(path: Path, code: Iterable[Path] = ()) -> torch.nn.Module:
    """Load a module and thereby run its code, with the artifact's own code folders importable.

    For the jailed converter alone, where the operator allowed it: no claim of this process counts afterwards.
    """
    sys.path[:0] = [str(folder) for folder in code]
    try:
        with _unpickling_allowed():
            module = torch.load(path, map_location="cpu", pickle_module=pickle, weights_only=False)
    except ModuleNotFoundError as error:
        missing = str(error.name)[:100]
        raise UnexaminableError(
            f"the model needs the package {missing!r}, which is neither in the artifact nor installed beside the gate",
            what_to_do=_install(missing),
        ) from None
    except Exception as error:  # noqa: BLE001  # the candidate's code may raise anything
        why = f"the pickled model cannot be loaded: {type(error).__name__}: {str(error)[:200]}"
        raise UnexaminableError(why, what_to_do=_MISMATCH) from None
    if not isinstance(module, torch.nn.Module):
        raise UnexaminableError(f"the pickle holds a {type(module).__name__[:100]}; expected a torch module")
    return module


@contextmanager
def _unpickling_allowed() -> Iterator[None]:
    """Allow full unpickling for one call, which the worker's environment forbids."""
    forced = os.environ.pop(_FORCED, None)
    try:
        yield
    finally:
        if forced is not None:
            os.environ[_FORCED] = forced

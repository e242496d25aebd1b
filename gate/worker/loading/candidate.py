"""The model that an artifact holds, by its `MLmodel` file and the files present; nothing is loaded."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from gate.formats.log_again import CALL
from gate.formats.mlflow_folder import MODEL_FILES
from gate.formats.mlmodel import MAX_BYTES, MLmodel, read_mlmodel
from gate.records.errors import GateError, UnexaminableError
from gate.records.record import read_bounded

Format = Literal["pt2", "pickle", "onnx"]
_FORMATS: Final[Mapping[str, Format]] = {"model.pt2": "pt2", "model.pth": "pickle"}
"""Formats by the files that a pytorch flavour's folder may hold."""
_ONNX_FILE: Final = "model.onnx"


@dataclass(frozen=True)
class Candidate:
    """A model file that the gate knows how to read."""

    flavour: str
    format: Format
    path: Path
    code: tuple[Path, ...] = ()
    """Folders of the artifact that `MLmodel` puts on the import path."""


def declared_by(root: Path) -> MLmodel:
    """Read an artifact's `MLmodel` file, or raise `GateError` or `OSError`."""
    return read_mlmodel(read_bounded(root / "MLmodel", limit=MAX_BYTES))


def find_candidate(root: Path) -> Candidate:
    """Return the PyTorch or ONNX model that the artifact declares; every other kind raises `UnexaminableError`."""
    try:
        declared = declared_by(root)
    except GateError as error:
        raise UnexaminableError(f"this gate cannot examine a folder without a readable MLmodel file: {error}") from None
    flavour = declared.flavors.get("pytorch")
    if flavour is None and "onnx" in declared.flavors:
        return _onnx(root, declared)
    if flavour is None:
        found = ", ".join(sorted(declared.flavors)) or "none"
        raise UnexaminableError(
            f"this gate cannot examine the flavours that the model declares ({found[:200]}); it examines 'pytorch' and "
            "'onnx'"
        )
    data = str(flavour.get("model_data", "data"))
    folder = (root / data).resolve()
    if not folder.is_relative_to(root.resolve()):
        raise UnexaminableError("the pytorch flavour names model data outside the artifact")
    present = [name for name in MODEL_FILES if (folder / name).is_file() and not (folder / name).is_symlink()]
    where = f"the pytorch flavour names {data[:100]!r}"
    if len(present) > 1:
        raise UnexaminableError(f"{where}, which holds {', '.join(present)}; expected one model alone")
    for name in present:
        return Candidate("pytorch", _FORMATS[name], folder / name, tuple(_code_folders(root, declared)))
    raise UnexaminableError(
        f"{where}, which holds no {' or '.join(MODEL_FILES)}",
        what_to_do=f"Log it again with {CALL}; tensors without the network that they belong to are not examined.",
    )


def _onnx(root: Path, declared: MLmodel) -> Candidate:
    """Return the one file that `mlflow.onnx` loads."""
    named, path = declared.flavors["onnx"].get("data"), root / _ONNX_FILE
    if named != _ONNX_FILE or not path.is_file() or path.is_symlink():
        raise UnexaminableError(f"the onnx flavour names {str(named)[:100]!r}; expected the file {_ONNX_FILE}")
    return Candidate("onnx", "onnx", path)


def _code_folders(root: Path, declared: MLmodel) -> Iterator[Path]:
    """Yield the folders inside the artifact that hold the candidate's own modules."""
    for _, named in declared.code():
        for entry in named if isinstance(named, list) else [named]:
            folder = (root / str(entry)).resolve()
            if folder.is_dir() and folder.is_relative_to(root.resolve()):
                yield folder

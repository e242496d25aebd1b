"""What files a model folder may hold, by positive list, and whether a file's first bytes are those of its ending.

A file that no list names is unexpected, whatever it holds: nothing that a deployer's loader, interpreter or operating
system might run has a place beside a model.
"""

import re
from pathlib import PurePosixPath

from gate.formats.compression import compression_of
from gate.formats.keras import HDF5
from gate.formats.safetensors import looks_like_safetensors
from gate.formats.source import Source
from gate.formats.zips import is_zip

_ANYWHERE = frozenset({"MLmodel", "LICENSE", "LICENSE.txt", "NOTICE", "README", "README.md", "conda.yaml"})
_ANYWHERE |= {"constraints.txt", "environment_variables.txt", "python_env.yaml", "requirements.txt"}
_TEXT_SUFFIXES = frozenset({".csv", ".jinja", ".json", ".md", ".txt", ".vocab", ".yaml", ".yml"})
_WEIGHT_SUFFIXES = frozenset(
    {".bin", ".ckpt", ".gguf", ".h5", ".hdf5", ".joblib", ".keras", ".model", ".npy", ".npz", ".onnx", ".pkl", ".pt"}
    | {".pt2", ".pth", ".safetensors", ".skops", ".ubj", ".xgb", ".cbm", ".txt"}
)
_PICTURE_SUFFIXES = frozenset({".jpeg", ".jpg", ".png"})
_SAVED_MODEL = re.compile(
    r"(.*/)?(saved_model\.pb|keras_metadata\.pb|fingerprint\.pb|variables/variables\.(index|data-\d{5}-of-\d{5})|"
    r"assets/[\w.-]+\.(txt|json|vocab|model))"
)
_FIXED = re.compile(
    r"(input_example(_\w+)?|serving_input_example|params)\.(json|npz|csv)|data/(model\.(pt2|pth|safetensors)|"
    r"state_dict\.pth?|architecture\.json|pickle_module_info\.txt)|metadata/(MLmodel|conda\.yaml|python_env\.yaml|requirements\.txt)"
)
_RUNNABLE = {
    b"\x7fELF": "ELF program",
    b"MZ": "Windows program",
    b"#!": "script",
    b"\xca\xfe\xba\xbe": "Java or Mach-O",
}
_RUNNABLE |= {b"\xcf\xfa\xed\xfe": "Mach-O program", b"\xfe\xed\xfa\xcf": "Mach-O program", b"\x00asm": "WebAssembly"}
_MAGIC = {
    ".gguf": (b"GGUF",),
    ".h5": (HDF5,),
    ".hdf5": (HDF5,),
    ".jpeg": (b"\xff\xd8\xff",),
    ".jpg": (b"\xff\xd8\xff",),
    ".npy": (b"\x93NUMPY",),
    ".onnx": (b"\x08",),
    ".png": (b"\x89PNG\r\n\x1a\n",),
}
_ZIPS = frozenset({".keras", ".npz", ".pt2", ".skops"})
_ZIP_OR_PICKLE = frozenset({".bin", ".ckpt", ".pt", ".pth"})
_PICKLES = frozenset({".joblib", ".pkl"})
_TEXT_PROBE = 64 << 10
_CONTROLS = re.compile(rb"[\x00-\x08\x0e-\x1a\x1c-\x1f]")


def unexpected(path: str) -> bool:
    """Tell whether a path is none that belongs to a saved model."""
    name = PurePosixPath(path)
    if name.name in _ANYWHERE or _FIXED.fullmatch(path) or _SAVED_MODEL.fullmatch(path):
        return False
    suffix = name.suffix.lower()
    if suffix == ".pth" and name.parent == PurePosixPath():
        return path != "model.pth"  # on an import path, a .pth file is run line by line
    return suffix not in _TEXT_SUFFIXES | _WEIGHT_SUFFIXES | _PICTURE_SUFFIXES


def mismatch(path: str, source: Source) -> str:
    """Return how a file's first bytes contradict its ending; empty where they do not."""
    if not source.size:
        return ""
    head = source.read(0, 64)
    for magic, what in _RUNNABLE.items():
        if head.startswith(magic):
            return f"begins as a {what}"
    suffix, archive = PurePosixPath(path).suffix.lower(), is_zip(source)
    if suffix in _TEXT_SUFFIXES or PurePosixPath(path).name in _ANYWHERE:
        return "holds a zip archive" if archive else _no_text(source)
    if suffix in _ZIPS or suffix in _ZIP_OR_PICKLE:
        begins = (b"PK\x03\x04",) if suffix in _ZIPS else (b"PK\x03\x04", b"\x80")
        return "" if head.startswith(begins) else "is no zip archive, nor a pickle where that is allowed"
    if suffix == ".safetensors":
        fits = looks_like_safetensors(source)
    elif suffix in _PICKLES:
        fits = head.startswith(b"\x80") or compression_of(head) != ""
    else:
        fits = head.startswith(_MAGIC.get(suffix, (b"",)))
    if archive:
        return "holds a zip archive"
    return "" if fits else f"does not begin as {suffix} files do"


def _no_text(source: Source) -> str:
    probe = source.read(0, _TEXT_PROBE)
    try:
        # A character may be cut in two at the end of the probe.
        probe[: len(probe) - 4 if len(probe) == _TEXT_PROBE else None].decode("utf-8")
    except UnicodeDecodeError:
        return "is no text"
    return "holds control characters" if _CONTROLS.search(probe) else ""

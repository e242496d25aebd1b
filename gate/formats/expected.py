"""Whether a file's first bytes fit its ending: some loaders choose by the name, others by the bytes."""

import re
from pathlib import PurePosixPath

from gate.formats.compression import compression_of
from gate.formats.safetensors import looks_like_safetensors
from gate.formats.source import Source
from gate.formats.zips import is_zip

HDF5 = b"\x89HDF\r\n\x1a\n"
_TEXT_SUFFIXES = frozenset({".csv", ".jinja", ".json", ".md", ".tsv", ".txt", ".vocab", ".yaml", ".yml"})
_TEXTS = frozenset({"MLmodel", "LICENSE", "NOTICE", "README"})
_RUNNABLE = {b"\x7fELF": "ELF program", b"MZ": "Windows program", b"#!": "script", b"\x00asm": "WebAssembly"}
_RUNNABLE |= dict.fromkeys((b"\xcf\xfa\xed\xfe", b"\xfe\xed\xfa\xcf"), "Mach-O program")
_RUNNABLE |= {b"\xca\xfe\xba\xbe": "Java or Mach-O"}
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


def mismatch(path: str, source: Source) -> str:
    """Return how a file's first bytes contradict its ending; empty if they do not."""
    if not source.size:
        return ""
    head = source.read(0, 64)
    for magic, what in _RUNNABLE.items():
        if head.startswith(magic):
            return f"begins as a {what}"
    suffix, archive = PurePosixPath(path).suffix.lower(), is_zip(source)
    if suffix in _TEXT_SUFFIXES or PurePosixPath(path).name in _TEXTS:
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

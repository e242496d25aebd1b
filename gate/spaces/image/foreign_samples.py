"""The likely kind of a file or folder without samples, and how to make samples of it; nothing is opened here."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

HEAD_BYTES = 512
"""Length of a file's head by which it is recognised."""
IMAGES = (".png", ".jpg", ".jpeg", ".bmp", ".webp")
_OTHER_IMAGES = (".tif", ".tiff", ".gif", ".jfif", ".jp2", ".avif", ".heic", ".ppm", ".pgm", ".npy")
_SAVEZ = "numpy.savez('samples.npz', inputs=…, labels=…)"
_NPY = "a single NumPy array (.npy) without labels: numpy.savez('samples.npz', inputs=numpy.load('…'), labels=…)"
_ONE_IMAGE = "one image: name a folder with one subfolder of images for each class"
_PICKLE = f"a pickle, which could run code and is never opened: save its arrays with {_SAVEZ}"
_TEXTS = r'\ufeff?\s*\{[^\n]*"text"|\ufeff?([^\n]*,)?\s*"?text"?\s*(,|\r?\n)'
"""How lines of JSON with `text`, or a CSV file with such a column, begin."""
_MAGIC: tuple[tuple[bytes, str], ...] = (
    (b"\x93NUMPY", _NPY),
    (b"\x89HDF", f"an HDF5 file, which is not read: save its arrays with {_SAVEZ}"),
    (b"PAR1", f"a Parquet file, which is not read: save its images and labels with {_SAVEZ}"),
    (b"\x1f\x8b", f"packed with gzip: unpack it, and save its arrays with {_SAVEZ}"),
    *((magic, _ONE_IMAGE) for magic in (b"\x89PNG", b"\xff\xd8\xff", b"BM")),
    *((b"\x80" + bytes([protocol]), _PICKLE) for protocol in range(2, 6)),
    (b"MATLAB", f"a MATLAB file, which is not read: save its arrays with {_SAVEZ}"),
    (b"\x00\x00\x08", f"an IDX file, as MNIST comes in, which is not read: save images and labels with {_SAVEZ}"),
    (b"version https://git-lfs", "a pointer of Git LFS in the place of the file: run git lfs pull"),
    (b"PK\x03\x04", "a zip that is cut short or damaged: save or copy it again"),
)


def file_kind(head: bytes) -> str:
    """Return a file's kind by its first bytes, and what to do, as the rest of a sentence after 'it is'."""
    if not head:
        return "empty: save or copy it again"
    for magic, said in _MAGIC:
        if head.startswith(magic):
            return said
    if head[257:262] == b"ustar":
        return "a tar archive: unpack it, and name the folder with one subfolder of images for each class"
    if _is_text(head):
        if re.match(_TEXTS, head.decode("utf-8", errors="ignore")):
            return "texts, and the policy's detectors are for images: check a classifier of text with --policy text"
        return f"a text file, such as a CSV: read it and save its numbers with {_SAVEZ}"
    return f"neither an .npz file nor a folder of images by class: save arrays with {_SAVEZ}"


def _is_text(head: bytes) -> bool:
    # The head may end within a character.
    text = head.decode("utf-8", errors="ignore")
    return len(text.encode()) >= len(head) - 3 and all(one.isprintable() or one in "\t\r\n\ufeff" for one in text)


@dataclass(frozen=True)
class Stored:
    """An array's header."""

    shape: tuple[int, ...]
    kind: str
    """NumPy's letter for the kind of the array's type."""


def archive_kind(names: Sequence[str], arrays: Mapping[str, Stored]) -> str:
    """Return why a zip has no `inputs`, and what to do, as the rest of a sentence after 'the samples …'."""
    if any(name.endswith(".pkl") for name in names):
        return f"are a file of torch.save, which is a pickle and never opened: save the arrays with {_SAVEZ}"
    if not arrays and any(name.lower().endswith(IMAGES + _OTHER_IMAGES) for name in names):
        return "are a zip of images: unpack it, and name the folder with one subfolder for each class"
    held = ", ".join(sorted(arrays or names))[:200] or "nothing"
    # Images have several axes.
    inputs = _likeliest(name for name, one in arrays.items() if len(one.shape) > 2 and one.kind in "fiub")
    if inputs is None:
        return f"hold {held}; expected 'inputs' and 'labels': save them with {_SAVEZ}"
    labels = labels_among(arrays, arrays[inputs].shape[0], but=inputs)
    renamed = f"inputs={inputs}" + (f", labels={labels}" if labels else ", labels=…")
    what = f"rename {inputs} to inputs" + (f" and {labels} to labels" if labels else "")
    return f"hold {held}; expected 'inputs' and 'labels': {what}, numpy.savez('samples.npz', {renamed})"


def _likeliest(names: Iterable[str]) -> str | None:
    """Return the first name, one of a test set before one of a training set; None of no names."""
    return min(names, key=lambda name: ("test" not in name.lower(), name), default=None)


def labels_among(arrays: Mapping[str, Stored], count: int, but: str) -> str | None:
    """Return the array that looks like the labels of so many samples, if one does."""
    return _likeliest(
        name
        for name, one in arrays.items()
        if name not in {but, "inputs"} and one.shape[:1] == (count,) and len(one.shape) < 3 and one.kind in "fiubUSO"
    )


def folder_kind(paths: Sequence[str], folders: Sequence[str]) -> str:
    """Return why a folder has no images by class, and what to do, as the rest of a sentence after 'the folder …'."""
    if not paths:
        return "is empty; expected one subfolder of images for each class"
    depths = {path.count("/") for path in paths if path.lower().endswith(IMAGES)}
    if 0 in depths:
        return "holds images and no subfolders; expected one for each class: sort the images into them"
    if depths and min(depths) > 1:
        first = next(iter(folders), "…")
        return f"holds folders of folders of images: name the one whose subfolders are the classes, such as {first}/…"
    if other := next((path for path in paths if path.lower().endswith(_OTHER_IMAGES)), None):
        return f"holds images of another kind, such as {other[:100]!r}: save them as PNG or JPEG"
    if any(path.lower().endswith(".npz") for path in paths):
        return "holds an .npz file: name the file itself"
    return f"holds no images; expected one subfolder for each class with {', '.join(IMAGES)}"

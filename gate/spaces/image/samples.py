"""Clean samples from disk: an `.npz` without pickles, or a folder of images by class, checked against the model.

What is parsed is what was hashed, from one descriptor or one reading of each image; other bytes than those that were
pulled are refused. A wrong file is the classic cause of a false result, so every mismatch is said in full: expected,
got, what to do. A training set, the candidate side's, is read here too: every size is bounded by reading, whatever a
header states.
"""

import io
import os
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from math import prod
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from gate.formats.sealing import as_pulled, changed, hashed
from gate.records.artifact import MAX_SAMPLE_FILES, ArtifactFile, Manifest
from gate.records.class_names import MAX_NAMES
from gate.records.class_names import bounded as bounded_names
from gate.records.errors import UnexaminableError
from gate.records.policy import SampleSettings
from gate.spaces.image.foreign_samples import HEAD_BYTES, Stored, archive_kind, file_kind, folder_kind
from gate.spaces.image.layouts import Arranged, Sizes, arranged, contiguous, readings
from gate.spaces.image.likely_causes import beyond_bounds, beyond_classes, other_shape
from gate.spaces.subject import Samples

MAX_BYTES = 4 << 30
"""Of all arrays, or of all pixels, together."""
MAX_ARRAYS = 64
"""In one `.npz`."""
MAX_IMAGE_BYTES = 64 << 20
"""Of one image's file."""
_FORMATS = ("BMP", "JPEG", "PNG", "WEBP")
_SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".webp")
_MODES = ("1", "L", "LA", "P", "PA", "RGB", "RGBA", "RGBX", "CMYK", "YCbCr")
"""Of images with at most 8 bits a channel, which alone become RGB without loss of range."""
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_NPY, _CLASSES = ".npy", "classes"
_DAMAGE = (ValueError, OSError, EOFError, MemoryError, RuntimeError, zipfile.BadZipFile, zlib.error)
"""What zipfile and numpy raise on bytes that are not as their headers say."""
_ADVICE = "State layout, bounds, mean and std under 'samples' in the policy, or pass other samples with --samples."
Array = NDArray[Any]


@dataclass(frozen=True)
class RawSamples:
    """Arrays as they were stored."""

    inputs: Array
    labels: Array | None
    source: str
    class_names: dict[int, str] = field(default_factory=dict)
    """As the file or its folders call the classes; for reports alone."""
    others: Mapping[str, Stored] = field(default_factory=dict)
    """Of a file without labels the arrays that it holds, which may be these under another name."""


@dataclass
class _Room:
    """How many bytes all arrays or pixels together may still take."""

    source: str
    left: int = field(default_factory=lambda: MAX_BYTES)

    def take(self, size: int) -> None:
        """Count so many bytes, before they are unpacked."""
        self.left -= size
        if self.left < 0:
            raise _refused(f"the samples {self.source} unpack to more than {MAX_BYTES >> 30} GiB in all")


def read_samples(path: Path, source: str, sha256: str, what: str = "the samples") -> RawSamples:
    """Read an .npz with `inputs` and, best, `labels`, or a folder with one subfolder of images per class.

    `sha256` is that of the pull: of the file, or of the folder's manifest.
    """
    if path.is_dir() and not path.is_symlink():
        return _read_folder(path, source, sha256, what)
    with as_pulled(path, sha256, what) as stream:
        return _read_arrays(stream, source)


def _read_arrays(stream: BinaryIO, source: str) -> RawSamples:
    if not zipfile.is_zipfile(stream):
        stream.seek(0)
        raise UnexaminableError(f"the samples {source} are no .npz file; this is {file_kind(stream.read(HEAD_BYTES))}")
    room = _Room(source)
    try:
        with zipfile.ZipFile(stream) as archive:
            members = _members(archive, source)
            if "inputs" not in members:
                said = archive_kind([info.filename for info in archive.infolist()], _headers(archive, members))
                raise UnexaminableError(f"the samples {source} {said}")
            inputs = _array(archive, members["inputs"], room)
            labels = _array(archive, members["labels"], room) if "labels" in members else None
            names = _class_names(archive, members, room)
            others = {} if "labels" in members else _headers(archive, members)
    except _DAMAGE as error:
        raise _refused(f"the samples {source} cannot be read as arrays without pickles: {str(error)[:200]}") from None
    return RawSamples(inputs, labels, source, names, others)


def _class_names(archive: zipfile.ZipFile, members: dict[str, zipfile.ZipInfo], room: _Room) -> dict[int, str]:
    """Return the array `classes` where it is a list of texts; another one of that name is none of the gate's."""
    if _CLASSES not in members:
        return {}
    try:
        array = _array(archive, members[_CLASSES], room)
        return bounded_names(array[:MAX_NAMES].tolist()) if array.ndim == 1 and array.dtype.kind in "US" else {}
    except (UnexaminableError, SystemError, *_DAMAGE):  # NumPy's own error for a character that Unicode has not
        return {}


def _headers(archive: zipfile.ZipFile, members: dict[str, zipfile.ZipInfo]) -> dict[str, Stored]:
    """Return what the headers of the arrays say, of those that have one; nothing behind a header is read."""
    found = {}
    for name, info in members.items():
        try:
            with archive.open(info) as member:
                shape, _, dtype = _read_header(member, info)
        except (*_DAMAGE, UnexaminableError):
            continue
        found[name] = Stored(shape, dtype.kind)
    return found


def _read_header(member: Any, info: zipfile.ZipInfo) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    version = np.lib.format.read_magic(member)
    read_header = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
    if version not in read_header:
        raise _refused(f"the samples' array {info.filename[:100]!r} is of NumPy's format {version}")
    return read_header[version](member)


def _members(archive: zipfile.ZipFile, source: str) -> dict[str, zipfile.ZipInfo]:
    """Return the members by their arrays' names, as far as the directory is one that `numpy.savez` writes."""
    infos = archive.infolist()
    if len(infos) > MAX_ARRAYS:
        raise _refused(f"the samples {source} hold {len(infos)} arrays; at most {MAX_ARRAYS} are read")
    if (stated := sum(info.file_size for info in infos)) > MAX_BYTES:
        raise _refused(f"the samples {source} unpack to {stated} bytes; at most {MAX_BYTES >> 30} GiB are read")
    if odd := [info.filename for info in infos if info.compress_type not in _METHODS]:
        raise _refused(f"the samples' member {odd[0][:100]!r} is not packed as numpy packs it (stored or deflated)")
    named = {info.filename.removesuffix(_NPY): info for info in infos}
    if len(named) < len(infos):
        raise _refused(f"the samples {source} hold two arrays of one name")
    return named


def _array(archive: zipfile.ZipFile, info: zipfile.ZipInfo, room: _Room) -> Array:
    """Read one array; its header's claim is counted before anything is made room for, and no object is unpickled."""
    with archive.open(info) as member:
        shape, fortran_order, dtype = _read_header(member, info)
        if dtype.hasobject:
            raise UnexaminableError(
                f"the samples' array {info.filename[:100]!r} holds Python objects, which are pickles and never opened: "
                "save numbers of one shape and type, such as inputs=numpy.stack(images), labels=numpy.array(classes)"
            )
        if min(shape, default=0) < 0:
            raise _refused(f"the samples' array {info.filename[:100]!r} states the shape {shape}")
        size = prod(shape) * dtype.itemsize
        room.take(size)
        raw = bytearray()
        while len(raw) <= size and (chunk := member.read(min(1 << 24, size + 1 - len(raw)))):
            raw += chunk
    if len(raw) != size:
        found = f"{len(raw)}" if len(raw) < size else "more"
        raise _refused(f"the samples' array {info.filename[:100]!r} states {size} bytes and holds {found}")
    flat = np.frombuffer(raw, dtype=dtype)
    return flat.reshape(shape[::-1]).transpose() if fortran_order else flat.reshape(shape)


def _read_folder(path: Path, source: str, sha256: str, what: str) -> RawSamples:
    """Decode the images of each class from the very bytes that are hashed, and compare the folder's manifest."""
    label_of = _labels(path)
    room, files = _Room(source), []
    images: list[tuple[int, str, Array]] = []
    for file in _files(path, source):
        parts = file.relative_to(path).parts
        is_image = len(parts) == 2 and file.suffix.lower() in _SUFFIXES
        with hashed(file) as found:
            size = os.fstat(found.stream.fileno()).st_size
            files.append(ArtifactFile(path="/".join(parts), size_bytes=size, sha256=found.sha256))
            if is_image:
                if size > MAX_IMAGE_BYTES:
                    raise _refused(
                        f"the image {file.name[:100]!r} of the samples has {size} bytes; "
                        f"at most {MAX_IMAGE_BYTES >> 20} MiB are read"
                    )
                images.append((label_of[parts[0]], parts[1], _decoded(found.stream, parts, room)))
    read = Manifest(files=tuple(sorted(files, key=lambda one: one.path))).digest.removeprefix("sha256:")
    if read != sha256:
        raise changed(what, sha256, read)
    if not images:
        said = folder_kind([one.path for one in files], [f"{source.rstrip('/')}/{name}" for name in label_of])
        raise UnexaminableError(f"the folder {source} {said}")
    _require_filled(label_of, {label for label, _, _ in images}, source)
    images.sort(key=lambda image: image[:2])
    shapes = {image.shape for _, _, image in images}
    if len(shapes) > 1:
        raise UnexaminableError(
            f"the images in {source} have {len(shapes)} different shapes, such as {_some_shapes(shapes)}: "
            f"{_to_one_shape(shapes)}"
        )
    inputs, labels = np.stack([image for _, _, image in images]), np.asarray([one for one, _, _ in images])
    return RawSamples(inputs, labels, source, _folder_names(label_of))


def _folder_names(label_of: dict[str, int]) -> dict[int, str]:
    """Return the folders' names by label; numbers alone tell nothing that the label does not."""
    if all(name.isdecimal() for name in label_of):
        return {}
    return bounded_names({label: name for name, label in label_of.items()})


def _some_shapes(shapes: set[tuple[int, ...]]) -> str:
    return " and ".join(" × ".join(map(str, shape)) for shape in sorted(shapes)[:2])


def _to_one_shape(shapes: set[tuple[int, ...]]) -> str:
    """Return what to do about images of different shapes: most often some are grey, or none was resized."""
    if len({shape[:2] for shape in shapes}) == 1:
        return "some are grey and others in colour; save all of them alike"
    return "resize them to what the model takes"


def _labels(path: Path) -> dict[str, int]:
    """Return the label of each class by its folder's name: its place in their order, as numbers where they are."""
    folders = sorted((child.name for child in path.iterdir() if child.is_dir()), key=_natural)
    return {name: label for label, name in enumerate(folders)}


def _require_filled(label_of: dict[str, int], filled: set[int], source: str) -> None:
    """Refuse a class without images: no digest covers its folder, whose coming or going moves every label after it."""
    if empty := [name for name, label in label_of.items() if label not in filled]:
        raise _refused(
            f"the folder {source} has a subfolder {empty[0][:100]!r} without images; expected some per class: "
            "remove it, or put images into it"
        )


def _files(path: Path, source: str) -> Iterator[Path]:
    """Yield every file of the folder; the pull has hashed the same ones, as far as they are regular."""
    count = 0
    for directory, names, files in os.walk(path, followlinks=False):
        names.sort()
        for name in sorted(files):
            file = Path(directory) / name
            if file.is_symlink() or not file.is_file():
                continue
            count += 1
            if count > MAX_SAMPLE_FILES:
                raise _refused(f"the folder {source} holds more than {MAX_SAMPLE_FILES} files")
            yield file


def _decoded(stream: BinaryIO, parts: tuple[str, ...], room: _Room) -> Array:
    """Decode one image, whose pixels are counted before they are unpacked."""
    from PIL import Image, UnidentifiedImageError  # noqa: PLC0415  # only folders of images need it

    name, where = parts[-1][:100], f"in its folder {parts[0][:100]!r}"
    try:
        with Image.open(io.BytesIO(stream.read(MAX_IMAGE_BYTES)), formats=_FORMATS) as image:
            if image.mode not in _MODES:
                raise UnexaminableError(
                    f"the image {name!r} of the samples, {where}, is of the mode {image.mode!r}, which would be cut to "
                    "8 bits: save it with 8 bits a channel, or the samples as an .npz"
                )
            channels = 1 if image.mode == "L" else 3
            room.take(image.width * image.height * channels)
            return np.asarray(image if image.mode == "L" else image.convert("RGB"))
    except (OSError, UnidentifiedImageError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise UnexaminableError(
            f"the image {name!r} of the samples cannot be read ({str(error)[:200]}): replace or remove it, {where}"
        ) from None


def _natural(name: str) -> tuple[int, str]:
    """Sort folders '0', '1', …, '10' as numbers, others by name after them; '1' and '01' by name, not as they come."""
    return (int(name) if name.isdecimal() else 1 << 62, name)  # '²' is a digit, and no number


def arrange(raw: RawSamples, model_shape: Sizes | None, settings: SampleSettings) -> Arranged:
    """Return inputs as float32 (N, C, H, W) for a model that declares `model_shape` for one input, where it does."""
    inputs = raw.inputs
    if inputs.ndim not in (3, 4) or len(inputs) == 0 or inputs.dtype.kind not in "fiub":
        raise _refused(
            f"the samples have shape {inputs.shape} and type {inputs.dtype}; expected images as numbers, (N, C, H, W), "
            "(N, H, W, C) or (N, H, W)"
        )
    possible = readings(inputs.astype(np.float32), settings.layout)
    found = arranged(possible, model_shape, settings.layout)
    if found is None:
        shapes = [x.shape[1:] for x in possible]
        raise UnexaminableError(other_shape(raw.inputs.shape, shapes, model_shape, settings.layout))
    return contiguous(found)


def bounds_of(raw: RawSamples, inputs: Array, settings: SampleSettings) -> tuple[float, float]:
    """Return the stated bounds, or [0, 255] for uint8 and [0, 1] for others; values beyond them are refused."""
    if not np.isfinite(inputs).all():
        raise _refused(f"{int((~np.isfinite(inputs)).any(axis=(1, 2, 3)).sum())} samples hold NaN or infinite values")
    least, greatest = bounds_for(raw, settings)
    low, high = float(inputs.min()), float(inputs.max())
    slack = 1e-6 * (greatest - least)
    if low < least - slack or high > greatest + slack:
        raise UnexaminableError(beyond_bounds((low, high), (least, greatest), stated=settings.bounds is not None))
    return least, greatest


def bounds_for(raw: RawSamples, settings: SampleSettings) -> tuple[float, float]:
    """Return the stated bounds, or [0, 255] for uint8 and [0, 1] for others."""
    return settings.bounds or ((0.0, 255.0) if raw.inputs.dtype == np.uint8 else (0.0, 1.0))


def labels_of(raw: RawSamples, classes: int) -> Array | None:
    """Return labels as int64 (N,); a wrong count, type or class out of range is refused."""
    if raw.labels is None:
        return None
    labels = raw.labels
    if labels.ndim == 2 and labels.shape[1] == 1:
        labels = labels[:, 0]
    if labels.shape != (len(raw.inputs),):
        raise _refused(f"there are {len(raw.inputs)} samples and labels of shape {raw.labels.shape}")
    if labels.dtype.kind not in "iub" and not (labels.dtype.kind == "f" and np.array_equal(labels, np.rint(labels))):
        raise _refused(f"the labels are of type {labels.dtype}; expected class indices")
    labels = labels.astype(np.int64)
    if labels.min() < 0 or labels.max() >= classes:
        raise UnexaminableError(beyond_classes(int(labels.min()), int(labels.max()), classes))
    return labels


def to_samples(inputs: Array, labels: Array | None, source: str, device: str) -> Samples:
    """Return tensors on the scan's device."""
    import torch  # noqa: PLC0415  # the look at samples alone does without it

    tensor = torch.from_numpy(inputs).to(device)
    return Samples(tensor, None if labels is None else torch.from_numpy(labels).to(device), source)


def _refused(message: str) -> UnexaminableError:
    return UnexaminableError(message, what_to_do=_ADVICE)

"""Samples from a folder of images by class, decoded from the bytes that are hashed."""

import io
import os
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import numpy as np

from gate.formats.sealing import changed, hashed
from gate.records.artifact import MAX_SAMPLE_FILES, ArtifactFile, Manifest
from gate.records.class_names import bounded as bounded_names
from gate.records.errors import UnexaminableError
from gate.spaces.image.foreign_samples import IMAGES, folder_kind
from gate.spaces.image.stored import Array, RawSamples, Room, refused

MAX_IMAGE_BYTES = 64 << 20
"""Largest file of an image."""
_FORMATS = ("BMP", "JPEG", "PNG", "WEBP")
_MODES = ("1", "L", "LA", "P", "PA", "RGB", "RGBA", "RGBX", "CMYK", "YCbCr")
"""Modes with at most 8 bits a channel, the only ones that become RGB without loss of range."""


def read_folder(path: Path, source: str, sha256: str, what: str) -> RawSamples:
    """Decode the images of each class from the bytes that are hashed, and compare the folder's manifest."""
    label_of = _labels(path)
    room, files = Room(source), []
    images: list[tuple[int, str, Array]] = []
    for file in _files(path, source):
        parts = file.relative_to(path).parts
        is_image = len(parts) == 2 and file.suffix.lower() in IMAGES
        with hashed(file) as found:
            size = os.fstat(found.stream.fileno()).st_size
            files.append(ArtifactFile(path="/".join(parts), size_bytes=size, sha256=found.sha256))
            if is_image:
                if size > MAX_IMAGE_BYTES:
                    raise refused(
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
        some = " and ".join(" × ".join(map(str, shape)) for shape in sorted(shapes)[:2])
        raise UnexaminableError(
            f"the images in {source} have {len(shapes)} different shapes, such as {some}: {_to_one_shape(shapes)}"
        )
    inputs, labels = np.stack([image for _, _, image in images]), np.asarray([one for one, _, _ in images])
    return RawSamples(inputs, labels, source, _folder_names(label_of))


def _folder_names(label_of: dict[str, int]) -> dict[int, str]:
    """Return the folders' names by label; numbers say no more than the label."""
    if all(name.isdecimal() for name in label_of):
        return {}
    return bounded_names({label: name for name, label in label_of.items()})


def _to_one_shape(shapes: set[tuple[int, ...]]) -> str:
    """Return the remedy for images of different shapes: most often some are grey, or none was resized."""
    if len({shape[:2] for shape in shapes}) == 1:
        return "some are grey and others in colour; save all of them alike"
    return "resize them to what the model takes"


def _labels(path: Path) -> dict[str, int]:
    """Return the label of each class by its folder's name: its place among the folders."""
    folders = sorted((child.name for child in path.iterdir() if child.is_dir()), key=_natural)
    return {name: label for label, name in enumerate(folders)}


def _require_filled(label_of: dict[str, int], filled: set[int], source: str) -> None:
    """Refuse a class without images: no digest covers its folder, which moves every label after it."""
    if empty := [name for name, label in label_of.items() if label not in filled]:
        raise refused(
            f"the folder {source} has a subfolder {empty[0][:100]!r} without images; expected some per class: "
            "remove it, or put images into it"
        )


def _files(path: Path, source: str) -> Iterator[Path]:
    """Yield every regular file of the folder, as the pull has hashed them."""
    count = 0
    for directory, names, files in os.walk(path, followlinks=False):
        names.sort()
        for name in sorted(files):
            file = Path(directory) / name
            if file.is_symlink() or not file.is_file():
                continue
            count += 1
            if count > MAX_SAMPLE_FILES:
                raise refused(f"the folder {source} holds more than {MAX_SAMPLE_FILES} files")
            yield file


def _decoded(stream: BinaryIO, parts: tuple[str, ...], room: Room) -> Array:
    """Decode one image; its pixels are counted before they are unpacked."""
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
    """Return a key that sorts folders '0', '1', …, '10' as numbers, others by name after them."""
    return (int(name) if name.isdecimal() else 1 << 62, name)  # '²' is a digit, but not a number

"""Clean samples from disk: an `.npz` without pickles, or a folder of images by class, checked against the model.

The operator's data, but a wrong file is the classic cause of a false result, so every mismatch is said in full:
expected, got, what to do.
"""

import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from gate.errors import UnexaminableError
from gate.policy import SampleSettings
from gate.subject import Samples

MAX_BYTES = 4 << 30
_SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".webp")
_ADVICE = "State layout, bounds, mean and std under 'samples' in the policy, or pass other samples with --samples."
Array = NDArray[Any]


@dataclass(frozen=True)
class RawSamples:
    """Arrays as they were stored."""

    inputs: Array
    labels: Array | None
    source: str


def read_samples(path: Path, source: str) -> RawSamples:
    """Read an .npz with `inputs` and, best, `labels`, or a folder with one subfolder of images per class."""
    if path.is_dir():
        return _read_folder(path, source)
    if not zipfile.is_zipfile(path):
        raise _refused(f"the samples {source} are neither an .npz file nor a folder of images by class")
    with zipfile.ZipFile(path) as archive:
        if sum(member.file_size for member in archive.infolist()) > MAX_BYTES:
            raise _refused(f"the samples {source} hold more than {MAX_BYTES >> 30} GiB")
    try:
        with np.load(path, allow_pickle=False) as arrays:
            if "inputs" not in arrays:
                raise _refused(f"the samples {source} hold {', '.join(arrays) or 'nothing'}; expected 'inputs'")
            return RawSamples(arrays["inputs"], arrays.get("labels"), source)
    except (ValueError, OSError, EOFError, zipfile.BadZipFile) as error:
        raise _refused(f"the samples {source} cannot be read as arrays without pickles: {str(error)[:200]}") from None


def _read_folder(path: Path, source: str) -> RawSamples:
    from PIL import Image, UnidentifiedImageError  # noqa: PLC0415  # only folders of images need it

    folders = sorted((child for child in path.iterdir() if child.is_dir()), key=lambda child: _natural(child.name))
    images: list[Array] = []
    labels: list[int] = []
    for label, folder in enumerate(folders):
        for file in sorted(child for child in folder.iterdir() if child.suffix.lower() in _SUFFIXES):
            try:
                with Image.open(file) as image:
                    images.append(np.asarray(image if image.mode == "L" else image.convert("RGB")))
            except (OSError, UnidentifiedImageError, ValueError) as error:
                raise _refused(f"the image {file.name} of the samples cannot be read: {str(error)[:200]}") from None
            labels.append(label)
    if not images:
        raise _refused(f"the folder {source} holds no images; expected one subfolder per class with {_SUFFIXES}")
    shapes = {image.shape for image in images}
    if len(shapes) > 1:
        raise _refused(f"the images in {source} have {len(shapes)} different shapes, such as {sorted(shapes)[:2]}")
    return RawSamples(np.stack(images), np.asarray(labels), source)


def _natural(name: str) -> tuple[int, str]:
    """Sort folders '0', '1', …, '10' as numbers, others by name after them."""
    return (int(name), "") if name.isdigit() else (1 << 62, name)


def arrange(raw: RawSamples, model_shape: tuple[int | None, ...] | None, settings: SampleSettings) -> Array:
    """Return inputs as float32 (N, C, H, W) for a model that takes `model_shape` (C, H, W), where that is known."""
    inputs = raw.inputs
    if inputs.ndim not in (3, 4) or len(inputs) == 0 or inputs.dtype.kind not in "fiub":
        raise _refused(
            f"the samples have shape {inputs.shape} and type {inputs.dtype}; expected images as numbers, (N, C, H, W), "
            "(N, H, W, C) or (N, H, W)"
        )
    inputs = inputs.astype(np.float32)
    candidates = _layouts(inputs, settings.layout)
    fitting = [x for x in candidates if model_shape is None or _fits(x.shape[1:], model_shape)]
    if not fitting:
        wanted = ", ".join("any" if size is None else str(size) for size in model_shape or ())
        raise _refused(f"the samples have shape {raw.inputs.shape}; the model takes images of shape ({wanted})")
    return np.ascontiguousarray(fitting[0])


def _layouts(inputs: Array, layout: str | None) -> list[Array]:
    """Return the readings of stored inputs as (N, C, H, W), the stated one or every possible one."""
    if inputs.ndim == 3:
        return [inputs[:, None]] if layout in (None, "NHW") else []
    readings = {"NCHW": inputs, "NHWC": inputs.transpose(0, 3, 1, 2)}
    return [readings[layout]] if layout in readings else list(readings.values()) if layout is None else []


def _fits(shape: tuple[int, ...], model_shape: tuple[int | None, ...]) -> bool:
    return len(shape) == len(model_shape) and all(
        want is None or have == want for have, want in zip(shape, model_shape, strict=True)
    )


def bounds_of(raw: RawSamples, inputs: Array, settings: SampleSettings) -> tuple[float, float]:
    """Return the stated bounds, or [0, 255] for uint8 and [0, 1] for others; values beyond them are refused."""
    if not np.isfinite(inputs).all():
        raise _refused(f"{int((~np.isfinite(inputs)).any(axis=(1, 2, 3)).sum())} samples hold NaN or infinite values")
    least, greatest = settings.bounds or ((0.0, 255.0) if raw.inputs.dtype == np.uint8 else (0.0, 1.0))
    low, high = float(inputs.min()), float(inputs.max())
    slack = 1e-6 * (greatest - least)
    if low < least - slack or high > greatest + slack:
        raise _refused(f"the samples lie in [{low:g}, {high:g}]; expected values in [{least:g}, {greatest:g}]")
    return least, greatest


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
        raise _refused(
            f"the labels run from {labels.min()} to {labels.max()}; the model's classes are 0 to {classes - 1}"
        )
    return labels


def to_samples(inputs: Array, labels: Array | None, source: str, device: str) -> Samples:
    """Return tensors on the scan's device."""
    tensor = torch.from_numpy(inputs).to(device)
    return Samples(tensor, None if labels is None else torch.from_numpy(labels).to(device), source)


def _refused(message: str) -> UnexaminableError:
    return UnexaminableError(message, what_to_do=_ADVICE)

"""Clean samples from disk: an `.npz` without pickles, or a folder of images by class, checked against the model.

The bytes parsed are the bytes hashed, from one descriptor or one reading of each image; other bytes than those pulled
are refused. A wrong file is the classic cause of a false result, so an error states expected, got and what to do. The
candidate-controlled training set is read here too: every size is bounded by reading, not by a header's claim.
"""

from pathlib import Path

import numpy as np

from gate.formats.sealing import as_pulled
from gate.records.errors import UnexaminableError
from gate.records.sample_settings import SampleSettings
from gate.spaces.image.arrays import read_arrays
from gate.spaces.image.folders import read_folder
from gate.spaces.image.layouts import Arranged, Sizes, arranged, readings
from gate.spaces.image.likely_causes import beyond_bounds, beyond_classes, other_shape
from gate.spaces.image.stored import Array, RawSamples, refused
from gate.spaces.subject import Samples


def read_samples(path: Path, source: str, sha256: str, what: str = "the samples") -> RawSamples:
    """Read an .npz with `inputs` and, best, `labels`, or a folder with one subfolder of images per class.

    `sha256` is that of the pull: of the file, or of the folder's manifest.
    """
    if path.is_dir() and not path.is_symlink():
        return read_folder(path, source, sha256, what)
    with as_pulled(path, sha256, what) as stream:
        return read_arrays(stream, source)


def arrange(raw: RawSamples, model_shape: Sizes | None, settings: SampleSettings) -> Arranged:
    """Return inputs as float32 (N, C, H, W) for a model whose one input has the shape `model_shape`, if stated."""
    inputs = raw.inputs
    if inputs.ndim not in (3, 4) or len(inputs) == 0 or inputs.dtype.kind not in "fiub":
        raise refused(
            f"the samples have shape {inputs.shape} and type {inputs.dtype}; expected images as numbers, (N, C, H, W), "
            "(N, H, W, C) or (N, H, W)"
        )
    possible = readings(inputs.astype(np.float32), settings.layout)
    found = arranged(possible, model_shape, settings.layout)
    if found is None:
        shapes = [x.shape[1:] for x in possible]
        raise UnexaminableError(other_shape(raw.inputs.shape, shapes, model_shape, settings.layout))
    return Arranged(np.ascontiguousarray(found.inputs), found.form)


def bounds_of(raw: RawSamples, inputs: Array, settings: SampleSettings) -> tuple[float, float]:
    """Return the stated bounds, or [0, 255] for uint8 and [0, 1] for others; other values of `inputs` are refused."""
    if not np.isfinite(inputs).all():
        raise refused(f"{int((~np.isfinite(inputs)).any(axis=(1, 2, 3)).sum())} samples hold NaN or infinite values")
    least, greatest = settings.bounds or ((0.0, 255.0) if raw.inputs.dtype == np.uint8 else (0.0, 1.0))
    low, high = float(inputs.min()), float(inputs.max())
    slack = 1e-6 * (greatest - least)
    if low < least - slack or high > greatest + slack:
        raise UnexaminableError(beyond_bounds((low, high), (least, greatest), stated=settings.bounds is not None))
    return least, greatest


def labels_of(raw: RawSamples, classes: int) -> Array | None:
    """Return labels as int64 (N,); a wrong count, type or class out of range is refused."""
    if raw.labels is None:
        return None
    labels = raw.labels
    if labels.ndim == 2 and labels.shape[1] == 1:
        labels = labels[:, 0]
    if labels.shape != (len(raw.inputs),):
        raise refused(f"there are {len(raw.inputs)} samples and labels of shape {raw.labels.shape}")
    if labels.dtype.kind not in "iub" and not (labels.dtype.kind == "f" and np.array_equal(labels, np.rint(labels))):
        raise refused(f"the labels are of type {labels.dtype}; expected class indices")
    labels = labels.astype(np.int64)
    if labels.min() < 0 or labels.max() >= classes:
        raise UnexaminableError(beyond_classes(int(labels.min()), int(labels.max()), classes))
    return labels


def to_samples(inputs: Array, labels: Array | None, source: str, device: str) -> Samples:
    """Return tensors on the scan's device."""
    import torch  # noqa: PLC0415  # the look at samples alone does without it

    tensor = torch.from_numpy(inputs).to(device)
    return Samples(tensor, None if labels is None else torch.from_numpy(labels).to(device), source)

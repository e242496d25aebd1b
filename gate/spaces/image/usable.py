"""Faults of clean samples that need no model to see: one sentence with the likely cause and the remedy.

Without torch, so a fault shows before a model is pulled. The scan worker checks again what it reads, since its samples
may not have been looked at before.
"""

import hashlib

import numpy as np

from gate.records.errors import UnexaminableError
from gate.records.sample_settings import SampleSettings
from gate.spaces.image.foreign_samples import labels_among
from gate.spaces.image.layouts import COLOURS
from gate.spaces.image.likely_causes import BYTES_ALONE
from gate.spaces.image.samples import bounds_of
from gate.spaces.image.stored import Array, RawSamples

_KINDS = "fiub"
_LEAST_SIDE = 8
"""Length of an axis from which it cannot be that of channels."""
_KIND_NAMES = {
    "c": "complex numbers: save their magnitudes",
    "U": "text, such as file names: save pixel values",
    "S": "text, such as file names or encoded images: save pixel values",
    "V": "records of several fields: save pixel values alone",
}


def require_usable(raw: RawSamples, settings: SampleSettings) -> None:
    """Raise `UnexaminableError` with likely cause and remedy where samples are right for no model."""
    _require_images(raw)
    labels = _class_numbers(raw, settings)
    _require_finite(raw)
    bounds_of(raw, raw.inputs, settings)
    _require_layout(raw, settings)
    _require_several(raw, labels)
    _require_enough(raw, labels, settings)


def _require_images(raw: RawSamples) -> None:
    inputs = raw.inputs
    if inputs.dtype.kind not in _KINDS:
        what = _KIND_NAMES.get(inputs.dtype.kind, f"values of type {inputs.dtype}: save pixel values")
        raise _wrong(raw, f"have inputs that are {what}, as uint8 or float32")
    if inputs.ndim in (3, 4) and inputs.size > 0:
        return
    axes = "(N, C, H, W), (N, H, W, C) or (N, H, W)"
    if inputs.size == 0:
        raise _wrong(raw, f"have inputs of shape {inputs.shape}; expected images, {axes}: there is nothing in them")
    said = f"have inputs of shape {inputs.shape}, and the gate examines image classifiers only; expected {axes}"
    if inputs.ndim == 2 and (sizes := _unflattened(inputs.shape[1])):
        raise _wrong(raw, f"{said}: images that were flattened are reshaped by inputs.reshape({sizes}); {BYTES_ALONE}")
    if inputs.ndim > 4 and 1 in inputs.shape[1:]:
        raise _wrong(raw, f"{said}: drop the axes of length 1 with inputs.squeeze()")
    raise _wrong(raw, f"{said}: {BYTES_ALONE}")


def _unflattened(size: int) -> str | None:
    for channels in COLOURS[:2]:
        side = round((size / channels) ** 0.5)
        if side > 1 and channels * side * side == size:
            return f"-1, {channels}, {side}, {side}"
    return None


def _class_numbers(raw: RawSamples, settings: SampleSettings) -> Array | None:
    """Return the labels as class numbers from 0; None where there are none and the policy waives them."""
    labels = raw.labels
    if labels is None:
        _require_waived(raw, settings)
        return None
    if labels.ndim == 2 and labels.shape[1] == 1:
        labels = labels[:, 0]
    if labels.ndim == 2 and len(labels) == len(raw.inputs) and labels.dtype.kind in _KINDS:
        raise _wrong(raw, _of_rows(labels))
    if labels.ndim != 1 or len(labels) != len(raw.inputs):
        raise _wrong(raw, _of_lengths(raw, labels))
    if labels.dtype.kind in "US":
        some = str(labels[0]) if labels.dtype.kind == "U" else bytes(labels[0]).decode("ascii", "replace")
        raise _wrong(
            raw,
            f"have names as labels, such as {some[:40]!a}: number them from 0 in the order of the model's scores, "
            "labels=numpy.array([names.index(one) for one in labels])",
        )
    if labels.dtype.kind not in _KINDS:
        raise _wrong(raw, f"have labels of type {labels.dtype}; expected class numbers from 0: save integers")
    if labels.dtype.kind == "f" and not np.array_equal(labels, np.rint(labels)):
        raise _wrong(raw, _of_fractions(labels))
    _require_from_zero(raw, labels)
    return labels.astype(np.int64)


def _require_waived(raw: RawSamples, settings: SampleSettings) -> None:
    if settings.labels == "waived" and settings.min_accuracy is None:
        return
    misnamed = labels_among(raw.others, len(raw.inputs), but="inputs")
    rename = f"rename {misnamed} to labels, numpy.savez(…, labels={misnamed})"
    add = rename if misnamed else "add them, numpy.savez(…, labels=…)"
    if settings.min_accuracy is not None:
        raise _wrong(raw, f"have no labels, and the policy's min-accuracy needs them: {add}, or remove that key")
    why = "have no labels, without which nothing shows that the model is given what it expects"
    raise _wrong(raw, f"{why}: {add}, or state 'samples: {{labels: waived}}' in the policy")


def _of_rows(labels: Array) -> str:
    ones = np.isin(labels, (0, 1)).all() and bool((labels.sum(axis=1) == 1).all())
    which = f"have labels of shape {labels.shape}, which {'are one-hot' if ones else 'are rows of scores'}"
    return f"{which}; expected one class number each: take labels.argmax(axis=1)"


def _of_lengths(raw: RawSamples, labels: Array) -> str:
    if labels.size == 1 and raw.inputs.ndim == 3:
        said = f"have one label and inputs of shape {raw.inputs.shape}: a single image needs a first axis, inputs[None]"
        return f"{said}; a few of each class are needed"
    said = f"have {len(raw.inputs)} inputs and labels of shape {labels.shape}; expected one label each"
    return f"{said}: save both of the same samples in the same order"


def _of_fractions(labels: Array) -> str:
    if not np.isfinite(labels).all():
        return "have labels that are NaN or infinite; expected class numbers from 0: leave out samples without a class"
    some = float(labels[labels != np.rint(labels)][0])
    return f"have fractions as labels, such as {some:g}; expected class numbers from 0: a regression is not examined"


def _require_from_zero(raw: RawSamples, labels: Array) -> None:
    """Refuse labels below 0, and labels from 1 on without a gap."""
    present = np.unique(labels)
    least, greatest = int(present[0]), int(present[-1])
    if least < 0:
        if (least, greatest, len(present)) == (-1, 1, 2):
            raise _wrong(raw, "have the labels -1 and 1; expected class numbers from 0: write 0 in the place of -1")
        mend = f"leave out the samples that are labelled {least}, or number the classes from 0"
        raise _wrong(raw, f"have labels from {least} to {greatest}; expected class numbers from 0: {mend}")
    if least == 1 and greatest == len(present) and greatest > 1:
        raise UnexaminableError(
            f"in the samples {raw.source} the labels run from 1 to {greatest}: subtract one, for classes are numbered "
            "from 0, or add samples of class 0"
        )


def _require_finite(raw: RawSamples) -> None:
    if raw.inputs.dtype.kind != "f":
        return
    broken = np.flatnonzero(~np.isfinite(raw.inputs).reshape(len(raw.inputs), -1).all(axis=1))
    if len(broken):
        where = f"{len(broken)} of {len(raw.inputs)} inputs, the first in number {broken[0]}"
        raise _wrong(raw, f"hold NaN or infinite values in {where}: leave these out, or mend what made them")


def _require_layout(raw: RawSamples, settings: SampleSettings) -> None:
    """Refuse a stated layout under which the channels of images would be their rows."""
    layout, shape = settings.layout, raw.inputs.shape
    if layout is None:
        return
    if len(layout) != len(shape):
        other = "NHW" if len(shape) == 3 else "NCHW or NHWC"
        raise _wrong(raw, f"have shape {shape}, and the policy states the layout {layout}: state {other}, or none")
    if layout == "NHW":
        return
    first, middle, last = shape[1:]
    rows, channels, other = (first, last, "NHWC") if layout == "NCHW" else (last, first, "NCHW")
    # Images are about as wide as high; a signal of many channels is not, and may be one sample wide.
    if channels in COLOURS and rows >= _LEAST_SIDE and rows <= 2 * middle and middle <= 2 * rows:
        where, order = ("last", "0, 3, 1, 2") if other == "NHWC" else ("first", "0, 2, 3, 1")
        said = f"have shape {shape}, channels {where}, and the policy states the layout {layout}"
        raise _wrong(raw, f"{said}: state {other}, or move the axis with inputs.transpose({order})")


def _require_several(raw: RawSamples, labels: Array | None) -> None:
    """Refuse samples that are all one image, or all of one class."""
    first = raw.inputs[:1]
    if bool((raw.inputs == first).all()):
        count = len(raw.inputs)
        what = "hold one sample" if count == 1 else f"hold {count} times the same image"
        raise _wrong(raw, f"{what}; expected several different ones of each class")
    if labels is not None and bool((labels == labels[0]).all()):
        expected = "expected two classes or more: add samples of the model's other classes"
        raise _wrong(raw, f"are all of class {labels[0]}; {expected}")


def _require_enough(raw: RawSamples, labels: Array | None, settings: SampleSettings) -> None:
    """Refuse a class with too few different images."""
    if labels is None:
        return
    least = settings.least_of_each_class
    wanting = {int(label): set[bytes]() for label in np.unique(labels)}
    classes = len(wanting)
    for row, label in zip(raw.inputs, labels.tolist(), strict=True):
        if (seen := wanting.get(label)) is not None:
            seen.add(hashlib.blake2b(np.ascontiguousarray(row).tobytes(), digest_size=16).digest())
            if len(seen) >= least:
                del wanting[label]
        if not wanting:
            return
    label, seen = min(wanting.items(), key=lambda item: (len(item[1]), item[0]))
    some = f"{len(wanting)} of {classes} classes" if len(wanting) > 1 else f"class {label}"
    raise _wrong(
        raw,
        f"have fewer than {least} different inputs of {some}, such as {len(seen)} of class {label}: add some, or state "
        "a smaller 'least-per-class' under 'samples' in the policy",
    )


def _wrong(raw: RawSamples, what: str) -> UnexaminableError:
    return UnexaminableError(f"the samples {raw.source} {what}")

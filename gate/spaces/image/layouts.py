"""How stored images become (N, C, H, W), and in which order of axes the model takes them.

Detectors see images of channels, rows and columns. A model may take them with the channels last, as TensorFlow and many
cameras have them, or grey without an axis of channels: what stands between gives it the axes that its program declares.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
Form = Literal["NCHW", "NHWC", "NHW"]
Sizes = Sequence[int | None]
_COLOURS = (1, 3, 4)
"""Channels of an image, where nobody states which axis holds them."""


@dataclass(frozen=True)
class Arranged:
    """Inputs as detectors see them, (N, C, H, W), and the axes that the model is given."""

    inputs: Array
    form: Form = "NCHW"


def readings(inputs: Array, layout: str | None) -> list[Array]:
    """Return the readings of stored inputs as (N, C, H, W), the stated one or every possible one."""
    if inputs.ndim == 3:
        return [inputs[:, None]] if layout in (None, "NHW") else []
    both = {"NCHW": inputs, "NHWC": inputs.transpose(0, 3, 1, 2)}
    return [both[layout]] if layout in both else list(both.values()) if layout is None else []


def arranged(read: Sequence[Array], wanted: Sizes | None, layout: str | None) -> Arranged | None:
    """Return the reading that goes with a model that declares the axes `wanted` of one input; None where none does.

    Channels first is believed, unless the channels would then be more than the rows or columns of an image.
    """
    first = next((x for x in read if wanted is None or fits(x.shape[1:], wanted)), None)
    if wanted is None or (first is not None and _fewer_channels(first)):
        return None if first is None else Arranged(first)
    return next(_otherwise(read, wanted, layout), None) or (None if first is None else Arranged(first))


def _otherwise(read: Sequence[Array], wanted: Sizes, layout: str | None) -> Iterator[Arranged]:
    for x in read:
        channels, rows, columns = x.shape[1:]
        named = channels in _COLOURS or layout == "NHWC"
        if named and _fewer_channels(x) and fits((rows, columns, channels), wanted):
            yield Arranged(x, "NHWC")
        if channels == 1 and fits((rows, columns), wanted):
            yield Arranged(x, "NHW")


def _fewer_channels(x: Array) -> bool:
    return bool(x.shape[1] < min(x.shape[2:]))


def fits(shape: Sequence[int], wanted: Sizes) -> bool:
    """Tell whether sizes are the wanted ones, of which some may be any."""
    return len(shape) == len(wanted) and all(n is None or m == n for m, n in zip(shape, wanted, strict=True))


def channels_first(wanted: Sizes) -> Sizes:
    """Return a model's axes of one input as (C, H, W), where they are an image's."""
    if len(wanted) == 2:
        return (1, *wanted)
    if len(wanted) == 3 and wanted[2] in _COLOURS and wanted[0] not in _COLOURS:
        return (wanted[2], wanted[0], wanted[1])
    return wanted


def in_form(shape: Sequence[int], form: Form) -> tuple[int, ...]:
    """Return the axes (C, H, W) of one input as a model of that form declares them."""
    channels, rows, columns = shape
    return {"NCHW": (channels, rows, columns), "NHWC": (rows, columns, channels), "NHW": (rows, columns)}[form]


def contiguous(found: Arranged) -> Arranged:
    """Return the same in memory of their own, in the order of the axes."""
    return Arranged(np.ascontiguousarray(found.inputs), found.form)

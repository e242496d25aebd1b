"""Orders of axes: stored images become (N, C, H, W) for detectors, and the model gets the axes that it declares.

A model may take channels last, as TensorFlow and many cameras have them, or grey images without an axis of channels.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from gate.spaces.image.stored import Array

Form = Literal["NCHW", "NHWC", "NHW"]
Sizes = Sequence[int | None]
COLOURS = (1, 3, 4)
"""Numbers of channels by which an axis is recognised where no layout is stated."""


@dataclass(frozen=True)
class Arranged:
    """Inputs as detectors see them, (N, C, H, W), and the axes in which the model takes them."""

    inputs: Array
    form: Form = "NCHW"


def readings(inputs: Array, layout: str | None) -> list[Array]:
    """Return stored inputs read as (N, C, H, W), in the stated layout or in every possible one."""
    if inputs.ndim == 3:
        return [inputs[:, None]] if layout in (None, "NHW") else []
    both = {"NCHW": inputs, "NHWC": inputs.transpose(0, 3, 1, 2)}
    return [both[layout]] if layout in both else list(both.values()) if layout is None else []


def arranged(read: Sequence[Array], wanted: Sizes | None, layout: str | None) -> Arranged | None:
    """Return the reading that fits a model that declares the axes `wanted` of one input; None where none does.

    Channels first is preferred, unless the channels would then outnumber an image's rows or columns.
    """
    first = next((x for x in read if wanted is None or fits(x.shape[1:], wanted)), None)
    if wanted is None or (first is not None and _fewer_channels(first)):
        return None if first is None else Arranged(first)
    return next(_otherwise(read, wanted, layout), None) or (None if first is None else Arranged(first))


def _otherwise(read: Sequence[Array], wanted: Sizes, layout: str | None) -> Iterator[Arranged]:
    for x in read:
        channels, rows, columns = x.shape[1:]
        named = channels in COLOURS or layout == "NHWC"
        if named and _fewer_channels(x) and fits((rows, columns, channels), wanted):
            yield Arranged(x, "NHWC")
        if channels == 1 and fits((rows, columns), wanted):
            yield Arranged(x, "NHW")


def _fewer_channels(x: Array) -> bool:
    return bool(x.shape[1] < min(x.shape[2:]))


def fits(shape: Sequence[int], wanted: Sizes) -> bool:
    """Tell whether sizes are the wanted ones; None fits any size."""
    return len(shape) == len(wanted) and all(n is None or m == n for m, n in zip(shape, wanted, strict=True))


def channels_first(wanted: Sizes) -> Sizes:
    """Return a model's axes of one input as (C, H, W) if they are an image's, else unchanged."""
    if len(wanted) == 2:
        return (1, *wanted)
    if len(wanted) == 3 and wanted[2] in COLOURS and wanted[0] not in COLOURS:
        return (wanted[2], wanted[0], wanted[1])
    return wanted


def in_form(shape: Sequence[int], form: Form) -> tuple[int, ...]:
    """Return the axes (C, H, W) of one input as a model of that form declares them."""
    channels, rows, columns = shape
    return {"NCHW": (channels, rows, columns), "NHWC": (rows, columns, channels), "NHW": (rows, columns)}[form]

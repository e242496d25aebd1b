"""The likely cause of samples that do not fit a model or a policy, as a sentence."""

import math
from collections.abc import Mapping, Sequence

from gate.spaces.image.layouts import COLOURS, channels_first, fits

_BYTE, _WORD = 255.0, 65535.0
_IMAGENET = "ImageNet's look likely: [0.485, 0.456, 0.406] and [0.229, 0.224, 0.225]"
_IMAGENET_LOW, _IMAGENET_HIGH = (-2.12, -1.95), (2.2, 2.65)
"""Ranges of the darkest and the brightest value after normalising by ImageNet's statistics."""
_RECOLOUR: Mapping[tuple[int, int | None], str] = {
    (1, 3): "repeat the grey channel three times, as the model's own preprocessing does",
    (3, 1): "save the samples in grey, as the model's own preprocessing does",
    (4, 3): "leave out the fourth channel, most often transparency",
}
"""Remedy by the channels that the samples have and the model wants."""
BYTES_ALONE = "of a model of other data the bytes alone can be judged, with --policy files-only"


def _shown(shape: Sequence[int | None], between: str = " × ") -> str:
    return between.join("any" if size is None else str(size) for size in shape)


def beyond_bounds(found: tuple[float, float], expected: tuple[float, float], *, stated: bool) -> str:
    """Return why values leave the bounds; `stated` tells whether these are from the policy or from the values' type."""
    (low, high), (least, greatest) = found, expected
    whose = "as the policy states" if stated else "as for all but uint8 unless the policy states bounds"
    said = f"the samples lie in [{low:.4g}, {high:.4g}]; expected values in [{least:g}, {greatest:g}], {whose}"
    bounds = "under 'samples' in the policy"
    if greatest <= 1 and low >= 0 and high <= _BYTE and high > greatest:
        return f"{said}: divide them by 255, or state 'bounds: [0, 255]' {bounds} if the model takes them so"
    if greatest <= 1 and low >= 0 and _BYTE < high <= _WORD:
        return f"{said}: divide them by 65535, or state 'bounds: [0, 65535]' {bounds} if the model takes them so"
    if -1 <= low < 0 and high <= 1:
        return f"{said}: state 'bounds: [-1, 1]' {bounds} if the model takes them so, or map them by (x + 1) / 2"
    if low < 0:
        return f"{said}: {_normalised(low, high)}"
    return f"{said}: state 'bounds' {bounds} that hold them, or scale the samples"


def _normalised(low: float, high: float) -> str:
    """Return both remedies for values that were normalised before they were saved, with their numbers."""
    around = f"[{math.floor(low * 10) / 10:g}, {math.ceil(high * 10) / 10:g}]"
    as_they_are = f"they look normalised; state 'bounds: {around}' under 'samples' in the policy to examine them so"
    if high <= 0:
        return as_they_are
    # Pixels from 0 to 1 become -mean / std to (1 - mean) / std.
    spread = 1 / (high - low)
    imagenet = _IMAGENET_LOW[0] <= low <= _IMAGENET_LOW[1] and _IMAGENET_HIGH[0] <= high <= _IMAGENET_HIGH[1]
    numbers = _IMAGENET if imagenet else f"about {-low * spread:.2g} and {spread:.2g} if pixels ran from 0 to 1"
    return f"{as_they_are}, or save the images as they were before and state there their 'mean' and 'std' ({numbers})"


def beyond_classes(least: int, greatest: int, classes: int) -> str:
    """Return why labels are not among the model's classes."""
    said = f"the labels run from {least} to {greatest}; the model's classes are 0 to {classes - 1}"
    if least == 1 and greatest == classes:
        return f"{said}: subtract one from the labels"
    if least < 0:
        return f"{said}: number them from 0, and leave out samples without a class"
    if least > 0 and greatest - least < classes:
        return f"{said}: subtract {least} from the labels if the model numbers these classes from 0"
    return f"{said}: the samples are another task's, or the model another's"


def other_shape(
    stored: Sequence[int],
    readings: Sequence[Sequence[int]],
    wanted: Sequence[int | None] | None,
    layout: str | None,
) -> str:
    """Return why images of a stored shape (N, …) do not fit the model's (C, H, W).

    `readings` are the shapes (C, H, W) that they may have under the policy's layout, if any.
    """
    said = f"the samples have shape {tuple(stored)}"
    if not readings or wanted is None:
        return f"{said}, which is not the layout '{layout}' that the policy states: state another or none"
    why = _why_other(stored, readings, wanted, layout)
    return f"{why}; {said}; the model takes images of shape ({_shown(wanted, ', ')})"


def _why_other(
    stored: Sequence[int], readings: Sequence[Sequence[int]], wanted: Sequence[int | None], layout: str | None
) -> str:
    wanted = channels_first(wanted)
    if len(wanted) == 1:
        said = f"the model takes rows of {_shown(wanted)} numbers, and the gate examines image classifiers only"
        return f"{said}: {_of_rows(readings, wanted)}"
    if len(wanted) != 3:
        return "the model does not take images alone, and the gate examines image classifiers only"
    if layout == "NCHW" and len(stored) == 4 and fits((stored[3], stored[1], stored[2]), wanted):
        return "the samples have their channels last, and the policy states the layout NCHW: state NHWC"
    if layout == "NHWC" and fits(stored[1:], wanted):
        return "the samples have their channels first, and the policy states the layout NHWC: state NCHW"
    reading = next((one for one in readings if one[0] in COLOURS), readings[0])
    if not fits(reading[1:], wanted[1:]):
        turned = reading[1] != reading[2] and fits((reading[2], reading[1]), wanted[1:])
        mend = "exchange height and width" if turned else "resize the samples, with the model's own preprocessing"
        return f"the samples are {_shown(reading[1:])} and the program declares {_shown(wanted[1:])}: {mend}"
    have, want = reading[0], wanted[0]
    mend = _RECOLOUR.get((have, want), "save the samples with the model's own preprocessing")
    return f"the samples have {_channels(have)} and the program declares {_channels(want)}: {mend}"


def _of_rows(readings: Sequence[Sequence[int]], wanted: Sequence[int | None]) -> str:
    if wanted[0] in {math.prod(one) for one in readings}:
        return "log the model again with torch.nn.Flatten() before it and images as the input example"
    return BYTES_ALONE


def _channels(count: int | None) -> str:
    return f"{count} channel" + ("" if count == 1 else "s")

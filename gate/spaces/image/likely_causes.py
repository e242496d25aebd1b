"""The likely cause of samples that do not go with a model or a policy, in words. Pure."""

import math
from collections.abc import Sequence

from gate.spaces.image.layouts import channels_first, fits

_BYTE, _WORD = 255.0, 65535.0
_IMAGENET = "ImageNet's look likely: [0.485, 0.456, 0.406] and [0.229, 0.224, 0.225]"
_IMAGENET_LOW, _IMAGENET_HIGH = (-2.12, -1.95), (2.2, 2.65)
"""Where black and white lie, or what is nearly so, once normalised by ImageNet's statistics."""
_IMAGE_CHANNELS = (1, 3, 4)


def shown(shape: Sequence[int | None]) -> str:
    """Return sizes as people write them; a size that may be any is said so."""
    return " × ".join("any" if size is None else str(size) for size in shape)


def beyond_bounds(found: tuple[float, float], expected: tuple[float, float], *, stated: bool) -> str:
    """Return why values leave the bounds; `stated` tells whether the policy says them or the values' type does."""
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
    """Return both ways out for values that were normalised before they were saved, with their numbers."""
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
    """Return why labels are none of the model's classes."""
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
    """Return why images of a stored shape (N, …) are not what the model takes (C, H, W).

    `readings` are the shapes (C, H, W) as which they may be read under the layout that the policy states, if any.
    """
    said = f"the samples have shape {tuple(stored)}"
    if not readings or wanted is None:
        return f"{said}, which is not the layout '{layout}' that the policy states: state another or none"
    sizes = ", ".join("any" if size is None else str(size) for size in wanted)
    return f"{_why_other(stored, readings, wanted, layout)}; {said}; the model takes images of shape ({sizes})"


def _why_other(
    stored: Sequence[int], readings: Sequence[Sequence[int]], wanted: Sequence[int | None], layout: str | None
) -> str:
    wanted = channels_first(wanted)
    if len(wanted) == 1:
        said = f"the model takes rows of {shown(wanted)} numbers, and the gate examines image classifiers only"
        return f"{said}: {_of_rows(readings, wanted)}"
    if len(wanted) != 3:
        return "the model does not take images alone, and the gate examines image classifiers only"
    if layout == "NCHW" and len(stored) == 4 and fits((stored[3], stored[1], stored[2]), wanted):
        return "the samples have their channels last, and the policy states the layout NCHW: state NHWC"
    if layout == "NHWC" and fits(stored[1:], wanted):
        return "the samples have their channels first, and the policy states the layout NHWC: state NCHW"
    reading = next((one for one in readings if one[0] in _IMAGE_CHANNELS), readings[0])
    if not fits(reading[1:], wanted[1:]):
        turned = reading[1] != reading[2] and fits((reading[2], reading[1]), wanted[1:])
        mend = "exchange height and width" if turned else "resize the samples, with the model's own preprocessing"
        return f"the samples are {shown(reading[1:])} and the program declares {shown(wanted[1:])}: {mend}"
    have, want = _channels(reading[0]), _channels(wanted[0])
    return f"the samples have {have} and the program declares {want}: {_recolour(reading[0], wanted[0])}"


def _of_rows(readings: Sequence[Sequence[int]], wanted: Sequence[int | None]) -> str:
    if wanted[0] in {math.prod(one) for one in readings}:
        return "log the model again with torch.nn.Flatten() before it and images as the input example"
    return "of a model of other data the bytes alone can be judged, with --policy files-only"


def _channels(count: int | None) -> str:
    return f"{count} channel" + ("" if count == 1 else "s")


def _recolour(have: int, want: int | None) -> str:
    if (have, want) == (1, 3):
        return "repeat the grey channel three times, as the model's own preprocessing does"
    if (have, want) == (3, 1):
        return "save the samples in grey, as the model's own preprocessing does"
    if (have, want) == (4, 3):
        return "leave out the fourth channel, most often transparency"
    return "save the samples with the model's own preprocessing"

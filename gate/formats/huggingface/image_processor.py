"""`preprocessor_config.json`: what happens to an image before the network, as sizes and affine maps.

Resizing and cropping are stated, and samples must come at the size that they lead to; rescaling and normalising are
written as maps that stand in front of the network. Nothing is taken from a class's defaults: `save_pretrained` writes
every key. After transformers 5.24, `image_processing_backends.py` (TorchvisionBackend, PilBackend) and the classes'
own `_preprocess`.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from gate.formats.huggingface.keys import FLAG, NULL, NUMBER, faults
from gate.formats.shapes import Shape, either, exactly
from gate.formats.source import UnreadableError

_SUFFIXES: Final = ("Fast", "Pil")
"""Ends of names of the same processor by another library; they differ in how they resize."""
_MAX_SIDE: Final = 4096
_CONVNEXT: Final = "ConvNextImageProcessor"
_NEVER_CROPPED: Final = 384
"""Shortest edge from which on ConvNeXT's processor resizes both sides, and crops nothing."""
_FILTERS: Final = ("nearest", "lanczos", "bilinear", "bicubic", "box", "hamming")
"""Ways of resizing by Pillow's numbers."""


def _is_side(given: Any) -> bool:
    return type(given) is int and 0 < given <= _MAX_SIDE


def _is_rectangle(given: Any) -> bool:
    return isinstance(given, dict) and set(given) == {"height", "width"} and all(map(_is_side, given.values()))


def _is_shortest(given: Any) -> bool:
    return isinstance(given, dict) and set(given) == {"shortest_edge"} and _is_side(given["shortest_edge"])


def _by_channel(holds: Shape) -> Shape:
    def fits(given: Any) -> bool:
        return isinstance(given, list) and 1 <= len(given) <= 4 and all(map(holds.holds, given))

    return Shape(f"a list of one to four: {holds.expected}", fits)


_ABOVE_ZERO: Final = Shape("a number above 0", lambda given: NUMBER.holds(given) and given > 0)
_NOT_SET: Final = either(NULL, Shape("false", lambda given: given is False))
_RECTANGLE: Final = Shape("height and width", _is_rectangle)
_COMMON: Final[Mapping[str, Shape]] = {
    "crop_size": either(_RECTANGLE, NULL),
    "data_format": either(NULL, exactly("channels_first")),
    "default_to_square": either(NULL, FLAG),
    "device": NULL,
    "disable_grouping": NULL,
    "do_center_crop": either(FLAG, NULL),
    "do_convert_rgb": either(FLAG, NULL),
    "do_normalize": FLAG,
    "do_pad": _NOT_SET,
    "do_reduce_labels": _NOT_SET,
    "do_rescale": FLAG,
    "do_resize": FLAG,
    "image_mean": _by_channel(NUMBER),
    "image_seq_length": NULL,
    "image_std": _by_channel(_ABOVE_ZERO),
    "input_data_format": NULL,
    "pad_size": NULL,
    "processor_class": NULL,
    "resample": Shape("0 to 5", lambda given: type(given) is int and 0 <= given <= 5),
    "rescale_factor": _ABOVE_ZERO,
    "return_tensors": NULL,
    "size": Shape("height and width, or shortest_edge", lambda given: _is_rectangle(given) or _is_shortest(given)),
}
_OWN: Final[Mapping[str, Mapping[str, Shape]]] = {
    "BeitImageProcessor": {},
    "BitImageProcessor": {},
    _CONVNEXT: {"crop_pct": _ABOVE_ZERO},
    "DeiTImageProcessor": {},
    "EfficientNetImageProcessor": {"include_top": FLAG, "rescale_offset": FLAG},
    "MobileNetV2ImageProcessor": {},
    "ViTImageProcessor": {},
}
"""The processors, with the keys that only they have, all of which must be there."""
_NEEDED: Final = ("do_resize", "do_rescale", "do_normalize")


@dataclass(frozen=True)
class Affine:
    """One map by channel: (x - mean) / std."""

    mean: tuple[float, ...]
    std: tuple[float, ...]


@dataclass(frozen=True)
class Images:
    """What a pipeline makes of an image."""

    processor: str
    """Class of transformers, without the suffix of a library."""
    values: Mapping[str, Any]
    """Its settings, for that class."""
    height: int | None
    """Size after resizing and cropping; None where images keep theirs."""
    width: int | None
    resized: str
    """Words for how an image comes to that size; empty where it keeps its own."""
    maps: tuple[Affine, ...]
    """From bytes, 0 to 255, to what the network is given."""


def plain_name(processor: Any) -> str:
    """Return a processor's class without the suffix of a library."""
    name = processor if isinstance(processor, str) else ""
    return next((name.removesuffix(end) for end in _SUFFIXES if name.endswith(end)), name)


def processor_faults(given: Any) -> Iterator[str]:
    """Yield what in a parsed `preprocessor_config.json` the gate does not know, or needs and does not find."""
    if not isinstance(given, dict):
        yield "it is no mapping"
        return
    name = plain_name(given.get("image_processor_type"))
    if name not in _OWN:
        yield f"'image_processor_type' is {str(given.get('image_processor_type'))[:60]!r}; the gate reads " + ", ".join(
            _OWN
        )
        return
    named = Shape("a text", lambda value: isinstance(value, str))
    yield from faults(given, {**_COMMON, **_OWN[name], "image_processor_type": named}, f"a {name}")
    yield from (f"it has no {key!r}, which {name} writes" for key in _needed(given, name) if given.get(key) is None)
    if name == _CONVNEXT and given.get("do_resize") and _is_rectangle(given.get("size")):
        yield f"'size' is height and width; {name} resizes by 'shortest_edge' alone"
    if given.get("do_normalize") and _lengths_differ(given):
        yield "'image_mean' and 'image_std' have different lengths"


def _needed(given: Mapping[str, Any], name: str) -> Iterator[str]:
    """Yield the keys without which a class would take a default of its own."""
    yield from (*_NEEDED, *_OWN[name])
    if given.get("do_resize"):
        yield "size"
    if given.get("do_center_crop"):
        yield "crop_size"
    if given.get("do_rescale"):
        yield "rescale_factor"
    if given.get("do_normalize") or given.get("include_top"):
        yield from ("image_mean", "image_std")
    if name not in ("ViTImageProcessor", _CONVNEXT):
        yield "do_center_crop"


def _lengths_differ(given: Mapping[str, Any]) -> bool:
    mean, std = given.get("image_mean"), given.get("image_std")
    return isinstance(mean, list) and isinstance(std, list) and len(mean) != len(std)


def read_images(given: Mapping[str, Any]) -> Images:
    """Return what a mapping without faults does; sizes that depend on the image raise `UnreadableError`."""
    name = plain_name(given["image_processor_type"])
    size, words = _size(given, name)
    values = {key: value for key, value in given.items() if key != "image_processor_type"}
    return Images(name, values, size and size[0], size and size[1], words, tuple(_maps(given)))


def _size(given: Mapping[str, Any], name: str) -> tuple[tuple[int, int] | None, str]:
    """Return height and width after resizing and cropping, and how an image gets them."""
    resized, words, to = None, "", given.get("size") if given["do_resize"] else None
    by = f" ({_FILTERS[given['resample']]})" if given.get("resample") is not None else ""
    if to is not None and "height" in to:
        resized = (to["height"], to["width"])
        words = f"resized to {_shown(resized)}{by}"
    elif to is not None and name == _CONVNEXT:
        side = to["shortest_edge"]
        resized = (side, side)
        whole = side >= _NEVER_CROPPED
        first = _shown(resized) if whole else f"a shorter side of {int(side / given['crop_pct'])}"
        words = f"resized to {first}{by}" + ("" if whole else f", cropped to {_shown(resized)}")
    elif to is not None:
        words = f"resized to a shorter side of {to['shortest_edge']}{by}"
    if given.get("do_center_crop"):
        crop = given["crop_size"]
        cropped = (crop["height"], crop["width"])
        return cropped, f"{words}{', ' if words else ''}cropped to {_shown(cropped)}"
    if to is not None and resized is None:
        raise UnreadableError(
            "images keep their proportions ('shortest_edge' without 'do_center_crop'), so that the "
            "network has no one input size"
        )
    return resized, words


def _shown(size: tuple[int, int]) -> str:
    return f"{size[0]} × {size[1]}"


def _maps(given: Mapping[str, Any]) -> Iterator[Affine]:
    """Yield the maps in their order; rescaling and normalising are one where transformers makes them one."""
    factor = given["rescale_factor"] if given["do_rescale"] else 1.0
    offset = bool(given.get("rescale_offset")) and bool(given["do_rescale"])
    mean, std = given.get("image_mean") or [], given.get("image_std") or []
    if given["do_normalize"] and not offset:
        yield Affine(tuple(one / factor for one in mean), tuple(one / factor for one in std))
    else:
        if given["do_rescale"]:
            yield Affine((1 / factor if offset else 0.0,), (1 / factor,))
        if given["do_normalize"]:
            yield Affine(tuple(mean), tuple(std))
    if given.get("include_top"):
        yield Affine((0.0,) * len(std), tuple(std))

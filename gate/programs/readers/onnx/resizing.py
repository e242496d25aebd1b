"""Enlarging and shrinking pictures, in those modes of ONNX that torch has exactly."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from torch.nn import functional

from gate.programs.readers.onnx.calls import Call, Operator

if TYPE_CHECKING:
    import torch

_HALF_PIXEL: Final = ("half_pixel", "pytorch_half_pixel")
_CUBIC: Final = -0.75
"""The coefficient of torch's cubic interpolation, and ONNX's default."""
_ATTRIBUTES: Final = frozenset({
    "coordinate_transformation_mode", "cubic_coeff_a", "exclude_outside", "extrapolation_value",
    "keep_aspect_ratio_policy", "mode", "nearest_mode",
})  # fmt: skip


def _interpolated(call: Call, x: torch.Tensor, given: dict[str, Any], mode: str, **how: Any) -> torch.Tensor:
    if x.ndim != 4:
        raise call.refuse(f"a value with {x.ndim} axes; pictures (N, C, H, W) are resized")
    return functional.interpolate(x, mode=mode, **given, **how)


def _resize(call: Call) -> torch.Tensor:
    """Resize by scales or to sizes; batch and channels stay."""
    x, mode = call.tensor(), call.attribute("mode", "nearest")
    coordinates = call.attribute("coordinate_transformation_mode", "half_pixel" if call.opset > 10 else "asymmetric")
    if call.attribute("exclude_outside", 0) or call.attribute("keep_aspect_ratio_policy", "stretch") != "stretch":
        raise call.refuse("it leaves out what lies outside, or keeps the ratio of its sides")
    given, whole = _target(call, x, 1 if call.opset == 10 else 2)
    if mode == "nearest":
        return _nearest(call, x, given, coordinates, whole=whole)
    if coordinates == "align_corners":
        how = {"align_corners": True}
    elif coordinates in _HALF_PIXEL and 1 not in _sides(x, given):
        how = {"align_corners": False}
    else:
        raise call.refuse(f"mode {mode!r} with {coordinates!r} is not read")
    if mode == "cubic" and call.attribute("cubic_coeff_a", _CUBIC) == _CUBIC:
        return _interpolated(call, x, given, "bicubic", **how)
    if mode == "linear":
        return _interpolated(call, x, given, "bilinear", **how)
    raise call.refuse(f"mode {mode!r} is not read")


def _sides(x: torch.Tensor, given: dict[str, Any]) -> list[int]:
    """Return height and width after resizing."""
    if "size" in given:
        return list(given["size"])
    return [int(size * scale) for size, scale in zip(x.shape[2:], given["scale_factor"], strict=True)]


def _nearest(call: Call, x: torch.Tensor, given: dict[str, Any], coordinates: str, *, whole: bool) -> torch.Tensor:
    """Repeat pixels a whole number of times: there the ways of rounding that are read agree."""
    rounding = call.attribute("nearest_mode", "round_prefer_floor" if call.opset > 10 else "floor")
    halves = coordinates in _HALF_PIXEL and rounding.startswith("round_prefer")
    if not whole or not (halves or (coordinates == "asymmetric" and rounding == "floor")):
        raise call.refuse(f"mode 'nearest' with {coordinates!r}, {rounding!r}, or no whole scale, is not read")
    if x.ndim != 4:
        raise call.refuse(f"a value with {x.ndim} axes; pictures (N, C, H, W) are resized")
    return _repeated(x, *(new // old for new, old in zip(_sides(x, given), x.shape[2:], strict=True)))


def _repeated(x: torch.Tensor, rows: int, columns: int) -> torch.Tensor:
    """Repeat each pixel; torch's own way to enlarge multiplies by the rounded inverse, and takes others from 41 on."""
    count, channels, height, width = x.shape
    whole = x[:, :, :, None, :, None].expand(count, channels, height, rows, width, columns)
    return whole.reshape(count, channels, height * rows, width * columns)


def _target(call: Call, x: torch.Tensor, scales_at: int) -> tuple[dict[str, Any], bool]:
    """Return the scales or sizes of height and width, and whether both are enlarged by whole numbers."""
    if call.has(scales_at + 1):
        sizes = call.integers(scales_at + 1)
        same = len(sizes) == x.ndim and all(a is b or a == b for a, b in zip(sizes[:2], x.shape[:2], strict=True))
        if not same:
            raise call.refuse(f"the sizes {sizes} change more than height and width")
        return {"size": list(sizes[2:])}, all(size % old == 0 for size, old in zip(sizes[2:], x.shape[2:], strict=True))
    return _scaled(call, x, tuple(call.constant(scales_at).tolist()))


def _scaled(call: Call, x: torch.Tensor, scales: tuple[float, ...]) -> tuple[dict[str, Any], bool]:
    if len(scales) != x.ndim or scales[:2] != (1.0, 1.0) or min(scales) <= 0:
        raise call.refuse(f"the scales {scales} change more than height and width")
    whole = all(float(scale).is_integer() for scale in scales)
    return {"scale_factor": list(scales[2:]), "recompute_scale_factor": False}, whole


def _upsample(call: Call) -> torch.Tensor:
    x = call.tensor()
    scales = call.attribute("scales") if call.opset < 9 else tuple(call.constant(1).tolist())
    if call.attribute("mode", "nearest") != "nearest" or scales is None:
        raise call.refuse("another mode than 'nearest'")
    given, whole = _scaled(call, x, tuple(scales))
    return _nearest(call, x, given, "asymmetric", whole=whole) if call.opset < 11 else _unknown(call)


def _unknown(call: Call) -> torch.Tensor:
    raise call.refuse("it left the standard in version 10")


RESIZING: Final[dict[str, Operator]] = {
    "Resize": Operator(_resize, _ATTRIBUTES, since=10),
    "Upsample": Operator(_upsample, frozenset({"mode", "scales"})),
}
"""Operators by name."""

"""Windows that move over pictures: paddings of convolutions and pools as ONNX counts them, and the pools."""

from __future__ import annotations

from math import ceil
from typing import Final

import torch
from torch.nn import functional

from gate.programs.readers.onnx.calls import Call, Operator

_MAX_POOLS: Final = {1: torch.max_pool1d, 2: torch.max_pool2d, 3: torch.max_pool3d}
_AVERAGES: Final = {1: functional.avg_pool1d, 2: functional.avg_pool2d, 3: functional.avg_pool3d}
_SAME: Final = ("SAME_UPPER", "SAME_LOWER")


def sides(call: Call, name: str, count: int) -> tuple[int, ...]:
    """Return an attribute with one positive number for each spatial axis; ones where it is left out."""
    found: tuple[int, ...] = call.attribute(name, (1,) * count)
    if len(found) != count or min(found) < 1:
        raise call.refuse(f"{name} {found} for {count} spatial axes")
    return found


def padded(
    call: Call,
    x: torch.Tensor,
    kernel: tuple[int, ...],
    strides: tuple[int, ...],
    dilations: tuple[int, ...],
    value: float,
) -> tuple[torch.Tensor, tuple[int, ...]]:
    """Return the picture and the padding that is the same on both sides; another one is added to the picture."""
    begins, ends = pads(call, x, kernel, strides, dilations)
    if begins == ends:
        return x, begins
    return _add(x, begins, ends, value), (0,) * len(kernel)


def pads(
    call: Call, x: torch.Tensor, kernel: tuple[int, ...], strides: tuple[int, ...], dilations: tuple[int, ...]
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Return how much is put before and behind each spatial axis."""
    count, mode = len(kernel), call.attribute("auto_pad", "NOTSET")
    stated: tuple[int, ...] = call.attribute("pads", (0,) * 2 * count)
    if x.ndim != count + 2 or len(stated) != 2 * count or min(stated, default=0) < 0:
        raise call.refuse(f"pads {stated} for a value with {x.ndim} axes")
    if mode == "VALID":
        return (0,) * count, (0,) * count
    if mode == "NOTSET":
        return stated[:count], stated[count:]
    if mode not in _SAME:
        raise call.refuse(f"auto_pad {mode!r} is not read")
    wanted = []
    for size, width, stride, dilation in zip(x.shape[2:], kernel, strides, dilations, strict=True):
        wanted.append(max((ceil(size / stride) - 1) * stride + (width - 1) * dilation + 1 - size, 0))
    less, more = tuple(one // 2 for one in wanted), tuple(one - one // 2 for one in wanted)
    return (less, more) if mode == _SAME[0] else (more, less)


def _add(x: torch.Tensor, begins: tuple[int, ...], ends: tuple[int, ...], value: float) -> torch.Tensor:
    flat = [side for pair in reversed(list(zip(begins, ends, strict=True))) for side in pair]
    return functional.pad(x, flat, value=value)


def _geometry(call: Call, x: torch.Tensor) -> tuple[tuple[int, ...], ...]:
    """Return kernel, strides and dilations of a pool."""
    kernel: tuple[int, ...] = call.attribute("kernel_shape", ())
    count = len(kernel)
    if count not in _MAX_POOLS or count != x.ndim - 2 or min(kernel) < 1:
        raise call.refuse(f"a kernel {kernel} over a value with {x.ndim} axes")
    dilations, mode = sides(call, "dilations", count), call.attribute("auto_pad", "NOTSET")
    if mode != "NOTSET" and (call.attribute("ceil_mode", 0) or max(dilations) > 1):
        raise call.refuse(f"auto_pad {mode!r} together with ceil_mode or dilations {dilations}")
    return kernel, sides(call, "strides", count), dilations


def _widened(
    call: Call, x: torch.Tensor, geometry: tuple[tuple[int, ...], ...]
) -> tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]]:
    """Return the pads before and behind, and how much more is needed behind where sizes are rounded up.

    A window that would begin behind the picture and the padding before it is left out, as onnxruntime does.
    """
    begins, ends = pads(call, x, *geometry)
    more = [0] * len(begins)
    if call.attribute("ceil_mode", 0):
        for place, (size, width, stride, dilation) in enumerate(zip(x.shape[2:], *geometry, strict=True)):
            room = size + begins[place] + ends[place] - (width - 1) * dilation - 1
            windows = -(-room // stride) + 1
            if (windows - 1) * stride >= size + begins[place]:
                windows -= 1
            more[place] = max((windows - 1) * stride - room, 0)
    return begins, ends, tuple(more)


def _max_pool(call: Call) -> torch.Tensor:
    x = call.tensor()
    kernel, strides, dilations = geometry = _geometry(call, x)
    if any(width > 1 and size < gap for size, width, gap in zip(x.shape[2:], kernel, dilations, strict=True)):
        raise call.refuse(f"dilations {dilations} step over the whole picture, so that a window may hold no pixel")
    begins, ends, more = _widened(call, x, geometry)
    behind = tuple(one + other for one, other in zip(ends, more, strict=True))
    if begins != behind or any(2 * pad > width for pad, width in zip(begins, kernel, strict=True)):
        x, begins = _add(x, begins, behind, float("-inf")), (0,) * len(kernel)
    return _MAX_POOLS[len(kernel)](x, kernel, strides, begins, dilations)


def _average_pool(call: Call) -> torch.Tensor:
    """Average over the numbers of a window: those of the picture, or with `count_include_pad` those of the pads too."""
    x = call.tensor()
    kernel, strides, dilations = geometry = _geometry(call, x)
    if max(dilations) > 1:
        raise call.refuse(f"dilations {dilations}; averages are read without")
    begins, ends, more = _widened(call, x, geometry)
    include, average = bool(call.attribute("count_include_pad", 0)), _AVERAGES[len(kernel)]
    if begins == ends and not any(more) and all(2 * pad <= width for pad, width in zip(begins, kernel, strict=True)):
        return average(x, kernel, strides, begins, count_include_pad=include)
    counted = torch.ones((1, 1, *x.shape[2:]), dtype=x.dtype, device=x.device)
    counted = _add(_add(counted, begins, ends, 1.0 if include else 0.0), (0,) * len(more), more, 0.0)
    whole = _add(x, begins, tuple(one + other for one, other in zip(ends, more, strict=True)), 0.0)
    return average(whole, kernel, strides) / average(counted, kernel, strides)


def _global_average(call: Call) -> torch.Tensor:
    x = call.tensor()
    if x.ndim == 4:
        return functional.adaptive_avg_pool2d(x, 1)
    return x.mean(tuple(range(2, x.ndim)), keepdim=True)


def _global_max(call: Call) -> torch.Tensor:
    x = call.tensor()
    return torch.amax(x, tuple(range(2, x.ndim)), keepdim=True)


_WINDOW: Final = frozenset({"auto_pad", "ceil_mode", "dilations", "kernel_shape", "pads", "strides"})
WINDOWS: Final[dict[str, Operator]] = {
    "AveragePool": Operator(_average_pool, _WINDOW | {"count_include_pad"}),
    "GlobalAveragePool": Operator(_global_average),
    "GlobalMaxPool": Operator(_global_max),
    "MaxPool": Operator(_max_pool, _WINDOW | {"storage_order"}),
}
"""Operators by name."""

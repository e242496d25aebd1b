"""Operators that move numbers and change none: shapes, slices, paddings, and sizes as values."""

from __future__ import annotations

from math import prod
from typing import Any, Final

import numpy as np
import torch
from torch.nn import functional

from gate.programs.readers.onnx import sizes
from gate.programs.readers.onnx.calls import Call, Numbers, Operator, array
from gate.programs.readers.onnx.graph import Constant
from gate.programs.readers.onnx.refused import BatchDecidesError
from gate.programs.readers.onnx.resizing import RESIZING

_MAX_MADE: Final = 1 << 24
_MAX_BACKWARDS: Final = 1 << 16
_FAR: Final = 2**31 - 1
_PADS: Final = {"constant": "constant", "reflect": "reflect", "edge": "replicate"}


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


def _shape(call: Call) -> Numbers:
    value = call.operands[0]
    shape = list(value.tensor.shape if isinstance(value, Constant) else value.shape)  # type: ignore[union-attr]
    end = call.attribute("end", len(shape))
    return array(shape[call.attribute("start", 0) : end])


def _size(call: Call) -> Numbers:
    return np.array(prod(_shape(call).tolist()), dtype=object)


def _reshape(call: Call) -> torch.Tensor:
    x, wanted = call.tensor(), call.integers(1)
    if call.attribute("allowzero", 0) and 0 in wanted:
        raise call.refuse(f"the shape {wanted} with sizes of 0")
    return x.reshape([x.shape[place] if _is(size, 0) else size for place, size in enumerate(wanted)])


def _is(size: Any, number: int) -> bool:
    """Tell whether a size is this number; one that is not known yet is not."""
    return isinstance(size, int) and size == number


def _flatten(call: Call) -> torch.Tensor:
    x = call.tensor()
    axis = call.attribute("axis", 1)
    axis = x.ndim if axis == x.ndim else call.axis(axis, x.ndim)
    if axis == 1:
        return x.flatten(1) if x.ndim > 1 else x.unsqueeze(1)
    return x.reshape(prod(x.shape[:axis]), prod(x.shape[axis:]))


def _squeeze(call: Call) -> torch.Tensor:
    x, axes = call.tensor(), call.axes(1, 13)
    if axes is None:
        if sizes.unknown(x.shape):
            raise BatchDecidesError(
                call.node.where, "it takes away every axis of one entry, of one sample the batch's too"
            )
        axes = tuple(place for place, size in enumerate(x.shape) if size == 1)
    axes = tuple(call.axis(axis, x.ndim) for axis in axes)
    if any(x.shape[axis] != 1 for axis in axes):
        raise call.refuse(f"an axis of {axes} is longer than 1")
    return x.squeeze(axes) if axes else x


def _unsqueeze(call: Call) -> torch.Tensor:
    x, axes = call.tensor(), call.axes(1, 13) or ()
    for axis in sorted(call.axis(axis, x.ndim + len(axes)) for axis in axes):
        x = x.unsqueeze(axis)
    return x


def _transpose(call: Call) -> torch.Tensor:
    x = call.tensor()
    return x.permute(call.attribute("perm", tuple(reversed(range(x.ndim)))))


def _slices(call: Call, rank: int) -> list[tuple[int, int, int, int]]:
    """Return axis, start, end and step of each slice."""
    if call.opset < 10:
        starts, ends, axes = (call.attribute(name) for name in ("starts", "ends", "axes"))
        steps = None
    else:
        starts, ends = call.integers(1), call.integers(2)
        axes, steps = (call.integers(place) if call.has(place) else None for place in (3, 4))
    axes = tuple(range(len(starts))) if axes is None else axes
    steps = (1,) * len(starts) if steps is None else steps
    if not len(starts) == len(ends) == len(axes) == len(steps) or 0 in steps:
        raise call.refuse("starts, ends, axes and steps do not go together")
    return [(call.axis(axis, rank), *rest) for axis, *rest in zip(axes, starts, ends, steps, strict=True)]


def _slice(call: Call) -> torch.Tensor:
    x = call.tensor()
    for axis, start, end, step in _slices(call, x.ndim):
        place: list[Any] = [slice(None)] * x.ndim
        if step > 0:
            place[axis] = slice(start, _bounded(end), step)
            x = x[tuple(place)]
        else:
            size = int(x.shape[axis])
            if size > _MAX_BACKWARDS:
                raise call.refuse(f"it goes backwards over {size} entries; at most {_MAX_BACKWARDS} are read")
            index = list(range(size))[slice(start, end if end >= -size else None, step)]
            x = x.index_select(axis, torch.tensor(index, device=x.device))
    return x


def _bounded(end: Any) -> Any:
    """Return an end within the range of sizes; exporters write the greatest integer for 'to the end'."""
    return min(max(end, -_FAR), _FAR) if isinstance(end, int) else end


def _slice_numbers(call: Call) -> Numbers:
    numbers = call.numbers(0)
    for axis, start, end, step in _slices(call, numbers.ndim):
        numbers = np.moveaxis(np.moveaxis(numbers, axis, 0)[start:end:step], 0, axis)
    return numbers


def _split(call: Call) -> tuple[torch.Tensor, ...]:
    x = call.tensor()
    axis = call.axis(call.attribute("axis", 0), x.ndim)
    parts = call.attribute("split") if call.opset < 13 else call.integers(1) if call.has(1) else None
    count = len(call.node.outputs)
    if parts is None:
        each = -(-int(x.shape[axis]) // call.attribute("num_outputs", count))
        parts = (*(each,) * (count - 1), int(x.shape[axis]) - each * (count - 1))
    if len(parts) != count or min(parts) < 1:
        raise call.refuse(f"parts {parts} for {count} results")
    return torch.split(x, list(parts), axis)


def _gather(call: Call) -> torch.Tensor:
    x, indices = call.tensor(), call.numbers(1)
    axis = call.axis(call.attribute("axis", 0), x.ndim)
    size = x.shape[axis]
    places = [index + size if index < 0 else index for index in indices.reshape(-1).tolist()]
    if not all(isinstance(place, int) for place in places) or any(not 0 <= place < size for place in places):
        raise call.refuse(f"an index lies outside its {size} places")
    if indices.ndim == 0:
        return x.select(axis, places[0])
    found = x.index_select(axis, torch.tensor(places, dtype=torch.int64, device=x.device))
    return found if indices.ndim == 1 else found.reshape(*x.shape[:axis], *indices.shape, *x.shape[axis + 1 :])


def _expand(call: Call) -> torch.Tensor:
    x, wanted = call.tensor(), list(call.integers(1))
    wanted = [1] * (x.ndim - len(wanted)) + wanted
    behind = len(wanted) - x.ndim
    return x.expand(
        [x.shape[place - behind] if place >= behind and _is(size, 1) else size for place, size in enumerate(wanted)]
    )


def _pad(call: Call) -> torch.Tensor:
    x, mode = call.tensor(), call.attribute("mode", "constant")
    if mode not in _PADS:
        raise call.refuse(f"mode {mode!r} is not read")
    stated = call.attribute("pads", ()) if call.opset < 11 else call.integers(1)
    axes = call.integers(3) if call.has(3) else tuple(range(x.ndim))
    if len(stated) != 2 * len(axes):
        raise call.refuse(f"pads {stated} for {len(axes)} axes")
    by_axis = {call.axis(axis, x.ndim): (stated[place], stated[place + len(axes)]) for place, axis in enumerate(axes)}
    flat = [side for axis in reversed(range(x.ndim)) for side in by_axis.get(axis, (0, 0))]
    while len(flat) > 2 and flat[-2:] == [0, 0]:
        flat = flat[:-2]
    if mode != "constant":
        return functional.pad(x, flat, mode=_PADS[mode])
    value = call.attribute("value", 0.0) if call.opset < 11 else call.constant(2).item() if call.has(2) else 0.0
    return functional.pad(x, flat, value=value)


def _concat(call: Call) -> torch.Tensor:
    every = call.tensors()
    return torch.cat(every, call.axis(call.attribute("axis", 0), every[0].ndim))


def _constant(call: Call) -> Any:
    attributes = call.node.attributes
    if len(attributes) != 1:
        raise call.refuse(f"{len(attributes)} values; expected one")
    ((name, value),) = attributes.items()
    if name == "value":
        return value
    return torch.tensor(value, dtype=torch.int64 if name.startswith("value_int") else torch.float32)


def _constant_of_shape(call: Call) -> torch.Tensor:
    shape, value = call.integers(0), call.attribute("value")
    value = torch.zeros(1) if value is None else value
    if value.numel() != 1 or prod(size for size in shape if isinstance(size, int)) > _MAX_MADE:
        raise call.refuse(f"it makes a tensor of the sizes {shape}")
    return torch.full(shape, value.item(), dtype=value.dtype, device=call.device)


def _numbers_of_shape(call: Call) -> Any:
    """Return a list of sizes that are all the same; anything else is a tensor."""
    shape, value = call.integers(0), call.attribute("value")
    if value is None or value.is_floating_point() or not all(isinstance(size, int) for size in shape):
        return _constant_of_shape(call)
    if prod(shape) > sizes.MAX_NUMBERS:
        return _constant_of_shape(call)
    return np.full(shape, value.item(), dtype=object)


def _range(call: Call) -> torch.Tensor:
    start, limit, step = (call.constant(index).item() for index in range(3))
    if not step or (limit - start) / step > _MAX_MADE:
        raise call.refuse(f"it counts from {start} to {limit} by {step}")
    return torch.arange(start, limit, step, dtype=call.tensor(0).dtype, device=call.device)


def _scatter(call: Call) -> torch.Tensor:
    """Return a copy in which the entries at constant places are others."""
    x, places, updates = call.tensor(0), call.numbers(1), call.tensor(2)
    if call.attribute("reduction", "none") != "none":
        raise call.refuse("it adds or multiplies entries at one place")
    index = torch.tensor(places.tolist(), dtype=torch.int64, device=x.device)
    return x.index_put(tuple(index.unbind(-1)), updates)


def _depth_to_space(call: Call) -> torch.Tensor:
    x, block, mode = call.tensor(), call.attribute("blocksize", 1), call.attribute("mode", "DCR")
    if mode == "CRD":
        return functional.pixel_shuffle(x, block)
    if mode != "DCR" or x.ndim != 4:
        raise call.refuse(f"mode {mode!r} on {x.ndim} axes")
    count, channels, rows, columns = x.shape
    parts = x.reshape(count, block, block, channels // block**2, rows, columns).permute(0, 3, 4, 1, 5, 2)
    return parts.reshape(count, channels // block**2, rows * block, columns * block)


def _tile(call: Call) -> torch.Tensor:
    return call.tensor().repeat(call.integers(1))


_VALUES: Final = "value value_float value_floats value_int value_ints"
FORMS: Final[dict[str, Operator]] = {
    **RESIZING,
    "Concat": Operator(_concat, _names("axis"), on_numbers=sizes.joined),
    "Constant": Operator(_constant, _names(_VALUES)),
    "ConstantOfShape": Operator(_constant_of_shape, _names("value"), since=9, on_numbers=_numbers_of_shape),
    "DepthToSpace": Operator(_depth_to_space, _names("blocksize mode")),
    "Expand": Operator(_expand, since=8, on_numbers=sizes.expanded),
    "Flatten": Operator(_flatten, _names("axis")),
    "Gather": Operator(_gather, _names("axis"), on_numbers=sizes.taken),
    "Pad": Operator(_pad, _names("mode pads value")),
    "Range": Operator(_range, since=11, on_numbers=sizes.counted),
    "Reshape": Operator(
        _reshape, _names("allowzero"), on_numbers=lambda call: call.numbers(0).reshape(call.integers(1))
    ),
    "ScatterND": Operator(_scatter, _names("reduction"), since=11),
    "Shape": Operator(_shape, _names("end start"), on_numbers=lambda call: array(call.numbers(0).shape)),
    "Size": Operator(_size),
    "Slice": Operator(_slice, _names("axes ends starts"), on_numbers=_slice_numbers),
    "Split": Operator(_split, _names("axis num_outputs split"), outputs=1 << 10),
    "Squeeze": Operator(
        _squeeze,
        _names("axes"),
        on_numbers=lambda call: np.asarray(np.squeeze(call.numbers(0), axis=call.axes(1, 13)), dtype=object),
    ),
    "Tile": Operator(_tile),
    "Transpose": Operator(
        _transpose, _names("perm"), on_numbers=lambda call: call.numbers(0).transpose(call.attribute("perm"))
    ),
    "Unsqueeze": Operator(
        _unsqueeze,
        _names("axes"),
        on_numbers=lambda call: np.expand_dims(call.numbers(0), call.axes(1, 13) or ()),
    ),
}
"""Operators by name."""

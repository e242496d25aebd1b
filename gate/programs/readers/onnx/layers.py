"""Layers with weights, normalisations, softmaxes and reductions."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, Final

import torch
from torch.nn import functional

from gate.programs.readers.onnx.calls import Call, Operator
from gate.programs.readers.onnx.graph import Constant
from gate.programs.readers.onnx.windows import padded, sides

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_CONVOLUTIONS: Final[Mapping[int, Callable[..., torch.Tensor]]] = {1: torch.conv1d, 2: torch.conv2d, 3: torch.conv3d}
_TRANSPOSED: Final[Mapping[int, Callable[..., torch.Tensor]]] = {
    1: torch.conv_transpose1d,
    2: torch.conv_transpose2d,
    3: torch.conv_transpose3d,
}


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


def _spatial(
    call: Call, weight: torch.Tensor, kinds: Mapping[int, Callable[..., torch.Tensor]]
) -> Callable[..., torch.Tensor]:
    """Return torch's function for the number of spatial axes; a stated kernel must be the weight's."""
    kernel = call.attribute("kernel_shape", tuple(weight.shape[2:]))
    if weight.ndim - 2 not in kinds or tuple(kernel) != tuple(weight.shape[2:]) or call.tensor().ndim != weight.ndim:
        raise call.refuse(f"a weight {tuple(weight.shape)} for a kernel {kernel}")
    return kinds[weight.ndim - 2]


def _conv(call: Call) -> torch.Tensor:
    x, weight, bias = call.tensor(0), call.tensor(1), call.optional(2)
    function = _spatial(call, weight, _CONVOLUTIONS)
    count = weight.ndim - 2
    strides, dilations = (sides(call, name, count) for name in ("strides", "dilations"))
    x, padding = padded(call, x, tuple(weight.shape[2:]), strides, dilations, 0.0)
    return function(x, weight, bias, strides, padding, dilations, call.attribute("group", 1))


def _conv_transpose(call: Call) -> torch.Tensor:
    x, weight, bias = call.tensor(0), call.tensor(1), call.optional(2)
    function = _spatial(call, weight, _TRANSPOSED)
    count = weight.ndim - 2
    pads = call.attribute("pads", (0,) * 2 * count)
    if call.attribute("auto_pad", "NOTSET") not in {"NOTSET", "VALID"} or pads[:count] != pads[count:]:
        raise call.refuse("it pads its two sides differently")
    more = call.attribute("output_padding", (0,) * count)
    strides, dilations = (sides(call, name, count) for name in ("strides", "dilations"))
    return function(x, weight, bias, strides, pads[:count], more, call.attribute("group", 1), dilations)


def _gemm(call: Call) -> torch.Tensor:
    """Return alpha · A · B + beta · C; one linear layer where that is what it is."""
    left, right, bias = call.tensor(0), call.tensor(1), call.optional(2)
    alpha, beta = call.attribute("alpha", 1.0), call.attribute("beta", 1.0)
    left = left.t() if call.attribute("transA", 0) else left
    if alpha == 1.0 and isinstance(call.operands[1], Constant):
        weight = right if call.attribute("transB", 0) else right.t()
        if bias is None or (beta == 1.0 and bias.shape == weight.shape[:1]):
            return functional.linear(left, weight, bias)
    product = torch.matmul(left, right.t() if call.attribute("transB", 0) else right)
    product = product if alpha == 1.0 else product * alpha
    if bias is None:
        return product
    return product + (bias if beta == 1.0 else bias * beta)


def _batch_norm(call: Call) -> torch.Tensor:
    x, weight, bias, mean, variance = (call.tensor(index) for index in range(5))
    if call.attribute("training_mode", 0) or not call.attribute("spatial", 1):
        raise call.refuse("it normalises by the samples that are asked about together, or each number by itself")
    momentum = round(1 - call.attribute("momentum", 0.9), 6)  # of training alone; ONNX states what is kept
    return functional.batch_norm(
        x, mean, variance, weight, bias, momentum=momentum, eps=call.attribute("epsilon", 1e-5)
    )


def _layer_norm(call: Call) -> torch.Tensor:
    x, weight, bias = call.tensor(0), call.tensor(1), call.optional(2)
    axis = call.axis(call.attribute("axis", -1), x.ndim)
    if call.attribute("stash_type", 1) != 1 or axis == 0:
        raise call.refuse("it normalises over the batch, or in another type than float32")
    shape, epsilon = tuple(x.shape[axis:]), call.attribute("epsilon", 1e-5)
    if tuple(weight.shape) == shape and (bias is None or tuple(bias.shape) == shape):
        return functional.layer_norm(x, shape, weight, bias, epsilon)
    found = functional.layer_norm(x, shape, None, None, epsilon) * weight
    return found if bias is None else found + bias


def _instance_norm(call: Call) -> torch.Tensor:
    x, weight, bias = call.tensor(0), call.tensor(1), call.tensor(2)
    return functional.instance_norm(x, weight=weight, bias=bias, eps=call.attribute("epsilon", 1e-5))


def _group_norm(call: Call) -> torch.Tensor:
    x, weight, bias = call.tensor(0), call.tensor(1), call.tensor(2)
    if call.attribute("stash_type", 1) != 1 or weight.shape != x.shape[1:2]:
        raise call.refuse("it has a scale for each group, or computes in another type than float32")
    return functional.group_norm(x, call.attribute("num_groups"), weight, bias, call.attribute("epsilon", 1e-5))


def _lrn(call: Call) -> torch.Tensor:
    size = call.attribute("size", 0)
    if size % 2 != 1:
        raise call.refuse(f"a window of {size} channels; odd numbers are read")
    alpha, beta, bias = (call.attribute(*one) for one in (("alpha", 1e-4), ("beta", 0.75), ("bias", 1.0)))
    return functional.local_response_norm(call.tensor(), size, alpha, beta, bias)


def _softmax(function: Callable[..., torch.Tensor]) -> Operator:
    """Return a softmax; before version 13 it goes over all axes from the stated one on."""

    def run(call: Call) -> torch.Tensor:
        x = call.tensor()
        axis = call.axis(call.attribute("axis", -1 if call.opset >= 13 else 1), x.ndim)
        if call.opset >= 13 or prod(x.shape[axis + 1 :]) == 1:
            return function(x, dim=axis)
        return function(x.flatten(axis), dim=axis).reshape(x.shape)

    return Operator(run, _names("axis"))


def _reduction(
    function: Callable[..., torch.Tensor],
    by_operand: int,
    alone: Callable[[torch.Tensor], torch.Tensor] = lambda x: x,
) -> Operator:
    """Return a reduction over axes, which are an operand from the version `by_operand` on.

    Over no axis it makes `alone` of each number.
    """

    def run(call: Call) -> torch.Tensor:
        x, axes = call.tensor(), call.axes(1, by_operand)
        if not axes and call.attribute("noop_with_empty_axes", 0):
            return alone(x)
        over = tuple(call.axis(axis, x.ndim) for axis in axes) if axes else tuple(range(x.ndim))
        return function(x, over, bool(call.attribute("keepdims", 1)))

    return Operator(run, _names("axes keepdims noop_with_empty_axes"))


def _sum(x: torch.Tensor, over: tuple[int, ...], keep: bool) -> torch.Tensor:
    """Add up; whole numbers of 32 bits as onnxruntime does, which keeps their type and its limits."""
    if x.is_floating_point():
        return torch.sum(x, over, keep)
    if x.dtype is not torch.int32:
        raise TypeError(f"onnxruntime adds up {x.dtype} as float64")
    return torch.clamp(torch.sum(x, over, keep), -(2**31), 2**31 - 1).to(torch.int32)


def _sum_of_squares(x: torch.Tensor, over: tuple[int, ...], keep: bool) -> torch.Tensor:
    if not x.is_floating_point():
        raise TypeError(f"onnxruntime adds up squares of {x.dtype} as float64")
    return torch.sum(x * x, over, keep)


def _argument(function: Callable[..., torch.Tensor]) -> Operator:
    def run(call: Call) -> torch.Tensor:
        if call.attribute("select_last_index", 0):
            raise call.refuse("the last of several equal ones is chosen")
        x = call.tensor()
        return function(x, call.axis(call.attribute("axis", 0), x.ndim), bool(call.attribute("keepdims", 1)))

    return Operator(run, _names("axis keepdims select_last_index"))


_WINDOW: Final = "auto_pad dilations group kernel_shape pads strides"
LAYERS: Final[dict[str, Operator]] = {
    "ArgMax": _argument(torch.argmax),
    "ArgMin": _argument(torch.argmin),
    "BatchNormalization": Operator(_batch_norm, _names("epsilon momentum spatial training_mode")),
    "Conv": Operator(_conv, _names(_WINDOW)),
    "ConvTranspose": Operator(_conv_transpose, _names(f"{_WINDOW} output_padding")),
    "Gemm": Operator(_gemm, _names("alpha beta transA transB")),
    "GroupNormalization": Operator(_group_norm, _names("epsilon num_groups stash_type"), since=21),
    "InstanceNormalization": Operator(_instance_norm, _names("epsilon")),
    "LRN": Operator(_lrn, _names("alpha beta bias size")),
    "LayerNormalization": Operator(_layer_norm, _names("axis epsilon stash_type"), since=17),
    "LogSoftmax": _softmax(torch.log_softmax),
    "MatMul": Operator(lambda call: torch.matmul(*call.tensors())),
    "ReduceL2": _reduction(lambda x, over, keep: torch.linalg.vector_norm(x, 2, over, keep), 18, torch.abs),
    "ReduceMax": _reduction(torch.amax, 18),
    "ReduceMean": _reduction(torch.mean, 18),
    "ReduceMin": _reduction(torch.amin, 18),
    "ReduceSum": _reduction(_sum, 13),
    "ReduceSumSquare": _reduction(_sum_of_squares, 18, torch.square),
    "Softmax": _softmax(torch.softmax),
}
"""Operators by name."""

"""Operators on each number by itself, or on pairs that are broadcast as NumPy broadcasts them."""

from __future__ import annotations

import operator
from functools import reduce
from typing import TYPE_CHECKING, Any, Final

import torch
from torch.nn import functional

from gate.programs.readers.onnx import sizes
from gate.programs.readers.onnx.calls import Call, Function, Operator
from gate.programs.readers.onnx.graph import Constant, dtype_of

if TYPE_CHECKING:
    from collections.abc import Callable

_SELU_ALPHA, _SELU_GAMMA = 1.6732632423543772848170429916717, 1.0507009873554804934193349852946


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


def _unary(function: Callable[[torch.Tensor], torch.Tensor], since: int = 7) -> Operator:
    return Operator(lambda call: function(call.tensor()), since=since)


def _folded(function: Callable[[Any, Any], Any], numbers: Function | None = None) -> Operator:
    """Return an operator that goes over its operands from the left."""
    return Operator(lambda call: reduce(function, call.tensors()), on_numbers=numbers)


def _divide(call: Call) -> torch.Tensor:
    left, right = _divisible(call)
    return torch.div(left, right) if left.is_floating_point() else torch.div(left, right, rounding_mode="trunc")


def _divisible(call: Call) -> list[torch.Tensor]:
    """Return both operands; whole numbers are divided by constants other than zero alone, where all kernels agree."""
    operands = call.tensors()
    if not operands[1].is_floating_point() and not call.constant(1).all():
        raise call.refuse("it divides whole numbers by zero")
    return operands


def _power(call: Call) -> torch.Tensor:
    """Raise to a power, in the type of the base."""
    base, exponent = call.tensor(0), call.operands[1]
    if isinstance(exponent, Constant) and exponent.tensor.numel() == 1 and exponent.tensor.ndim <= base.ndim:
        number = call.constant(1).item()
        return torch.pow(base, int(number) if float(number).is_integer() else number).to(base.dtype)
    return torch.pow(base, call.tensor(1)).to(base.dtype)


def _clip(call: Call) -> torch.Tensor:
    x = call.tensor()
    low, high = call.attribute("min"), call.attribute("max")
    if call.opset >= 11:
        low, high = (call.constant(index).item() if call.has(index) else None for index in (1, 2))
    limited: torch.Tensor = x if low is None and high is None else torch.clamp(x, low, high)
    return limited


def _elu(call: Call) -> torch.Tensor:
    return functional.elu(call.tensor(), call.attribute("alpha", 1.0))


def _selu(call: Call) -> torch.Tensor:
    alpha, gamma = call.attribute("alpha", _SELU_ALPHA), call.attribute("gamma", _SELU_GAMMA)
    return torch.mul(functional.elu(call.tensor(), alpha), gamma)


def _hard_sigmoid(call: Call) -> torch.Tensor:
    return torch.clamp(call.tensor() * call.attribute("alpha", 0.2) + call.attribute("beta", 0.5), 0.0, 1.0)


def _prelu(call: Call) -> torch.Tensor:
    x, slope = call.tensors()
    return torch.where(x < 0, slope * x, x)


def _thresholded(call: Call) -> torch.Tensor:
    x = call.tensor()
    return torch.where(x > call.attribute("alpha", 1.0), x, torch.zeros_like(x))


def _gelu(call: Call) -> torch.Tensor:
    approximate = call.attribute("approximate", "none")
    if approximate not in {"none", "tanh"}:
        raise call.refuse(f"approximate {approximate!r} is not read")
    return functional.gelu(call.tensor(), approximate=approximate)


def _cast(call: Call) -> torch.Tensor:
    to = dtype_of(call.attribute("to", 0), call.node.where)
    x = call.tensor()
    if (
        x.is_floating_point()
        and not (to.is_floating_point or to is torch.bool)
        and isinstance(call.operands[0], torch.Tensor)
    ):
        # Beyond the range of the type, kernels differ: some wrap around, others keep the nearest number.
        raise call.refuse(f"it turns numbers that depend on a picture from {x.dtype} into {to}")
    return x != 0 if to is torch.bool else x.to(to)


def _cast_numbers(call: Call) -> Any:
    to = dtype_of(call.attribute("to", 0), call.node.where)
    return sizes.held(call, to) if to in {torch.int32, torch.int64} else _cast(call)


def _dropout(call: Call) -> torch.Tensor:
    if call.has(2) and bool(call.constant(2).any()):
        raise call.refuse("it drops values in training mode")
    return call.tensor()


def _comparison(function: Callable[[Any, Any], Any], numbers: Function | None = None) -> Operator:
    return Operator(lambda call: function(*call.tensors()), on_numbers=numbers)


def _remainder(call: Call) -> torch.Tensor:
    return (torch.fmod if call.attribute("fmod", 0) else torch.remainder)(*_divisible(call))


def _where(call: Call) -> torch.Tensor:
    condition, chosen, other = (call.tensor(index) for index in range(3))
    if condition.dtype is not torch.bool or chosen.dtype != other.dtype:
        raise call.refuse(f"operands of the types {condition.dtype}, {chosen.dtype}, {other.dtype}")
    return torch.where(condition, chosen, other)


def _mean(call: Call) -> torch.Tensor:
    every = call.tensors()
    return reduce(torch.add, every) / len(every)


def _same(function: Function) -> Operator:
    return Operator(function, on_numbers=lambda call: call.numbers(0))


ELEMENTWISE: Final[dict[str, Operator]] = {
    "Abs": _unary(torch.abs),
    "Add": _folded(torch.add, sizes.folded(operator.add)),
    "And": _comparison(torch.logical_and),
    "Cast": Operator(_cast, _names("to"), on_numbers=_cast_numbers),
    "Ceil": _unary(torch.ceil),
    "Celu": Operator(
        lambda call: functional.celu(call.tensor(), call.attribute("alpha", 1.0)), _names("alpha"), since=12
    ),
    "Clip": Operator(_clip, _names("min max")),
    "Cos": _unary(torch.cos),
    "Div": Operator(_divide, on_numbers=sizes.divided),
    "Dropout": Operator(_dropout, _names("ratio seed")),
    "Elu": Operator(_elu, _names("alpha")),
    "Equal": _comparison(torch.eq, sizes.equal),
    "Erf": _unary(torch.erf, since=9),
    "Exp": _unary(torch.exp),
    "Floor": _unary(torch.floor),
    "Gelu": Operator(_gelu, _names("approximate"), since=20),
    "Greater": _comparison(torch.gt),
    "GreaterOrEqual": _comparison(torch.ge),
    "HardSigmoid": Operator(_hard_sigmoid, _names("alpha beta")),
    "HardSwish": _unary(functional.hardswish, since=14),
    "Identity": _same(lambda call: call.tensor()),
    "LeakyRelu": Operator(
        lambda call: functional.leaky_relu(call.tensor(), call.attribute("alpha", 0.01)), _names("alpha")
    ),
    "Less": _comparison(torch.lt),
    "LessOrEqual": _comparison(torch.le),
    "Log": _unary(torch.log),
    "Max": _folded(torch.maximum),
    "Mean": Operator(_mean),
    "Min": _folded(torch.minimum),
    "Mish": _unary(functional.mish, since=18),
    "Mod": Operator(_remainder, _names("fmod"), since=10, on_numbers=sizes.remainder),
    "Mul": _folded(torch.mul, sizes.multiplied),
    "Neg": _unary(torch.neg),
    "Not": _unary(torch.logical_not),
    "Or": _comparison(torch.logical_or),
    "PRelu": Operator(_prelu),
    "Pow": Operator(_power),
    "Reciprocal": _unary(torch.reciprocal),
    "Relu": _unary(torch.relu),
    "Round": _unary(torch.round, since=11),
    "Selu": Operator(_selu, _names("alpha gamma")),
    "Sigmoid": _unary(torch.sigmoid),
    "Sign": _unary(torch.sign, since=9),
    "Sin": _unary(torch.sin),
    "Softplus": _unary(functional.softplus),
    "Softsign": _unary(lambda x: x / (1 + torch.abs(x))),
    "Sqrt": _unary(torch.sqrt),
    "Sub": _folded(torch.sub, sizes.folded(operator.sub)),
    "Sum": _folded(torch.add),
    "Tanh": _unary(torch.tanh),
    "ThresholdedRelu": Operator(_thresholded, _names("alpha"), since=10),
    "Where": Operator(_where, since=9, on_numbers=sizes.where),
}
"""Operators by name. Those that go over several operands take two where ONNX has two."""

"""Operators on sizes as numbers, where a free batch is a size that is not known yet.

torch traces a free batch as two or more, so that what asks for one sample would be dropped in silence: an answer is
given where it is the same for every batch, and any other question is refused.

A list is bounded before it is made. Numbers are Python's, where ONNX's have 64 bits or 32: what leaves 32 bits is
refused.
"""

from __future__ import annotations

from functools import reduce
from math import prod
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import torch

from gate.programs.readers.onnx.calls import array
from gate.programs.readers.onnx.refused import BatchDecidesError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from gate.programs.readers.onnx.calls import Call, Numbers

MAX_NUMBERS: Final = 1 << 10
"""Most entries of a list that is computed from sizes of which one is the batch's."""
MAX_KNOWN: Final = 1 << 18
"""Most of one that holds known numbers alone, as the places of a mask in Swin are."""
_LIMIT: Final = 1 << 31
_MAX_STEPS: Final = 64
"""Most operations by which a size follows from a free batch."""
_WHOLE_PARTS: Final = frozenset({"FloorDiv", "Mod", "PythonMod"})
"""Operations of torch's sizes that yield nothing negative of what is not."""


def require_few(call: Call, sizes: Sequence[int], *of: Numbers) -> None:
    """Refuse a list that is made of others, of more entries than such ones ever have, before it is made."""
    if (count := prod(sizes)) <= MAX_NUMBERS:
        return
    most = MAX_NUMBERS if any(unknown(one.flat) for one in of) else MAX_KNOWN
    if count > most:
        raise call.refuse(f"it makes {count} numbers from sizes; at most {most} are read")


def folded(function: Callable[[Any, Any], Any]) -> Callable[[Call], Numbers]:
    """Return what goes over all operands from the left, number by number."""

    def run(call: Call) -> Numbers:
        return reduce(lambda one, other: _paired(call, function, one, other), map(call.numbers, range(len(call))))

    return run


def _paired(call: Call, function: Callable[[Any, Any], Any], one: Numbers, other: Numbers) -> Numbers:
    """Compute a function of each pair of two lists that are broadcast."""
    require_few(call, np.broadcast_shapes(one.shape, other.shape), one, other)
    pairs = np.broadcast(one, other)
    found = np.empty(pairs.shape, dtype=object)
    found.reshape(-1)[:] = [_bounded(call, function(left, right)) for left, right in pairs]
    return found


def _bounded(call: Call, number: Any) -> Any:
    """Return a number that 32 bits hold; one that follows from a free batch has such factors, and few."""
    parts = [number]
    if isinstance(number, torch.SymInt):
        expression = number.node.expr
        if expression.count_ops() > _MAX_STEPS:
            raise call.refuse("a size follows from the batch by too many operations")
        parts = [int(part) for part in expression.atoms() if part.is_Integer]
    if not all(-_LIMIT <= part < _LIMIT for part in parts):
        raise call.refuse("it computes a size beyond 32 bits, in which sizes may be held")
    return number


def multiplied(call: Call) -> Numbers:
    """Multiply number by number; two sizes of the batch have no product."""

    def product(one: Any, other: Any) -> Any:
        if isinstance(one, torch.SymInt) and isinstance(other, torch.SymInt):
            raise call.refuse("it multiplies the size of the batch by itself")
        return one * other

    return folded(product)(call)


def divided(call: Call) -> Numbers:
    """Divide number by number, towards zero."""
    return folded(lambda one, other: _quotient(call, one, other))(call)


def _quotient(call: Call, one: Any, other: Any) -> Any:
    """Return the whole part of a quotient; of what follows from a batch only where it is rounded down either way."""
    if unknown((one, other)):
        if isinstance(other, torch.SymInt) or other <= 0 or not never_negative(one):
            raise call.refuse("it divides by the size of the batch, or what may be negative")
        return one // other
    whole = abs(one) // abs(other)
    return whole if (one < 0) == (other < 0) else -whole


def remainder(call: Call) -> Numbers:
    """Return remainders: with `fmod` of the dividend's sign, else of the divisor's."""
    by_dividend = bool(call.attribute("fmod", 0))

    def rest(one: Any, other: Any) -> Any:
        if by_dividend or unknown((one, other)):
            return one - other * _quotient(call, one, other)
        return one % other

    return folded(rest)(call)


def joined(call: Call) -> Numbers:
    """Put lists behind one another."""
    every = [call.numbers(index) for index in range(len(call))]
    require_few(call, [sum(one.size for one in every)], *every)
    return np.concatenate(every, axis=call.attribute("axis", 0))


def taken(call: Call) -> Numbers:
    """Take entries by their places."""
    numbers, places, axis = call.numbers(0), call.numbers(1), call.axis(call.attribute("axis", 0), call.numbers(0).ndim)
    require_few(call, (*numbers.shape[:axis], *places.shape, *numbers.shape[axis + 1 :]), numbers)
    return np.asarray(np.take(numbers, places.astype(int), axis=axis), dtype=object)


def expanded(call: Call) -> Numbers:
    """Repeat a list to broadcast sizes."""
    numbers = call.numbers(0)
    sizes = np.broadcast_shapes(numbers.shape, tuple(map(int, call.integers(1))))
    require_few(call, sizes, numbers)
    return np.broadcast_to(numbers, sizes).copy()


def counted(call: Call) -> Numbers:
    """Count from a number up to another."""
    start, limit, step = (int(call.numbers(index).item()) for index in range(3))
    require_few(call, [max(-(-(limit - start) // step), 0)])
    return array(range(start, limit, step))


def held(call: Call, kind: torch.dtype) -> Numbers:
    """Return numbers in a type that holds them."""
    numbers = call.numbers(0)
    if kind is torch.int32:
        for number in numbers.reshape(-1).tolist():
            _bounded(call, number)
    return numbers


def unknown(numbers: Iterable[Any]) -> bool:
    """Tell whether any of these sizes depends on a free batch."""
    return any(isinstance(number, torch.SymInt) for number in numbers)


def equal(call: Call) -> Numbers:
    """Compare two operands number by number."""
    return _paired(call, lambda one, other: _same(call, one, other), call.numbers(0), call.numbers(1))


def where(call: Call) -> Numbers:
    """Choose number by number."""
    condition, *choices = map(call.numbers, range(3))
    if unknown(condition.reshape(-1)):
        raise _decides(call)
    require_few(call, np.broadcast_shapes(condition.shape, *(one.shape for one in choices)), *choices)
    return np.asarray(np.where(condition.astype(bool), *choices), dtype=object)


def _same(call: Call, one: Any, other: Any) -> bool:
    """Tell whether two numbers are equal; sizes of no batch are negative, as the marks of exporters (-1) are."""
    if not unknown((one, other)):
        return bool(one == other)
    if (_is_negative(one) and never_negative(other)) or (_is_negative(other) and never_negative(one)):
        return False
    raise _decides(call)


def _is_negative(number: Any) -> bool:
    return isinstance(number, int) and number < 0


def never_negative(number: Any) -> bool:
    """Tell whether a number is 0 or more for every batch: a size, or sums and products of sizes."""
    return _adds_up(number.node.expr) if isinstance(number, torch.SymInt) else number >= 0


def _adds_up(expression: Any) -> bool:
    if expression.is_Add or expression.is_Mul or expression.func.__name__ in _WHOLE_PARTS:
        return all(map(_adds_up, expression.args))
    return bool(expression.is_Symbol or (expression.is_Integer and expression >= 0))


def _decides(call: Call) -> BatchDecidesError:
    return BatchDecidesError(call.node.where, "what it computes depends on how many samples are asked about together")

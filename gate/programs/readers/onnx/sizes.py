"""Operators on sizes as numbers, where a free batch is a size that is not known yet.

torch traces a free batch as two or more, so that what asks for one sample would be dropped in silence: an answer is
given where it is the same for every batch, and any other question is refused.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from gate.programs.readers.onnx.refused import BatchDecidesError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from gate.programs.readers.onnx.calls import Call, Numbers


def unknown(numbers: Iterable[Any]) -> bool:
    """Tell whether any of these sizes depends on a free batch."""
    return any(isinstance(number, torch.SymInt) for number in numbers)


def equal(call: Call) -> Numbers:
    """Compare two operands number by number."""
    pairs = np.broadcast(call.numbers(0), call.numbers(1))
    found = np.empty(pairs.shape, dtype=object)
    found.reshape(-1)[:] = [_same(call, one, other) for one, other in pairs]
    return found


def where(call: Call) -> Numbers:
    """Choose number by number."""
    condition = call.numbers(0)
    if unknown(condition.reshape(-1)):
        raise _decides(call)
    return np.asarray(np.where(condition.astype(bool), call.numbers(1), call.numbers(2)), dtype=object)


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
    if expression.is_Add or expression.is_Mul:
        return all(map(_adds_up, expression.args))
    return bool(expression.is_Symbol or (expression.is_Integer and expression >= 0))


def _decides(call: Call) -> BatchDecidesError:
    return BatchDecidesError(call.node.where, "what it computes depends on how many samples are asked about together")

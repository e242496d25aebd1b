"""Targets of nodes: each text of the archive is looked up in a closed table, never reached by attribute chains.

An aten overload comes with its schema, by which arguments are bound by name before anything runs. Training-mode
arguments of dropout, normalisation and recurrent layers are refused here, since only the inference graph is judged.
"""

from __future__ import annotations

import math
import operator
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import torch
from torch._ops import OpOverload

from gate.programs import advice
from gate.programs.overloads import ATTENTIONS, DROPOUTS, OVERLOADS, RECURRENT
from gate.programs.refused import RefusedError
from gate.programs.schema import NamedValue, OwnDevice, Value

if TYPE_CHECKING:
    from collections.abc import Callable

_ATEN = re.compile(r"torch\.ops\.aten\.([A-Za-z0-9_]{1,64})\.([A-Za-z0-9_]{1,64})")
HIGHER_ORDER: Final = "torch.ops.higher_order."
_MAX_NUMBER = 2**63
_MAX_EXPONENT = 64


def _power(base: Any, exponent: Any) -> Any:
    """Raise to a small power; a large one of integers could fill the memory."""
    if abs(exponent) > _MAX_EXPONENT:
        raise ValueError(f"the exponent {exponent} is too large")
    return base**exponent


def _bounded(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return the arithmetic of sizes with a check that takes numbers only and keeps them small."""

    def checked(*arguments: Any) -> Any:
        if not all(isinstance(argument, int | float) for argument in arguments):
            raise TypeError("arithmetic of sizes takes numbers only")
        result = function(*arguments)
        if not isinstance(result, int | float) or (isinstance(result, int) and abs(result) >= _MAX_NUMBER):
            raise ValueError("a computed size is out of range")
        return result

    return checked


ARITHMETIC: Final[dict[str, Callable[..., Any]]] = {
    **{f"_operator.{name}": _bounded(getattr(operator, name)) for name in (
        "add", "sub", "mul", "floordiv", "mod", "neg", "pos", "truediv", "eq", "ne", "lt", "le", "gt", "ge",
    )},
    "_operator.pow": _bounded(_power),
    **{f"torch.{name}": _bounded(getattr(torch, name)) for name in (
        "sym_max", "sym_min", "sym_not", "sym_float", "sym_int",
    )},
    **{f"math.{name}": _bounded(getattr(math, name)) for name in ("trunc", "ceil", "floor")},
}  # fmt: skip
"""Arithmetic of sizes, on Python numbers, by torch's own functions: `sym_max(2, 1.0)` is 2.0, Python's `max` is 2."""

_TRAINING_FLAGS: Final = {
    **dict.fromkeys((*DROPOUTS, *(f"{name}_" for name in DROPOUTS), "native_dropout", *RECURRENT), "train"),
    **dict.fromkeys(("rrelu", "rrelu_", "batch_norm"), "training"),
}

DIRECT_ALIASES: Final = frozenset({
    *DROPOUTS, "native_dropout", "pad", "constant_pad_nd", "meshgrid", "einsum", "roll", "repeat", "tile",
    "repeat_interleave", "cat", "stack", "to", "type_as", "unsafe_split", "unsafe_chunk", "_unsafe_view", "clip",
    "scaled_dot_product_attention",
})  # fmt: skip
"""Operators that may hand back (a view of) their input although their schema does not say so."""


@dataclass(frozen=True, slots=True)
class Call:
    """A target with its arguments bound: positional ones in the order of the schema, the others by name."""

    name: str
    """Operator without namespace and overload; `arithmetic` for sizes."""
    function: Callable[..., Any]
    positional: tuple[Value, ...]
    keywords: tuple[tuple[str, Value], ...]
    mutated: int | None
    """Position of the argument that an in-place operator writes to."""
    returns_alias: bool
    """Whether a result may share memory with an argument."""


def bind(target: str, arguments: tuple[NamedValue, ...], where: str) -> Call:
    """Look a target up and bind its arguments, or refuse both."""
    arithmetic = ARITHMETIC.get(target)
    if arithmetic is not None:
        return Call("arithmetic", arithmetic, tuple(given.value for given in arguments), (), None, returns_alias=False)
    overload = find_overload(target, where)
    name = target.split(".")[3]
    bound = _by_name(overload, arguments, where)
    _refuse_training(name, overload, bound, where)
    positional, keywords = _in_order(overload, bound)
    writes = [
        index
        for index, argument in enumerate(overload._schema.arguments)  # noqa: SLF001  # the schema has no public name
        if argument.alias_info is not None and argument.alias_info.is_write
    ]
    if len(writes) > 1 or any(index >= len(positional) for index in writes):
        raise RefusedError(where, f"{target} writes to several arguments")
    returns_alias = name in DIRECT_ALIASES or any(result.alias_info for result in overload._schema.returns)  # noqa: SLF001
    return Call(name, overload, positional, keywords, writes[0] if writes else None, returns_alias)


def unlisted(target: str, where: str) -> RefusedError:
    """Return the refusal of an operator that is on no list, with what it is and what to do about that."""
    what, to_do = advice.of_operator(target)
    message = f"the operator {target!r} is not on the list of reviewed operators{f': {what}' if what else ''}"
    return RefusedError(where, message, what_to_do=to_do)


def find_overload(target: str, where: str) -> OpOverload[..., Any]:
    """Return the aten overload of a target on the positive list."""
    match = _ATEN.fullmatch(target)
    if match is None or match[2] not in OVERLOADS.get(match[1], ()):
        raise unlisted(target, where)
    overload = getattr(getattr(torch.ops.aten, match[1]), match[2])
    if not isinstance(overload, OpOverload):
        raise RefusedError(where, f"{target!r} is no operator of this version of torch")
    return overload


def _by_name(overload: OpOverload[..., Any], arguments: tuple[NamedValue, ...], where: str) -> dict[str, Value]:
    """Return the given values by argument name; unknown, doubled and missing ones are refused."""
    known = {argument.name: argument for argument in overload._schema.arguments}  # noqa: SLF001
    bound: dict[str, Value] = {}
    for given in arguments:
        if given.name not in known or given.name in bound:
            raise RefusedError(where, f"{overload} takes no (second) argument {given.name!r}")
        bound[given.name] = given.value
    for name, argument in known.items():
        if name not in bound and not argument.has_default_value():
            raise RefusedError(where, f"{overload} lacks its argument {name!r}")
    _refuse_displaced(overload, {given.name: given for given in arguments}, where)
    return bound


def _refuse_displaced(overload: OpOverload[..., Any], given: dict[str, NamedValue], where: str) -> None:
    """Refuse an argument that is passed by place while one before it is not: `torch.export.load` would move it up."""
    gap = ""
    for argument in overload._schema.arguments:  # noqa: SLF001
        value = given.get(argument.name)
        if value is not None and value.placed and (gap or argument.kwarg_only):
            reason = f"{gap!r} before it is not; other loaders take it for that" if gap else "takes it by name"
            raise RefusedError(where, f"{overload} is given {argument.name!r} by its place, and {reason}")
        by_name = value is None or value.keyword or (not value.placed and argument.has_default_value())
        gap = gap or (argument.name if by_name else "")


def _in_order(
    overload: OpOverload[..., Any], bound: dict[str, Value]
) -> tuple[tuple[Value, ...], tuple[tuple[str, Value], ...]]:
    """Return positional values up to the last one given, defaults filled in, and keyword-only ones by name."""
    positional: list[Value] = []
    keywords: list[tuple[str, Value]] = []
    pending: list[Value] = []
    for argument in overload._schema.arguments:  # noqa: SLF001
        given = argument.name in bound
        if argument.kwarg_only and given:
            keywords.append((argument.name, bound[argument.name]))
        elif not argument.kwarg_only:
            pending.append(bound[argument.name] if given else _default(argument.default_value))
            if given:
                positional.extend(pending)
                pending.clear()
    return tuple(positional), tuple(keywords)


def _default(value: Any) -> Value:
    """Return a schema's default as a plain value; devices give way to the program's own."""
    if isinstance(value, torch.device):
        return OwnDevice()
    if isinstance(value, list):
        return tuple(_default(item) for item in value)
    plain: Value = value
    return plain


def of_the_batch(call: Call) -> bool:
    """Tell whether a call normalises by the batch that it is given."""
    return call.name == "batch_norm" and call.positional[5] is not False


def _refuse_training(name: str, overload: OpOverload[..., Any], bound: dict[str, Value], where: str) -> None:
    """Refuse a layer that was exported in training mode: it would draw random numbers or depend on the batch."""
    flag, reason = _TRAINING_FLAGS.get(name), ""
    if name == "batch_norm" and bound.get("running_mean") is None and bound.get("running_var") is None:
        flag = None  # normalises by its operand alone, which is a function of weights: `build_nodes` sees to that
    if flag is not None and bound.get(flag, False) is not False:
        reason = f"in training mode ({flag} is not false)"
    elif name in ATTENTIONS and bound.get("dropout_p", 0.0) != 0.0:
        reason = "draws random numbers (dropout_p is not 0)"
    elif name == "instance_norm" and bound.get("use_input_stats") is True and bound.get("running_mean") is not None:
        reason = "in training mode (it would update its running statistics)"
    if reason:
        raise RefusedError(where, f"{overload} {reason}", what_to_do=advice.TRAINING)

"""Exported programs (`.pt2`) as their deployer's loader sees them: which fields would make it run something.

The gate's own reader ignores these fields; `torch.export.load` evaluates, executes or unpickles them. So each is held
against a closed grammar here. Nothing is parsed beyond JSON and tokens.
"""

import re
from collections.abc import Iterator
from typing import Any

from gate.errors import GateError
from gate.formats.source import Bounds, Source, UnreadableError
from gate.formats.zips import Archive, Member, member_source
from gate.record import parse_json

_MAX_JSON = 64 << 20
_MAX_DEPTH = 64
_MAX_EXPRESSION = 20_000
_NUMBER = r"\d{1,20}(?:\.\d{1,20})?"
_SYMBOL = r"'[A-Za-z_][A-Za-z0-9_]{0,200}'"
_FUNCTIONS = (
    "Symbol|Integer|Float|Rational|Add|Mul|Pow|Max|Min|Mod|PythonMod|FloorDiv|CleanDiv|CeilDiv|CeilToInt|FloorToInt|"
    "TruncToInt|TruncToFloat|RoundToInt|RoundDecimal|ToFloat|IntTrueDiv|FloatTrueDiv|FloatPow|PowByNatural|Where|"
    "ModularIndexing|Identity|Eq|Ne|Lt|Le|Gt|Ge|Equality|Unequality|StrictLessThan|LessThan|StrictGreaterThan|"
    "GreaterThan|And|Or|Not|oo|precision"
)
_WORDS = "positive|integer|nonnegative|negative|real|zero|True|False"
_EXPRESSION = re.compile(rf"(?:(?:{_FUNCTIONS}|{_WORDS})\b|{_SYMBOL}|[su]\d{{1,9}}\b|{_NUMBER}\b|[-+*/%,()=<>! ])*")
_GUARD = re.compile(
    rf"(?:L(?=\[)|\[(?:{_SYMBOL}|\d{{1,9}})\]|\.(?:size|stride)\(\)|\.(?:storage_offset|dim|numel)\(\)|(?:max|min)(?=\()|"
    rf"(?:and|or|not)\b|{_NUMBER}\b|[-+*/%,()=<>! ])*"
)
_POWER = re.compile(r"\*\s*\*")
_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,255}")
_PATH_NAME = re.compile(r"[A-Za-z0-9_.]{0,1024}")
_TARGET = re.compile(
    r"torch\.ops\.(aten|prims|higher_order|quantized_decomposed)\.[A-Za-z0-9_]+(\.[A-Za-z0-9_]+)?|_operator\.[a-z_]+|"
    r"torch\.sym_[a-z_]+|math\.(trunc|ceil|floor)|torch\._sym_sqrt"
)
_NAME_KEYS = frozenset({"name", "as_name"})
_PATH_KEYS = frozenset({"parameter_name", "buffer_name", "tensor_constant_name", "custom_obj_name", "fqn"})
_MEMBER = re.compile(
    r"[^/]+/(archive_format|archive_version|byteorder|version|\.data/(version|serialization_id)|\.format_version|"
    r"\.storage_alignment|models/[A-Za-z0-9_]+\.json|data/(weights|constants)/((weight|tensor)_\d+|[A-Za-z0-9_]+\.json)|"
    r"data/sample_inputs/[A-Za-z0-9_]+\.pt|extra/[A-Za-z0-9_./-]+\.(json|txt))"
)
_PLAIN_MEMBER = re.compile(r"(?!.*(^|/)\.\.(/|$))[^/]+/.+")


def is_pt2(archive: Archive) -> bool:
    """Tell an exported program by its members, whatever the file is called."""
    return archive.named("archive_format") is not None or any("/models/" in member.name for member in archive.members)


def pt2_hazards(source: Source, archive: Archive, bounds: Bounds) -> Iterator[str]:
    """Yield each field or member that would make a deployer's loader run, unpickle or link what the archive says."""
    for member in archive.members:
        bounds.tick()
        if not _MEMBER.fullmatch(member.name) or not _PLAIN_MEMBER.fullmatch(member.name):
            yield f"unexpected member {member.name!r}"
        elif member.name.endswith("_config.json"):
            yield from _payloads(_json(source, member))
        elif "/models/" in member.name:
            yield from _program(_json(source, member), bounds)


def _json(source: Source, member: Member) -> Any:
    raw = member_source(source, member, _MAX_JSON).whole(_MAX_JSON, f"member {member.name!r}")
    try:
        return parse_json(raw, what=member.name, limit=_MAX_JSON)
    except GateError as error:
        raise UnreadableError(str(error)) from None


def _payloads(value: Any) -> Iterator[str]:
    """Yield the weights or constants that are stored as pickles."""
    config = value.get("config") if isinstance(value, dict) else None
    if not isinstance(config, dict):
        raise UnreadableError("a payload list without a config")
    for name, payload in config.items():
        if not isinstance(payload, dict) or payload.get("use_pickle") is not False:
            yield f"{name!r} is stored as a pickle"
        elif not re.fullmatch(r"(weight|tensor)_\d{1,9}", str(payload.get("path_name"))):
            yield f"{name!r} is stored in {str(payload.get('path_name'))!r}"


def _program(value: Any, bounds: Bounds) -> Iterator[str]:
    """Yield the hazards of one serialised program."""
    if not isinstance(value, dict) or not isinstance(value.get("graph_module"), dict):
        raise UnreadableError("a program without a graph")
    guards = value.get("guards_code") or []
    for guard in guards if isinstance(guards, list) else [guards]:
        if not isinstance(guard, str) or not _closed(_GUARD, guard):
            yield f"guards_code {str(guard)!r:.80}"
    yield from _fields(value, bounds, "", 0)


def _fields(value: Any, bounds: Bounds, key: str, depth: int) -> Iterator[str]:
    """Walk the program's values and hold names, expressions and targets against their grammars."""
    if depth > _MAX_DEPTH:
        raise UnreadableError(f"a program nested deeper than {_MAX_DEPTH}")
    if isinstance(value, dict):
        bounds.tick()
        for name, inner in value.items():
            if name != "metadata":
                yield from _fields(inner, bounds, name, depth + 1)
            if key in ("tensor_values", "sym_int_values", "sym_bool_values", "sym_float_values", "custom_obj_values"):
                yield from _name(name)
    elif isinstance(value, list):
        for inner in value:
            yield from _fields(inner, bounds, key, depth + 1)
    elif isinstance(value, str):
        yield from _text(key, value)


def _text(key: str, value: str) -> Iterator[str]:
    if key == "expr_str":
        if not _closed(_EXPRESSION, value):
            yield f"expr_str {value!r:.80}"
    elif key in _NAME_KEYS:
        yield from _name(value)
    elif key in _PATH_KEYS and not _PATH_NAME.fullmatch(value):
        yield f"{key} {value!r:.80}"
    elif key == "target" and not _TARGET.fullmatch(value):
        yield f"target {value!r:.80}"


def _name(name: str) -> Iterator[str]:
    if name and not _IDENTIFIER.fullmatch(name):
        yield f"name {name!r:.80}"


def _closed(grammar: re.Pattern[str], text: str) -> bool:
    return len(text) <= _MAX_EXPRESSION and grammar.fullmatch(text) is not None and not _POWER.search(text)

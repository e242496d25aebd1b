"""Exported programs (`.pt2`) as their deployer's loader sees them: the fields that would make it run something.

The gate's own reader ignores these fields; `torch.export.load` evaluates, executes or unpickles them. So each is
checked by a closed grammar here and in `pt2_document`. Only JSON and expressions are parsed, nothing is evaluated.
"""

import re
from collections.abc import Iterator
from typing import Any

from gate.formats.pt2_document import lint_document
from gate.formats.pt2_records import Records, sample_faults
from gate.formats.source import Bounds, Source, UnreadableError
from gate.formats.zip_members import Member, member_source
from gate.formats.zips import Archive
from gate.records.errors import GateError
from gate.records.record import parse_json

_MAX_JSON = 64 << 20
_MAX_DEPTH = 64
_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,255}")
_PATH_NAME = re.compile(r"[A-Za-z0-9_.]{0,1024}")
_NAME_KEYS = frozenset({"name", "as_name"})
_PATH_KEYS = frozenset({"parameter_name", "buffer_name", "tensor_constant_name", "custom_obj_name", "fqn"})
_MEMBER = re.compile(
    r"[^/]+/(archive_format|archive_version|byteorder|version|\.data/(version|serialization_id)|\.format_version|"
    r"\.storage_alignment|models/[A-Za-z0-9_]+\.json|data/(weights|constants)/((weight|tensor)_\d+|[A-Za-z0-9_]+\.json)|"
    r"data/sample_inputs/[A-Za-z0-9_]+\.pt|extra/[A-Za-z0-9_./-]+\.(json|txt))"
)
_PLAIN_MEMBER = re.compile(r"(?!.*(^|/)\.\.(/|$))[^/]+/.+")


def is_pt2(archive: Archive) -> bool:
    """Tell whether an archive is an exported program, by its members and not by its name."""
    return archive.named("archive_format") is not None or any("/models/" in member.name for member in archive.members)


def pt2_hazards(source: Source, archive: Archive, bounds: Bounds) -> Iterator[str]:
    """Yield each field or member that would make a deployer's loader run, unpickle or link something.

    Then each record that is not exactly as long as its tensors, and what the sample inputs hold beside tensors.
    """
    records = Records.of(archive.members)
    for member in archive.members:
        bounds.tick()
        if not _MEMBER.fullmatch(member.name) or not _PLAIN_MEMBER.fullmatch(member.name):
            yield f"unexpected member {member.name!r}"
        elif member.name.endswith("_config.json"):
            config = _config(_json(source, member, bounds))
            yield from _payloads(config)
            yield from records.note(member, config, bounds)
        elif "/models/" in member.name:
            yield from _program(_json(source, member, bounds), bounds)
    yield from records.faults()
    yield from sample_faults(source, archive.members, bounds)


def _json(source: Source, member: Member, bounds: Bounds) -> Any:
    raw = member_source(source, member, _MAX_JSON, bounds.budget).whole(_MAX_JSON, f"member {member.name!r}")
    try:
        return parse_json(raw, what=member.name, limit=_MAX_JSON)
    except GateError as error:
        raise UnreadableError(str(error)) from None


def _config(value: Any) -> dict[str, Any]:
    config = value.get("config") if isinstance(value, dict) else None
    if not isinstance(config, dict):
        raise UnreadableError("a payload list without a config")
    return config


def _payloads(config: dict[str, Any]) -> Iterator[str]:
    """Yield the weights or constants that are stored as pickles."""
    for name, payload in config.items():
        if not isinstance(payload, dict) or payload.get("use_pickle") is not False:
            yield f"{name!r} is stored as a pickle"
        elif not re.fullmatch(r"(weight|tensor)_\d{1,9}", str(payload.get("path_name"))):
            yield f"{name!r} is stored in {str(payload.get('path_name'))!r}"


def _program(value: Any, bounds: Bounds) -> Iterator[str]:
    if not isinstance(value, dict) or not isinstance(value.get("graph_module"), dict):
        raise UnreadableError("a program without a graph")
    yield from (f"{finding.where}: {finding.what}" for finding in lint_document(value))
    yield from _fields(value, bounds, "", 0)


def _fields(value: Any, bounds: Bounds, key: str, depth: int) -> Iterator[str]:
    """Check the names of values, parameters and modules, anywhere in the program, by their grammars."""
    if depth > _MAX_DEPTH:
        raise UnreadableError(f"a program nested deeper than {_MAX_DEPTH}")
    if isinstance(value, dict):
        bounds.tick()
        for name, inner in value.items():
            if name != "metadata":
                yield from _fields(inner, bounds, name, depth + 1)
    elif isinstance(value, list):
        for inner in value:
            yield from _fields(inner, bounds, key, depth + 1)
    elif isinstance(value, str):
        if key in _NAME_KEYS and value and not _IDENTIFIER.fullmatch(value):
            yield f"name {value!r:.80}"
        elif key in _PATH_KEYS and not _PATH_NAME.fullmatch(value):
            yield f"{key} {value!r:.80}"

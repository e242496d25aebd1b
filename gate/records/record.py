"""Record: the base of every value that crosses a process border, and the bounded JSON that carries it.

A record is frozen, refuses unknown keys and non-finite numbers, and has a canonical form whose sha256 is its digest.
Foreign JSON is read by `parse_json` alone, which refuses excess size, duplicate keys, NaN and Infinity: a comparison
with NaN is false, and would pass every limit.
"""

import hashlib
import json
import os
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NoReturn, Self

from pydantic import BaseModel, ConfigDict, ValidationError

from gate.records.errors import GateError

MAX_JSON_BYTES = 64 << 20
"""Largest file of a check; evidence with its 64 largest pictures stays below 20 MiB."""
MAX_DEPTH = 100
"""Deepest nesting of JSON; the gate's own records and exported programs stay far below."""


class MalformedError(GateError):
    """Bytes are no record: too large, no JSON, or not of the schema."""


class Record(BaseModel):
    """A frozen value that crosses the process's border as JSON."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, populate_by_name=True)

    def canonical_json(self) -> bytes:
        """Return the value's one byte string: sorted keys, no spaces, UTF-8."""
        return canonical_json(self.model_dump(mode="json", by_alias=True))

    def pretty_json(self) -> str:
        """Return the value as indented JSON, for a file that people read."""
        return json.dumps(self.model_dump(mode="json", by_alias=True), indent=2, allow_nan=False) + "\n"

    @property
    def content_sha256(self) -> str:
        """The hex digest of the canonical form."""
        return hashlib.sha256(self.canonical_json()).hexdigest()

    @classmethod
    def from_json(cls, raw: bytes, *, what: str = "", limit: int = MAX_JSON_BYTES) -> Self:
        """Parse bounded JSON into this record, or raise `MalformedError` with the first fault."""
        value = parse_json(raw, what=what or cls.__name__, limit=limit)
        try:
            return cls.model_validate_json(json.dumps(value))
        except ValidationError as error:
            first = error.errors(include_url=False, include_context=False, include_input=False)[0]
            where = ".".join(str(part) for part in first["loc"])
            # Place and message quote the hostile value; a discriminator's message quotes all of it.
            raise MalformedError(f"{what or cls.__name__}: at '{where[:300]}': {first['msg'][:500]}") from None

    @classmethod
    def from_file(cls, path: Path, *, limit: int = MAX_JSON_BYTES) -> Self:
        """Read a record from a regular file, never through a link, and never more than `limit` bytes."""
        return cls.from_json(read_bounded(path, limit=limit), what=path.name, limit=limit)


def canonical_json(value: Mapping[str, Any]) -> bytes:
    """Return a mapping's one byte string: sorted keys, no spaces, UTF-8."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()


def read_bounded(path: Path, *, limit: int = MAX_JSON_BYTES) -> bytes:
    """Return a regular file's bytes; a link, a special file or a larger one raises `MalformedError`."""
    try:
        # One opening that follows no link and waits for no pipe: a running worker may exchange the file.
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        if path.is_symlink() or not path.is_file():
            raise MalformedError(f"{path.name}: expected a regular file, found {_kind(path)}") from None
        raise
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise MalformedError(f"{path.name}: expected a regular file, found {_kind(path)}")
    with os.fdopen(descriptor, "rb") as stream:
        raw = stream.read(limit + 1)
    if len(raw) > limit:
        raise MalformedError(f"{path.name}: larger than {limit} bytes")
    return raw


def parse_json(raw: bytes, *, what: str, limit: int = MAX_JSON_BYTES) -> Any:
    """Return the JSON value of `raw`; refuse excess size, duplicate keys, NaN, Infinity and deep nesting."""
    if len(raw) > limit:
        raise MalformedError(f"{what}: larger than {limit} bytes")
    try:
        value = json.loads(raw, object_pairs_hook=_unique, parse_constant=_no_constant, parse_float=_finite)
    except (ValueError, RecursionError) as error:
        raise MalformedError(f"{what}: not acceptable JSON: {str(error)[:200]}") from None
    _check_depth(value, what)
    return value


def _check_depth(value: Any, what: str) -> None:
    """Refuse values so deeply nested that a later recursion over them would fail."""
    level = [value] if isinstance(value, dict | list) else []
    for _ in range(MAX_DEPTH):
        if not level:
            return
        level = [
            child
            for item in level
            for child in (item.values() if isinstance(item, dict) else item)
            if isinstance(child, dict | list)
        ]
    raise MalformedError(f"{what}: nested deeper than {MAX_DEPTH}")


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) != len(pairs):
        raise ValueError("duplicate key")
    return value


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a number")


def _finite(text: str) -> float:
    value = float(text)
    if value in (float("inf"), float("-inf")):
        raise ValueError("a number overflows")
    return value


def _kind(path: Path) -> str:
    if path.is_symlink():
        return "a symbolic link"
    if not path.exists():
        return "nothing"
    return "a directory" if path.is_dir() else "a special file"

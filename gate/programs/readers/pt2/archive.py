"""The zip container, opened only where every loader would see the same members.

It needs the strict grammar of `gate.formats.strict_zips`, member names on a positive list, no compression, and the same
members and bytes as torch's own reader: an archive that two zip readers could understand differently is refused.
"""

from __future__ import annotations

import re
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from gate.formats.source import Bounds, Source, open_source
from gate.formats.strict_zips import AmbiguousZipError, strict_zip
from gate.formats.zip_members import STORED, Member
from gate.programs.readers.torch_archive import difference
from gate.programs.refused import RefusedError
from gate.records.record import MAX_JSON_BYTES, parse_json

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

MAX_ARCHIVE_BYTES = 32 << 30
MAX_MEMBERS = 50_000
MAX_TEXT_BYTES = 256

MODEL = "models/model.json"
WEIGHTS = "weights"
CONSTANTS = "constants"
_RECORD_PREFIX = {WEIGHTS: "weight", CONSTANTS: "tensor"}

_MEMBER = re.compile(
    r"models/model\.json"
    r"|data/weights/(weight_[0-9]{1,7}|model_weights_config\.json)"
    r"|data/constants/(tensor_[0-9]{1,7}|model_constants_config\.json)"
    r"|data/sample_inputs/model\.pt"
    r"|archive_format|archive_version|byteorder|\.data/version|\.data/serialization_id"
    r"|\.format_version|\.storage_alignment"
)
_ROOT = re.compile(r"[^/\\\x00-\x1f\x7f]{1,255}")
_TEXTS = {"archive_format": b"pt2", "archive_version": b"0", "byteorder": b"little"}


@dataclass(frozen=True)
class Archive:
    """An open archive whose members are all known by name."""

    source: Source
    members: Mapping[str, Member]

    def json(self, name: str) -> Any:
        """Return a member's bounded JSON value."""
        return parse_json(self.record(name, limit=MAX_JSON_BYTES), what=name)

    def record(self, name: str, *, limit: int = MAX_ARCHIVE_BYTES) -> bytes:
        """Return a member's bytes; their checksum was verified when the archive was opened."""
        member = self.members.get(name)
        if member is None:
            raise RefusedError(name, "the archive has no such member")
        if member.size > limit:
            raise RefusedError(name, f"holds {member.size} bytes; at most {limit} are read")
        return self.source.read(member.data_offset, member.size)

    def config_name(self, kind: str) -> str:
        """Return the member that describes the tensors of a kind (weights or constants)."""
        return f"data/{kind}/model_{kind}_config.json"

    def record_name(self, kind: str, path_name: str) -> str:
        """Return the member of a raw tensor record; anything but `weight_N` or `tensor_N` is refused."""
        if re.fullmatch(rf"{_RECORD_PREFIX[kind]}_[0-9]{{1,7}}", path_name) is None:
            raise RefusedError(self.config_name(kind), f"the record {path_name!r} is no raw tensor")
        return f"data/{kind}/{path_name}"

    def records(self, kind: str) -> frozenset[str]:
        """Return the names of all raw tensor members of a kind."""
        prefix = f"data/{kind}/{_RECORD_PREFIX[kind]}_"
        return frozenset(name for name in self.members if name.startswith(prefix))


@contextmanager
def open_archive(path: Path) -> Iterator[Archive]:
    """Open a regular file as a `.pt2` archive, or refuse it; the archive is valid inside the block only."""
    with open_source(path) as source:
        if source.size > MAX_ARCHIVE_BYTES:
            raise RefusedError(path.name, f"{source.size} bytes; at most {MAX_ARCHIVE_BYTES} are read")
        try:
            listed = strict_zip(source, Bounds(max_members=MAX_MEMBERS))
        except AmbiguousZipError as error:
            raise RefusedError("zip", str(error)) from None
        archive = Archive(source, _members(listed))
        if fault := difference(path, source, listed):
            raise RefusedError("zip", fault)
        for name, expected in _TEXTS.items():
            if (name != "archive_version" or name in archive.members) and (
                archive.record(name, limit=MAX_TEXT_BYTES).strip() != expected
            ):
                raise RefusedError(name, f"expected {expected.decode()!r}")
        yield archive


def _members(listed: tuple[Member, ...]) -> dict[str, Member]:
    """Return the members by their name below the one root folder; each must be on the positive list."""
    root = listed[0].name.partition("/")[0]
    if _ROOT.fullmatch(root) is None:
        raise RefusedError("zip", f"the root folder is named {root!r}")
    members: dict[str, Member] = {}
    for member in listed:
        head, _, name = member.name.partition("/")
        if head != root or _MEMBER.fullmatch(name) is None:
            raise RefusedError(member.name, "a member that an exported program does not have")
        if member.method != STORED:
            raise RefusedError(member.name, "the member is compressed; expected it stored")
        members[name] = member
    return members

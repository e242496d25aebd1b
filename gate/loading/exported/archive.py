"""First stage of the strict reader: the zip container, opened only where every loader would see the same members.

A positive list of member names, stored without compression, none twice, laid out back to back from the first byte to
the central directory at the end: an archive that two zip readers could understand differently is refused.
"""

from __future__ import annotations

import re
import stat
import struct
import zipfile
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from gate.loading.exported.refused import RefusedError
from gate.record import MAX_JSON_BYTES, parse_json

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

MAX_ARCHIVE_BYTES = 32 << 30
MAX_MEMBERS = 50_000
MAX_TEXT_BYTES = 256

MODEL = "models/model.json"
SAMPLE_INPUTS = "data/sample_inputs/model.pt"
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
_ENCRYPTED_OR_PATCHED = 0x1 | 0x20 | 0x40 | 0x2000
_LOCAL = struct.Struct("<IHHHHHIIIHH")
_END = struct.Struct("<IHHHHIIH")
_LOCAL_MAGIC = 0x04034B50
_END_MAGIC = 0x06054B50
_DESCRIPTOR_SIZES = (0, 12, 16, 20, 24)
"""Bytes that may follow a member's data: its data descriptor, in one of its four forms, or none."""


@dataclass(frozen=True)
class Archive:
    """An open archive whose members are all known by name."""

    container: zipfile.ZipFile
    members: Mapping[str, zipfile.ZipInfo]

    def json(self, name: str) -> Any:
        """Return a member's bounded JSON value."""
        return parse_json(self.record(name, limit=MAX_JSON_BYTES), what=name)

    def record(self, name: str, *, limit: int = MAX_ARCHIVE_BYTES) -> bytes:
        """Return a member's bytes, with its checksum verified."""
        info = self.members.get(name)
        if info is None:
            raise RefusedError(name, "the archive has no such member")
        if info.file_size > limit:
            raise RefusedError(name, f"holds {info.file_size} bytes; at most {limit} are read")
        return self.container.read(info)

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
    status = path.lstat()
    if not stat.S_ISREG(status.st_mode):
        raise RefusedError(path.name, "expected a regular file")
    if status.st_size > MAX_ARCHIVE_BYTES:
        raise RefusedError(path.name, f"{status.st_size} bytes; at most {MAX_ARCHIVE_BYTES} are read")
    with path.open("rb") as stream:
        _check_end(stream.read, stream.seek, status.st_size)
        with zipfile.ZipFile(stream) as container:
            infos = container.infolist()
            archive = Archive(container, _members(infos))
            _check_layout(stream, infos, container.start_dir)
            for name, expected in _TEXTS.items():
                if (name != "archive_version" or name in archive.members) and (
                    archive.record(name, limit=MAX_TEXT_BYTES).strip() != expected
                ):
                    raise RefusedError(name, f"expected {expected.decode()!r}")
            yield archive


def _members(infos: list[zipfile.ZipInfo]) -> dict[str, zipfile.ZipInfo]:
    """Return the members by their name below the one root folder; each must be on the positive list."""
    if not 0 < len(infos) <= MAX_MEMBERS:
        raise RefusedError("zip", f"{len(infos)} members; expected 1 to {MAX_MEMBERS}")
    root = infos[0].filename.partition("/")[0]
    if _ROOT.fullmatch(root) is None or root in {".", ".."}:
        raise RefusedError("zip", f"the root folder is named {root!r}")
    members: dict[str, zipfile.ZipInfo] = {}
    for info in infos:
        head, _, name = info.filename.partition("/")
        if head != root or info.filename != info.orig_filename or _MEMBER.fullmatch(name) is None:
            raise RefusedError(info.filename, "a member that an exported program does not have")
        if name in members:
            raise RefusedError(info.filename, "the member occurs twice")
        if info.compress_type != zipfile.ZIP_STORED or info.compress_size != info.file_size:
            raise RefusedError(info.filename, "the member is compressed; expected it stored")
        if info.flag_bits & _ENCRYPTED_OR_PATCHED:
            raise RefusedError(info.filename, "the member is encrypted or patched")
        members[name] = info
    return members


def _check_layout(stream: Any, infos: list[zipfile.ZipInfo], directory_offset: int) -> None:
    """Refuse local headers that differ from the directory, and bytes that belong to no member."""
    expected = 0
    slack: tuple[int, ...] = (0,)
    for info in sorted(infos, key=lambda info: info.header_offset):
        if info.header_offset - expected not in slack:
            raise RefusedError(info.filename, "members overlap, or bytes between them belong to none")
        stream.seek(info.header_offset)
        head = stream.read(_LOCAL.size)
        if len(head) != _LOCAL.size:
            raise RefusedError(info.filename, "the local header is cut off")
        magic, _, flags, method, _, _, _, packed, size, name_length, extra_length = _LOCAL.unpack(head)
        sizes_agree = {packed, size} <= {info.file_size, 0, 0xFFFFFFFF}
        name = stream.read(name_length)
        if (
            magic != _LOCAL_MAGIC
            or method != zipfile.ZIP_STORED
            or flags & _ENCRYPTED_OR_PATCHED
            or not sizes_agree
            or name != info.filename.encode("utf-8" if flags & 0x800 else "cp437")
        ):
            raise RefusedError(info.filename, "the local header differs from the central directory")
        expected = info.header_offset + _LOCAL.size + name_length + extra_length + info.file_size
        slack = _DESCRIPTOR_SIZES if flags & 0x8 else (0,)
    if directory_offset - expected not in slack:
        raise RefusedError("zip", "bytes before the central directory belong to no member")


def _check_end(read: Any, seek: Any, size: int) -> None:
    """Refuse an archive whose end record is not its last 22 bytes, or that spans several disks."""
    if size < _END.size:
        raise RefusedError("zip", "too short for an archive")
    seek(size - _END.size)
    magic, disk, first_disk, here, total, _, _, comment = _END.unpack(read(_END.size))
    if magic != _END_MAGIC or comment:
        raise RefusedError("zip", "the end record is not at the end, or a comment follows it")
    if disk or first_disk or here != total:
        raise RefusedError("zip", "the archive spans several disks")
    seek(0)

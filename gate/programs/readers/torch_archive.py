"""Archives as torch's own reader sees them: the same records, at the same places, with the same bytes, or refused.

The strict grammar rules out that two readers differ on an archive; this asks the reader that the deployer has. It reads
member by member, holds no more than one of them in memory, and runs nothing of what it reads.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from gate.formats.source import Bounds, Source, UnreadableError, open_source
from gate.formats.strict_zips import strict_zip
from gate.formats.torch_zips import torch_zip_faults
from gate.formats.zip_headers import LOCAL
from gate.formats.zip_members import Member, content_fault, member_chunks
from gate.records.errors import UnexaminableError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

_SAVE_AGAIN = "Save the model again with torch.save of the torch that serves it, and copy the file without changing it."


def read_torch_zip(path: Path) -> tuple[Member, ...] | None:
    """Return the members of an archive of torch.save that every reader sees alike; None where the file is no zip.

    A zip that readers may see differently raises `UnexaminableError` with the member and what was expected.
    """
    bounds = Bounds()
    try:
        with open_source(path) as source:
            if source.read(0, len(LOCAL)) != LOCAL:
                return None
            members = strict_zip(source, bounds)
            fault = next(torch_zip_faults(source, members, bounds), "") or difference(path, source, members)
    except UnreadableError as error:
        fault = str(error)
    if fault:
        raise UnexaminableError(f"{path.name} cannot be read: {fault}", what_to_do=_SAVE_AGAIN)
    return members


def difference(path: Path, source: Source, members: Sequence[Member]) -> str:
    """Return in which member torch's reader of the file differs from the members given; empty where in none."""
    try:
        reader = torch._C.PyTorchFileReader(str(path))  # noqa: SLF001  # the reader under torch.load and torch.export
        listed = list(reader.get_all_records())
    except (RuntimeError, ValueError) as error:
        return f"torch's reader refuses it: {_first_line(error)}"
    names = [member.name.partition("/")[2] for member in members]
    if listed != names:
        first = next((name for name, other in zip(listed, names, strict=False) if name != other), "")
        return f"torch's reader lists {len(listed)} members, the gate {len(names)}; the first that differs is {first!r}"
    for name, member in zip(names, members, strict=True):
        try:
            fault = _member_difference(reader, name, source, member)
        except (RuntimeError, ValueError) as error:
            fault = f"torch's reader refuses it: {_first_line(error)}"
        if fault:
            return f"member {member.name!r}: {fault}"
    return ""


def _member_difference(reader: torch._C.PyTorchFileReader, name: str, source: Source, member: Member) -> str:
    """Return how torch's reading of one member differs, its place first, then its checksum, then byte for byte."""
    place, size = reader.get_record_offset(name), reader.get_record_size(name)  # type: ignore[attr-defined]
    if (place, size) != (member.data_offset, member.size):
        return f"torch's reader finds {size} bytes at {place}; expected {member.size} at {member.data_offset}"
    if fault := content_fault(source, member, Bounds(max_inflated_bytes=member.size)):
        return fault
    if not size:
        return ""
    storage = reader.get_storage_from_record(name, size, torch.uint8).untyped_storage()
    read = torch.empty(0, dtype=torch.uint8).set_(storage).numpy().data
    if len(read) != size:
        return f"torch's reader reads {len(read)} bytes; expected {size}"
    at = 0
    for chunk in member_chunks(source, member, member.size):
        if read[at : at + len(chunk)] != chunk:
            return f"torch's reader reads other bytes from {at} on"
        at += len(chunk)
    return ""


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0][:200]

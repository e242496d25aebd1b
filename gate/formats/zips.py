"""Zip archives as any loader may see them: members by directory and by local header, regardless of flags and checksums.

Loaders differ in which header they trust, and most ignore checksums and the encryption bit. So this reader lists every
member that any of them could find, gives its bytes regardless, and reports each disagreement as a fault.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

from gate.formats.source import CHUNK, Bounds, Source, UnreadableError
from gate.formats.strict_zips import AmbiguousZipError, strict_zip
from gate.formats.zip_headers import CENTRAL, LOCAL, Directory, directory_entry, find_directory, local_header
from gate.formats.zip_members import DEFLATED, STORED, Member

_ENCRYPTED, _DESCRIPTOR = 0x1, 0x8
_METHODS = frozenset({STORED, DEFLATED, 9, 12, 14, 93, 95, 99})
_MAX_NAME = 4096


@dataclass(frozen=True)
class Archive:
    """The members of a zip archive, and the contradictions between its headers."""

    members: tuple[Member, ...]
    faults: tuple[str, ...]

    def named(self, suffix: str) -> Member | None:
        """Return the first member whose name is `suffix`, or ends in it below a folder."""
        found = (member for member in self.members if member.name == suffix or member.name.endswith("/" + suffix))
        return next(found, None)


def is_zip(source: Source) -> bool:
    """Tell whether a loader would take the bytes for a zip: a local header first, or an end record last."""
    return source.read(0, 4) == LOCAL or find_directory(source) is not None


def read_zip(source: Source, bounds: Bounds) -> Archive:
    """Return all members, those that the directory lists and those that it does not."""
    faults: list[str] = []
    members: list[Member] = []
    directory = find_directory(source)
    covered: list[tuple[int, int]] = []
    if directory is None:
        faults.append("no central directory")
    else:
        if directory.shift:
            faults.append(f"{directory.shift} bytes before the archive")
        members.extend(_listed(source, directory, bounds, faults))
        covered.append((directory.offset, directory.offset + directory.size))
    spans = sorted((member.header_offset, member.data_offset + member.compressed_size) for member in members)
    if any(begin < end for (_, end), (begin, _) in pairwise(spans)):
        faults.append("members that share bytes")
    covered.extend(spans)
    for member in _unlisted(source, covered, bounds):
        faults.append(f"member {member.name!r} is not in the directory")
        members.append(member)
    bounds.budget.enter(len(members))
    names = [member.name for member in members]
    if len(set(names)) != len(names):
        faults.append("two members of one name")
    try:
        strict_zip(source, bounds)
    except AmbiguousZipError as error:
        faults.append(str(error))
    return Archive(tuple(members), tuple(faults[:100]))


def _listed(source: Source, directory: Directory, bounds: Bounds, faults: list[str]) -> Iterator[Member]:
    at, end = directory.offset, directory.offset + directory.size
    count = 0
    while at < end and source.read(at, 4) == CENTRAL:
        count += 1
        if count > bounds.max_members:
            raise UnreadableError(f"an archive of more than {bounds.max_members} members")
        if count % 256 == 0:
            bounds.tick()
        member, at = _entry(source, at, directory.shift, faults)
        if member is not None:
            yield member
    if count != directory.entries or at != end:
        faults.append(f"the directory states {directory.entries} members and lists {count}")


def _entry(source: Source, at: int, shift: int, faults: list[str]) -> tuple[Member | None, int]:
    """Read one directory entry, compare it with the local header, and return where the next one begins."""
    entry = directory_entry(source, at)
    if entry is None:
        faults.append("the directory is cut off")
        return None, source.size
    text = _text(entry.name)
    if entry.flags & _ENCRYPTED:
        faults.append(f"member {text!r} is marked as encrypted")
    local = local_header(source, entry.offset + shift)
    if local is None:
        faults.append(f"member {text!r} has no local header where the directory says")
        return None, entry.end
    if local.name != entry.name:
        faults.append(f"member {text!r} is called {_text(local.name)!r} in its local header")
    if local.offset + entry.compressed_size > source.size:
        faults.append(f"member {text!r} is cut off")
    begin = entry.offset + shift
    member = Member(text, entry.method, entry.crc, entry.compressed_size, entry.size, begin, local.offset)
    return member, entry.end


def _unlisted(source: Source, covered: list[tuple[int, int]], bounds: Bounds) -> Iterator[Member]:
    """Find local headers in the gaps that no listed member and no directory covers."""
    count = 0
    for begin, end in _gaps(covered, source.size):
        at = begin
        while (found := _find(source, LOCAL, at, end, bounds)) is not None:
            at = found + 4
            member = _orphan(source, found, end)
            if member is None:
                continue
            count += 1
            if count > bounds.max_members:
                raise UnreadableError(f"an archive of more than {bounds.max_members} unlisted members")
            yield member
            at = max(at, member.data_offset + member.compressed_size)


def _orphan(source: Source, offset: int, end: int) -> Member | None:
    """Read an unlisted local header; None if its fields are not plausible."""
    local = local_header(source, offset)
    if local is None or local.method not in _METHODS or not 0 < len(local.name) <= _MAX_NAME or local.offset > end:
        return None
    packed, room = local.compressed_size, end - local.offset
    if (local.flags & _DESCRIPTOR and not packed) or packed > room:
        packed = room
    return Member(_text(local.name), local.method, local.crc, packed, local.size, offset, local.offset)


def _gaps(covered: list[tuple[int, int]], size: int) -> Iterator[tuple[int, int]]:
    at = 0
    for begin, end in sorted(covered):
        if begin > at:
            yield at, begin
        at = max(at, end)
    if at < size:
        yield at, size


def _find(source: Source, needle: bytes, begin: int, end: int, bounds: Bounds) -> int | None:
    at = begin
    while at < end:
        bounds.tick()
        chunk = source.read(at, min(CHUNK, end - at + len(needle) - 1))
        place = chunk.find(needle)
        if place >= 0:
            return at + place if at + place < end else None
        at += CHUNK - len(needle) + 1
    return None


def _text(name: bytes) -> str:
    return name.decode("utf-8", errors="backslashreplace")

"""The grammar of zip archives in which every reader lists the same members and reads the same bytes.

Zip readers differ in which headers they trust: Python takes a zip64 record from where it should be, torch from where
the locator points; some read local headers, others the directory; torch's ignores case and reads no bytes of a member
with a DOS directory bit. So only what torch, NumPy and Python's zipfile write is accepted (docs/decisions/0018):
members back to back from byte 0 in the directory's order, the directory behind them, the end record last, every value
that is stated twice stated equally. Anything else is an `AmbiguousZipError`, which names the broken rule.
"""

import struct
import unicodedata
from dataclasses import dataclass

from gate.formats.source import Bounds, Source, UnreadableError
from gate.formats.zip_headers import CENTRAL, END, END64, END64_LOCATOR, LOCAL
from gate.formats.zip_members import DEFLATED, STORED, Member

_DESCRIPTOR_MAGIC = b"PK\x07\x08"
_STREAMED, _UTF8 = 0x8, 0x800
_FLAGS = frozenset({0, _STREAMED, _UTF8, _STREAMED | _UTF8})
_MAX_NAME = 511
"""torch's reader cuts off longer names."""
_MAX_VERSION = 45
_MAX_COMMENT = (1 << 16) - 1
_FULL16, _FULL32 = 0xFFFF, 0xFFFFFFFF
_BEGINS_WIDE = 1 << 31
"""Size from which Python's zipfile uses 64 bits for sizes and places; torch does from four gigabytes on."""
_ZIP64 = 1
_PADDING = b"FB"
"""The extra field by which torch aligns records; it holds nothing but the letter Z."""
_END = struct.Struct("<4sHHHHLLH")
_LOCATOR = struct.Struct("<4sLQL")
_END64 = struct.Struct("<4sQHHLLQQQQ")
_CENTRAL = struct.Struct("<4sHHHHHHLLLHHHHHLL")
_LOCAL = struct.Struct("<4sHHHHHLLLHH")


class AmbiguousZipError(UnreadableError):
    """An archive that two readers could read differently, and the rule that it breaks."""

    def __init__(self, rule: str, what: str) -> None:
        self.rule = rule
        super().__init__(f"ambiguous zip: {what}")


@dataclass(frozen=True)
class _Entry:
    """One entry of the directory, with its 64-bit values."""

    raw_name: bytes
    name: str
    flags: int
    method: int
    stamp: tuple[int, int]
    crc: int
    packed: int
    size: int
    offset: int
    end: int


@dataclass(frozen=True)
class _Form:
    """The values of a local header, and the bytes behind the data, that a writer has for one entry."""

    crc: int
    packed: int
    size: int
    extra: bytes = b""
    descriptor: bytes = b""


def strict_zip(source: Source, bounds: Bounds) -> tuple[Member, ...]:
    """Return the members in their order, or raise `AmbiguousZipError` by the first rule that the layout breaks."""
    directory, end, count = _directory(source)
    if not 0 < count <= bounds.max_members:
        raise AmbiguousZipError("count", f"it states {count} members; expected 1 to {bounds.max_members}")
    members: list[Member] = []
    names: dict[str, str] = {}
    at, place = 0, directory
    for index in range(count):
        if index % 256 == 0:
            bounds.tick()
        entry = _entry(source, place, end)
        _refuse_collision(names, entry.name)
        member, at = _member(source, entry, at)
        if at > directory:
            raise AmbiguousZipError("place", f"member {entry.name!r} reaches into the directory")
        members.append(member)
        place = entry.end
    if place != end:
        raise AmbiguousZipError("count", f"it states {count} members, and its directory goes on behind them")
    if at != directory:
        raise AmbiguousZipError("place", f"{directory - at} bytes before the directory belong to no member")
    return tuple(members)


def _directory(source: Source) -> tuple[int, int, int]:
    """Return begin, end and count of the directory by the end record, which must be the last 22 bytes and unique."""
    reach = min(source.size, _END.size + _MAX_COMMENT)
    tail = source.read(source.size - reach, reach)
    if len(tail) < _END.size or not tail[-_END.size :].startswith(END):
        raise AmbiguousZipError("end", "the end record is not its last 22 bytes")
    _, disk, first_disk, here, count, size, offset, comment = _END.unpack(tail[-_END.size :])
    if comment:
        raise AmbiguousZipError("end", f"its end record states a comment of {comment} bytes")
    if disk or first_disk or here != count:
        raise AmbiguousZipError("end", "it spans several disks")
    _refuse_second_end(tail)
    end = source.size - _END.size
    locator = source.read(end - _LOCATOR.size, _LOCATOR.size) if end >= _LOCATOR.size else b""
    if locator.startswith(END64_LOCATOR):
        count, size, offset, end = _wide_end(source, locator, (count, size, offset), end)
    elif _FULL32 in (size, offset):
        raise AmbiguousZipError("zip64", "its end record refers to a zip64 record, and none stands before it")
    if offset + size != end:
        raise AmbiguousZipError("end", f"its directory ends at {offset + size}; expected {end}, where the end begins")
    return offset, end, count


def _refuse_second_end(tail: bytes) -> None:
    """Refuse a second end record that a search could find: inside the last one, or with a comment up to the end."""
    last = len(tail) - _END.size
    at = tail.find(END)
    while at >= 0:
        if at > last:
            raise AmbiguousZipError("end", "its end record holds the mark of another one")
        if at < last and at + _END.size + int.from_bytes(tail[at + 20 : at + 22], "little") >= len(tail):
            raise AmbiguousZipError("end", "a second end record stands before its end, with the last one as a comment")
        at = tail.find(END, at + 1)


def _wide_end(source: Source, locator: bytes, narrow: tuple[int, int, int], end: int) -> tuple[int, int, int, int]:
    """Return count, size and offset by a zip64 record as torch writes it, and its place."""
    place = end - _LOCATOR.size - _END64.size
    _, disk, stated, disks = _LOCATOR.unpack(locator)
    if (disk, stated, disks) != (0, place, 1):
        raise AmbiguousZipError("zip64", f"its zip64 locator points to {stated}; expected {place}, directly before it")
    record = source.read(place, _END64.size)
    if len(record) != _END64.size or not record.startswith(END64):
        raise AmbiguousZipError("zip64", "no zip64 record stands before its zip64 locator")
    _, length, _, version, disk, first_disk, here, count, size, offset = _END64.unpack(record)
    if (length, version, disk, first_disk, here) != (_END64.size - 12, _MAX_VERSION, 0, 0, count):
        raise AmbiguousZipError("zip64", "its zip64 record is none that torch or Python write")
    if narrow != (min(count, _FULL16), min(size, _FULL32), min(offset, _FULL32)):
        raise AmbiguousZipError("zip64", f"its zip64 record states {(count, size, offset)}, its end record {narrow}")
    return count, size, offset, place


def _entry(source: Source, at: int, limit: int) -> _Entry:
    head = source.read(at, min(_CENTRAL.size, limit - at))
    if len(head) < _CENTRAL.size or not head.startswith(CENTRAL):
        raise AmbiguousZipError("count", "its directory holds fewer members than it states")
    fields = _CENTRAL.unpack(head)
    _, _, version, flags, method, time, date, crc, packed, size, name_size, extra_size = fields[:12]
    comment, disk, internal, external, offset = fields[12:]
    end = at + _CENTRAL.size + name_size + extra_size
    if end > limit:
        raise AmbiguousZipError("count", "its directory is cut off")
    rest = source.read(at + _CENTRAL.size, name_size + extra_size)
    raw_name, extra = rest[:name_size], rest[name_size:]
    name = _name(raw_name, flags)
    if flags not in _FLAGS or version > _MAX_VERSION:
        raise AmbiguousZipError("flags", f"member {name!r} has unexpected flags {flags:#x} for version {version}")
    if method not in (STORED, DEFLATED):
        raise AmbiguousZipError("method", f"member {name!r} is compressed by method {method}; expected none or deflate")
    if comment or disk or internal or external & _FULL16 or external >> 28 not in (0, 8):
        raise AmbiguousZipError("attributes", f"member {name!r} has a comment or attributes that a plain file has not")
    packed, size, offset = _wide(name, extra, packed, size, offset)
    if (method == STORED and packed != size) or (size and not packed):
        raise AmbiguousZipError("size", f"member {name!r} has {packed} bytes for {size}")
    return _Entry(raw_name, name, flags, method, (time, date), crc, packed, size, offset, end)


def _wide(name: str, extra: bytes, packed: int, size: int, offset: int) -> tuple[int, int, int]:
    """Return the 64-bit values of the directory, which are there only for members that need them."""
    stated = size, packed, offset
    full = [value == _FULL32 for value in stated]
    if not any(full):
        if extra:
            raise AmbiguousZipError("extra", f"member {name!r} has an extra field in the directory; expected none")
        return packed, size, offset
    count = sum(full)
    if len(extra) != 4 + 8 * count or extra[:4] != struct.pack("<HH", _ZIP64, 8 * count):
        raise AmbiguousZipError("extra", f"member {name!r} lacks the zip64 field that its entry refers to, or has more")
    values = iter(struct.unpack(f"<{count}Q", extra[4:]))
    size, packed, offset = (next(values) if wide else value for wide, value in zip(full, stated, strict=True))
    if max(size, packed, offset) < _BEGINS_WIDE:
        raise AmbiguousZipError("extra", f"member {name!r} has a zip64 field and lies below two gigabytes")
    return packed, size, offset


def _member(source: Source, entry: _Entry, at: int) -> tuple[Member, int]:
    """Compare a local header and what follows the data with the entry; return the member, and the next one's place."""
    name = entry.name
    if entry.offset != at:
        raise AmbiguousZipError("place", f"member {name!r} begins at {entry.offset}; expected {at}, behind the last")
    head = source.read(at, _LOCAL.size)
    if len(head) < _LOCAL.size or not head.startswith(LOCAL):
        raise AmbiguousZipError("local", f"member {name!r} has no local header where the directory says")
    _, _, flags, method, time, date, crc, packed, size, name_size, extra_size = _LOCAL.unpack(head)
    rest = source.read(at + _LOCAL.size, name_size + extra_size)
    if rest[:name_size] != entry.raw_name or len(rest) != name_size + extra_size:
        raise AmbiguousZipError("name", f"member {name!r} is called {rest[:name_size]!r} in its local header")
    if (flags, method, (time, date)) != (entry.flags, entry.method, entry.stamp):
        raise AmbiguousZipError("local", f"member {name!r} has other flags, method or time in its local header")
    extra = rest[name_size:]
    form = _form(entry, extra)
    if (crc, packed, size) != (form.crc, form.packed, form.size):
        raise AmbiguousZipError("local", f"member {name!r} has another size or checksum in its local header")
    if not extra.startswith(form.extra) or not _is_padding(extra[len(form.extra) :]):
        raise AmbiguousZipError("extra", f"member {name!r} has an extra field that torch and Python do not write")
    data = at + _LOCAL.size + name_size + extra_size
    behind = data + entry.packed
    if source.read(behind, len(form.descriptor)) != form.descriptor:
        raise AmbiguousZipError("descriptor", f"member {name!r} lacks the descriptor that its flags announce")
    member = Member(name, entry.method, entry.crc, entry.packed, entry.size, at, data)
    return member, behind + len(form.descriptor)


def _form(entry: _Entry, extra: bytes) -> _Form:
    """Return the only form that the writers have for an entry: torch's with a descriptor, or Python's without."""
    if entry.flags & _STREAMED:
        large, far = entry.size >= _FULL32, entry.offset >= _FULL32
        values = (*((entry.size, 0) if large else ()), *((entry.offset,) if far else ()))
        sizes = struct.pack("<QQ" if values else "<LL", entry.packed, entry.size)
        descriptor = _DESCRIPTOR_MAGIC + struct.pack("<L", entry.crc) + sizes
        return _Form(0, 0, 0, _wide_field(*values) if values else b"", descriptor)
    if extra.startswith(_wide_field(entry.size, entry.packed)):
        return _Form(entry.crc, _FULL32, _FULL32, _wide_field(entry.size, entry.packed))
    if entry.offset >= _FULL32 and not entry.size:
        # torch writes an empty record without a descriptor, and its place only if that is far.
        return _Form(entry.crc, 0, 0, _wide_field(entry.offset))
    return _Form(entry.crc, entry.packed, entry.size)


def _wide_field(*values: int) -> bytes:
    return struct.pack(f"<HH{len(values)}Q", _ZIP64, 8 * len(values), *values)


def _is_padding(extra: bytes) -> bool:
    """Tell whether bytes are empty, or one field of torch's padding."""
    if not extra:
        return True
    stated = int.from_bytes(extra[2:4], "little")
    return extra.startswith(_PADDING) and len(extra) == 4 + stated and not extra[4:].strip(b"Z")


def _name(raw: bytes, flags: int) -> str:
    """Return a name that every reader understands alike: one encoding, no way out of the folder, no folder."""
    try:
        name = raw.decode("utf-8" if flags & _UTF8 else "ascii")
    except UnicodeDecodeError:
        raise AmbiguousZipError("name", f"the name {raw!r:.200} is not in the encoding that its flags state") from None
    plain = unicodedata.normalize("NFKC", name)
    if not 0 < len(raw) <= _MAX_NAME or not name.isprintable() or "\\" in plain or plain[1:2] == ":":
        raise AmbiguousZipError("name", f"the name {name!r:.200} is empty, too long, or ambiguous on some systems")
    if any(part in ("", ".", "..") for part in plain.split("/")):
        raise AmbiguousZipError("name", f"the name {name!r:.200} is absolute, a folder, or leads out of its folder")
    return name


def _refuse_collision(names: dict[str, str], name: str) -> None:
    """Refuse a second name that is the same without case and composition; torch's reader ignores case."""
    folded = unicodedata.normalize("NFKC", name).casefold()
    if folded in names:
        raise AmbiguousZipError("name", f"the members {names[folded]!r} and {name!r} have one name for some readers")
    names[folded] = name

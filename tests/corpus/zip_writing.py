"""A writer of zips that can write what no other one does: every field of every header is the caller's to change."""

import struct
import zlib
from dataclasses import dataclass, field

FULL = 0xFFFFFFFF


@dataclass
class Part:
    """One member: what its two headers and its descriptor say, and what stands between them."""

    name: bytes
    content: bytes
    deflated: bool = False
    form: str = "torch"
    """Whose local header it has: `torch`, `python` or `numpy` (sizes in a zip64 field)."""
    aligned: int = 64
    local: dict[str, int] = field(default_factory=dict)
    central: dict[str, int] = field(default_factory=dict)
    local_name: bytes | None = None
    local_extra: bytes | None = None
    central_extra: bytes = b""
    comment: bytes = b""
    descriptor: bytes | None = None
    stream: bytes | None = None
    """Compressed bytes in place of those that zlib would give."""
    before: bytes = b""
    """Bytes that belong to no member, in front of the local header."""


@dataclass
class Built:
    """An archive and where its headers stand."""

    raw: bytearray
    locals: list[int]
    centrals: list[int]
    contents: list[int]
    directory: int
    end: int

    @property
    def headers(self) -> list[tuple[int, int]]:
        """Begin and length of every fixed header, those of zip64 included where they stand."""
        spans = [(at, 30) for at in self.locals] + [(at, 46) for at in self.centrals] + [(self.end, 22)]
        if self.raw[self.end - 20 : self.end - 16] == b"PK\x06\x07":
            spans += [(self.end - 20, 20), (self.end - 76, 56)]
        return spans


def build(parts: list[Part], *, zip64: bool = True, order: list[int] | None = None) -> Built:
    """Write the parts one after the other, then a directory in the order given, then the end."""
    raw = bytearray()
    places, contents = [], []
    for part in parts:
        raw += part.before
        places.append(len(raw))
        _write(raw, part, contents)
    directory = len(raw)
    centrals = []
    for index in range(len(parts)) if order is None else order:
        centrals.append(len(raw))
        raw += _central(parts[index], places[index])
    size, count = len(raw) - directory, len(centrals)
    if zip64:
        raw += end64(count, size, directory) + locator(directory + size)
    end = len(raw)
    raw += end_record(count, size, directory)
    return Built(raw, places, centrals, contents, directory, end)


def end_record(count: int, size: int, offset: int, comment: int = 0) -> bytes:
    """Return the classic end record."""
    return struct.pack("<4sHHHHLLH", b"PK\x05\x06", 0, 0, count, count, size, offset, comment)


def end64(count: int, size: int, offset: int) -> bytes:
    """Return the zip64 end record as torch writes it."""
    return struct.pack("<4sQHHLLQQQQ", b"PK\x06\x06", 44, 0x031E, 45, 0, 0, count, count, size, offset)


def locator(place: int) -> bytes:
    """Return the locator of a zip64 end record."""
    return struct.pack("<4sLQL", b"PK\x06\x07", 0, place, 1)


def packed(part: Part) -> bytes:
    """Return the bytes that a part stores."""
    if part.stream is not None:
        return part.stream
    if not part.deflated:
        return part.content
    machine = zlib.compressobj(6, zlib.DEFLATED, -15)
    return machine.compress(part.content) + machine.flush()


def _fields(part: Part) -> dict[str, int]:
    streamed = part.form == "torch" and part.content
    return {
        "version": 20 if part.deflated else 0,
        "flags": (0x800 if part.form == "torch" or not part.name.isascii() else 0) | (0x8 if streamed else 0),
        "method": 8 if part.deflated else 0,
        "time": 0,
        "date": 0 if part.form == "torch" else 33,
        "crc": zlib.crc32(part.content),
        "packed": len(packed(part)),
        "size": len(part.content),
    }


def _write(raw: bytearray, part: Part, contents: list[int]) -> None:
    fields, at = _fields(part), len(raw)
    name = part.name if part.local_name is None else part.local_name
    streamed = bool(fields["flags"] & 0x8)
    local = dict(fields)
    extra = b""
    if streamed:
        local.update(crc=0, packed=0, size=0)
    if part.form == "numpy":
        extra = struct.pack("<HHQQ", 1, 16, fields["size"], fields["packed"])
        local.update(packed=FULL, size=FULL)
    elif part.form == "torch" and part.aligned:
        room = -(at + 30 + len(name) + 4) % part.aligned
        extra = b"FB" + struct.pack("<H", room) + b"Z" * room
    if part.local_extra is not None:
        extra = part.local_extra
    local.update(part.local)
    head = ("version", "flags", "method", "time", "date", "crc", "packed", "size")
    raw += (
        struct.pack("<4sHHHHHLLLHH", b"PK\x03\x04", *(local[key] for key in head), len(name), len(extra)) + name + extra
    )
    contents.append(len(raw))
    raw += packed(part)
    descriptor = struct.pack("<4sLLL", b"PK\x07\x08", *(fields[key] for key in ("crc", "packed", "size")))
    raw += part.descriptor if part.descriptor is not None else descriptor if streamed else b""


def _central(part: Part, offset: int) -> bytes:
    central = {"made": 0, **_fields(part), "disk": 0, "internal": 0, "external": 0, "offset": offset, **part.central}
    if part.form != "torch":
        central["external"] = part.central.get("external", 0o600 << 16)
    head = ("made", "version", "flags", "method", "time", "date", "crc", "packed", "size")
    sizes = (len(part.name), len(part.central_extra), len(part.comment))
    tail = ("disk", "internal", "external", "offset")
    return (
        struct.pack(
            "<4sHHHHHHLLLHHHHHLL",
            b"PK\x01\x02",
            *(central[key] for key in head),
            *sizes,
            *(central[key] for key in tail),
        )
        + part.name
        + part.central_extra
        + part.comment
    )

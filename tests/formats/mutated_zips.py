"""Zips by the thousand, well-formed and hostile, against the strict reader, Python's zipfile and torch's reader.

For every one the strict reader must refuse it, or list and read exactly what both others do, byte for byte:
`python -m tests.formats.mutated_zips --count 20000 --seed 0` prints how many of each kind there were, and exits with 1
where one violates that. A zip is a function of seed and index alone.
"""

import argparse
import functools
import io
import random
import struct
import sys
import time
import zipfile
import zlib
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from gate.formats.source import Bounds, Source, UnreadableError
from gate.formats.strict_zips import AmbiguousZipError, strict_zip
from gate.formats.zip_members import STORED, Member, content_fault, member_chunks
from tests.corpus import zip_writing as writing
from tests.corpus.zip_writing import Built, Part, build
from tests.formats.zip_readers import Readers, digest

LIMIT = 1 << 20
BOUNDS = Bounds(max_members=1000, max_inflated_bytes=LIMIT)
SPECIAL = (0, 1, 2, 8, 9, 20, 0x10, 0x20, 0x40, 0x800, 0x2000, 0x7FFF, 0x8000, 0xFFFE, 0xFFFF, 0xFFFFFFFE, 0xFFFFFFFF)
MARKS = (b"PK\x03\x04", b"PK\x01\x02", b"PK\x05\x06", b"PK\x06\x06", b"PK\x06\x07", b"PK\x07\x08")

Mutation = Callable[[random.Random, Built], bytes]
Shaping = Callable[[random.Random, list[Part]], None]


# ------------------------------------------------------------------------------------------- well-formed ones


@functools.cache
def written_by_libraries() -> tuple[bytes, ...]:
    """Return archives that torch and Python's zipfile themselves wrote."""
    import numpy as np
    import torch

    found = []
    for value in (
        {"w": torch.arange(12.0), "e": torch.zeros(0)},
        [torch.ones(3, dtype=torch.bool), "x"],
        torch.nn.Linear(3, 2),
    ):
        out = io.BytesIO()
        torch.save(value, out)
        found.append(out.getvalue())
    for method in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        out = io.BytesIO()
        with zipfile.ZipFile(out, "w", method) as archive:
            for name, content in (("m/version", b"3\n"), ("m/data.pkl", b"\x80\x02}."), ("m/data/0", bytes(500))):
                archive.writestr(name, content)
        found.append(out.getvalue())
    for save in (np.savez, np.savez_compressed):
        out = io.BytesIO()
        save(out, **{"m/version": np.zeros(3), "m/b": np.arange(5)})
        found.append(out.getvalue())
    return tuple(found)


def content(dice: random.Random) -> bytes:
    """Return the content of a member: numbers, zeros, text, nothing, marks of headers, or another archive."""
    kind = dice.randrange(8)
    if kind == 0:
        return b""
    if kind == 1:
        return bytes(dice.randrange(1, 400))
    if kind == 2:
        return b"{" + b"text, " * dice.randrange(60) + b"}"
    if kind == 3:
        return dice.choice(MARKS) + dice.randbytes(dice.randrange(60))
    if kind == 4:
        return build([Part(b"inner/version", b"3\n"), Part(b"inner/data", dice.randbytes(30))]).raw[:]
    return dice.randbytes(dice.randrange(1, 600))


def parts(dice: random.Random) -> list[Part]:
    """Return the members of a well-formed archive, in the forms of the three writers."""
    root = dice.choice(("archive", "model", "m", "модель", "a b", "x" * 60))
    names = [
        "version",
        "data.pkl",
        "byteorder",
        ".data/serialization_id",
        *(f"data/{index}" for index in range(dice.randrange(6))),
    ]
    names += dice.sample(
        ["models/model.json", "data/weights/weight_0", "extra/größe.txt", "A.npy", "arr_0.npy"], dice.randrange(3)
    )
    dice.shuffle(names)
    form = dice.choice(("torch", "torch", "python", "numpy"))
    found = []
    for name in names:
        part = Part(f"{root}/{name}".encode(), b"3\n" if name == "version" else content(dice), form=form)
        part.deflated = dice.random() < 0.2
        part.aligned = dice.choice((64, 64, 64, 0, 8, 4096))
        if part.deflated and not part.content:
            part.deflated = False
        if not part.name.isascii() and form != "torch":
            part.central["flags"] = part.local["flags"] = 0x800
        found.append(part)
    return found


# ------------------------------------------------------------------------------------------------ hostile ones


def _local_name(dice: random.Random, found: list[Part]) -> None:
    part = dice.choice(found)
    part.local_name = dice.choice((part.name.upper(), part.name[:-1] + b"!", part.name + b"\0x", found[0].name))


def _bad_name(dice: random.Random, found: list[Part]) -> None:
    part = dice.choice(found)
    other = dice.choice(found).name
    names = (
        b"../x", b"/etc/x", b"m/../x", b"C:/x", b"m\\x", b"m/", b"m//x", b"m/./x", b"", b"m/a\0b", b"m/\xff",
        b"m/\x1b[0m", b"m/" + b"n" * 600, "m/\u2025/x".encode(), other, other.upper(), other.swapcase(),
        other.replace(b"/", "\uff0f".encode()), other.replace(b"data", "\uff44ata".encode()),
    )  # fmt: skip
    part.name = dice.choice(names)


def _flags(dice: random.Random, found: list[Part]) -> None:
    part = dice.choice(found)
    flags = dice.choice((0, 1, 2, 4, 8, 0x20, 0x40, 0x800, 0x808, 0x2000, 0x801))
    for header in dice.choice(((part.local,), (part.central,), (part.local, part.central))):
        header["flags"] = flags


def _field(dice: random.Random, found: list[Part]) -> None:
    part = dice.choice(found)
    header = dice.choice((part.local, part.central))
    keys = ("version", "method", "time", "date", "crc", "packed", "size")
    keys += ("disk", "internal", "external", "made") if header is part.central else ()
    key = dice.choice(keys)
    wide = key in ("crc", "packed", "size", "external")
    value = dice.choice((*SPECIAL, len(part.content) + 1, max(len(part.content) - 1, 0), dice.getrandbits(32)))
    header[key] = value & (0xFFFFFFFF if wide else 0xFFFF)
    if dice.random() < 0.3 and key in part.local | {"method": 0, "packed": 0, "size": 0, "crc": 0}:
        part.local[key] = part.central[key] = header[key]


def _offset(dice: random.Random, found: list[Part]) -> None:
    dice.choice(found).central["offset"] = dice.choice((0, 1, 64, dice.randrange(2000), 0xFFFFFFFF))


def _extra(dice: random.Random, found: list[Part]) -> None:
    part = dice.choice(found)
    name = dice.choice((b"m/other", part.name, found[0].name))
    unicode_path = struct.pack("<HHBL", 0x7075, 5 + len(name), 1, zlib.crc32(part.name)) + name
    size = len(writing.packed(part))
    values = [dice.choice((len(part.content), size, 0, 1, 1 << 40)) for _ in range(dice.randrange(1, 4))]
    zip64 = struct.pack(f"<HH{len(values)}Q", 1, 8 * len(values), *values)
    extra = dice.choice(
        (unicode_path, zip64, b"FB\x02\x00ZZ", b"FB\x02\x00hi", b"UX\x00\x00", b"\x01", zip64 + unicode_path)
    )
    if dice.random() < 0.5:
        part.central_extra = extra
        if dice.random() < 0.5:
            part.central.update(dict.fromkeys(dice.sample(["size", "packed", "offset"], len(values)), 0xFFFFFFFF))
    else:
        part.local_extra = extra
        if dice.random() < 0.5:
            part.local.update(packed=0xFFFFFFFF, size=0xFFFFFFFF)


def _descriptor(dice: random.Random, found: list[Part]) -> None:
    part = dice.choice(found)
    crc, size = zlib.crc32(part.content), len(writing.packed(part))
    part.descriptor = dice.choice(
        (
            b"",
            struct.pack("<LLL", crc, size, len(part.content)),
            struct.pack("<4sLQQ", b"PK\x07\x08", crc, size, len(part.content)),
            struct.pack("<4sLLL", b"PK\x07\x08", crc ^ 1, size, len(part.content)),
            struct.pack("<4sLLL", b"PK\x07\x08", crc, size + 1, len(part.content)),
            b"PK\x03\x04" + dice.randbytes(12),
        )
    )


def _stream(dice: random.Random, found: list[Part]) -> None:
    """Compressed data without their end, with more behind it, or in two streams."""
    part = dice.choice(found)
    part.content, part.deflated = part.content or b"x" * 40, True
    unfinished = zlib.compressobj(6, zlib.DEFLATED, -15)
    open_end = unfinished.compress(part.content) + unfinished.flush(zlib.Z_SYNC_FLUSH)
    whole = writing.packed(part)
    part.stream = dice.choice((open_end, open_end[:-4], whole + b"\0", whole + whole, whole[:-1], whole + part.name))


def _gap(dice: random.Random, found: list[Part]) -> None:
    dice.choice(found).before = dice.choice((b"#!/bin/sh\n", bytes(4), dice.randbytes(30), b"PK\x03\x04"))


def _comment(dice: random.Random, found: list[Part]) -> None:
    dice.choice(found).comment = dice.choice((b"x", b"PK\x05\x06" + bytes(18), dice.randbytes(20)))


def _twice(dice: random.Random, found: list[Part]) -> None:
    part = dice.choice(found)
    found.insert(dice.randrange(len(found) + 1), Part(part.name, content(dice), form=part.form))


SHAPINGS: tuple[Shaping, ...] = (
    _local_name, _bad_name, _flags, _field, _offset, _extra, _descriptor, _stream, _gap, _comment, _twice,
)  # fmt: skip


def _flip(dice: random.Random, built: Built) -> bytes:
    raw = bytearray(built.raw)
    begin, length = dice.choice(built.headers)
    raw[begin + dice.randrange(length)] ^= 1 << dice.randrange(8)
    return bytes(raw)


def _flip_anywhere(dice: random.Random, built: Built) -> bytes:
    raw = bytearray(built.raw)
    raw[dice.randrange(len(raw))] = dice.randrange(256)
    return bytes(raw)


def _set_field(dice: random.Random, built: Built) -> bytes:
    raw = bytearray(built.raw)
    begin, length = dice.choice(built.headers)
    wide = dice.random() < 0.5
    at = begin + 2 * dice.randrange(2, (length - (4 if wide else 2)) // 2 + 1)
    struct.pack_into("<L" if wide else "<H", raw, at, dice.choice(SPECIAL) & (0xFFFFFFFF if wide else 0xFFFF))
    return bytes(raw)


def _cut(dice: random.Random, built: Built) -> bytes:
    raw = bytes(built.raw)
    begin = dice.randrange(len(raw))
    end = min(len(raw), begin + dice.choice((1, 2, 4, 22, 64, len(raw))))
    return raw[:begin] + raw[end:]


def _insert(dice: random.Random, built: Built) -> bytes:
    raw = bytes(built.raw)
    at = dice.choice((0, built.directory, built.end, len(raw), dice.randrange(len(raw))))
    more = dice.choice((b"\0", dice.randbytes(dice.randrange(1, 40)), dice.choice(MARKS), raw[built.end :]))
    return raw[:at] + more + raw[at:]


def _joined(dice: random.Random, built: Built) -> bytes:
    other = bytes(build(parts(dice)).raw)
    return bytes(built.raw) + other if dice.random() < 0.5 else other + bytes(built.raw)


def _ending_comment(dice: random.Random, built: Built) -> bytes:
    """A comment that is or holds another end record, stated or not."""
    raw = bytearray(built.raw)
    hidden = _hidden(dice, built)
    comment = dice.choice((b"comment", hidden, b"x" * 30 + hidden, writing.end_record(0, 0, 0)))
    if dice.random() < 0.8:
        struct.pack_into("<H", raw, built.end + 20, len(comment))
    return bytes(raw) + comment


def _hidden(dice: random.Random, built: Built) -> bytes:
    """Return an end record that calls other places the directory."""
    count = len(built.centrals)
    places = (0, built.directory, *built.centrals, *built.contents)
    return writing.end_record(dice.choice((count, 1, count - 1)), dice.choice((46, 60, 200)), dice.choice(places))


def _directories(dice: random.Random, built: Built) -> tuple[bytes, int, int, int]:
    """Return the bytes up to the directory with a second directory in the slack of a stored member, and its place."""
    raw = bytes(built.raw)
    entry = raw[built.centrals[0] : [*built.centrals, built.end][1]]
    second = bytearray(entry)
    struct.pack_into("<L", second, 42, dice.choice(built.locals))
    room = Part(dice.choice((b"archive/data/9", b"m/data/9")), dice.randbytes(40) + bytes(second) + dice.randbytes(20))
    extended = build([room])
    at = built.directory
    return raw[:at] + bytes(extended.raw[: extended.directory]), at, len(second), at + extended.contents[0] + 40


def _slack(dice: random.Random, built: Built) -> bytes:
    """A weight with a second directory behind its numbers, to which one of the two kinds of end record points."""
    body, room, size, place = _directories(dice, built)
    true = bytes(built.raw[built.directory : built.centrals[-1]]) if dice.random() < 0.1 else None
    directory = true or bytes(built.raw[built.directory : built.end])
    zip64_at = directory.rfind(b"PK\x06\x06")
    directory = directory[:zip64_at] if zip64_at >= 0 else directory
    count = len(built.centrals)
    if dice.random() < 0.8:  # list the weight, too
        weight = build([Part(b"archive/data/9", body[room:][64 : 64 + 60 + size])])
        entry = bytearray(weight.raw[weight.directory : weight.directory + 60])
        struct.pack_into("<L", entry, 42, room)
        directory, count = directory + bytes(entry), count + 1
    at = len(body)
    record_at = at + len(directory)
    honest = (count, len(directory), at)
    hidden = (1, size, place)
    wide, narrow = dice.choice(((honest, hidden), (hidden, honest), (honest, honest), (hidden, hidden)))
    stated = dice.choice((record_at, record_at, record_at + 1, 0, place, 1 << 60, len(body) + 10_000))
    return body + directory + writing.end64(*wide) + writing.locator(stated) + writing.end_record(*narrow)


def _zip64(dice: random.Random, built: Built) -> bytes:
    """A zip64 record or locator that is elsewhere, missing, doubled, longer, or says something else."""
    raw = bytes(built.raw)
    end = built.end
    has = raw[end - 20 : end - 16] == b"PK\x06\x07"
    tail = end - 76 if has else end
    size, count = tail - built.directory, len(built.centrals)
    record, last = writing.end64(count, size, built.directory), raw[end:]
    other = writing.end64(
        dice.choice((count, 1, 0)), dice.choice((size, 46)), dice.choice((built.directory, 0, built.centrals[-1]))
    )
    ways = (
        raw[:tail] + last,
        raw[:tail] + record + last,
        raw[:tail] + writing.locator(dice.choice((0, tail, tail + 8, 1 << 63, built.contents[0]))) + last,
        raw[:tail] + other + writing.locator(tail) + last,
        raw[:tail] + record + writing.locator(dice.choice((0, tail + 1, 1 << 63, tail + 56))) + last,
        raw[:tail] + other + record + writing.locator(tail) + last,
        raw[:tail] + record + other + writing.locator(tail) + last,
        raw[:tail] + record + bytes(8) + writing.locator(tail) + last,
        raw[:tail] + record + writing.locator(tail) + writing.end_record(0xFFFF, 0xFFFFFFFF, 0xFFFFFFFF),
        raw[:tail] + record + writing.locator(tail) + writing.end_record(count, 0xFFFFFFFF, built.directory),
        raw[:tail] + record + writing.locator(tail) * 2 + last,
    )
    return dice.choice(ways)


def _directory_order(dice: random.Random, built: Built) -> bytes:
    """The entries in another order, one of them missing, or one twice, with an end that says so."""
    raw = bytes(built.raw)
    stops = [*built.centrals[1:], _directory_end(built)]
    entries = [raw[begin:end] for begin, end in zip(built.centrals, stops, strict=True)]
    way = dice.randrange(3)
    if way == 0:
        dice.shuffle(entries)
    elif way == 1:
        entries.pop(dice.randrange(len(entries)))
    else:
        entries.append(dice.choice(entries))
    size, at = sum(map(len, entries)), built.directory
    end = writing.end_record(len(entries), size, at)
    if dice.random() < 0.5:
        end = writing.end64(len(entries), size, at) + writing.locator(at + size) + end
    return raw[:at] + b"".join(entries) + end


def _directory_end(built: Built) -> int:
    has = built.raw[built.end - 20 : built.end - 16] == b"PK\x06\x07"
    return built.end - 76 if has else built.end


MUTATIONS: tuple[Mutation, ...] = (
    _flip, _flip, _flip_anywhere, _set_field, _set_field, _cut, _insert, _joined, _ending_comment, _slack, _slack,
    _zip64, _zip64, _directory_order,
)  # fmt: skip


def made(seed: int, index: int) -> bytes:
    """Return the zip of a seed and an index: well-formed in two of five cases, else hostile in one way or several."""
    dice = random.Random(f"{seed}:{index}")
    if dice.random() < 0.05:
        raw = dice.choice(written_by_libraries())
        return raw if dice.random() < 0.5 else _flip_bytes(dice, raw)
    found = parts(dice)
    well_formed = dice.random() < 0.4
    if not well_formed:
        for _ in range(dice.choice((0, 1, 1, 2, 3))):
            dice.choice(SHAPINGS)(dice, found)
    built = build(found, zip64=dice.random() < 0.6)
    return (
        bytes(built.raw)
        if well_formed
        else dice.choice(MUTATIONS)(dice, built)
        if dice.random() < 0.7
        else bytes(built.raw)
    )


def _flip_bytes(dice: random.Random, raw: bytes) -> bytes:
    changed = bytearray(raw)
    for _ in range(dice.randrange(1, 4)):
        changed[dice.randrange(len(raw))] = dice.randrange(256)
    return bytes(changed)


# ------------------------------------------------------------------------------------------------- comparing them


@dataclass
class Figures:
    """What came of a run."""

    zips: int = 0
    accepted: int = 0
    compared: int = 0
    """Accepted ones that torch's reader opens, and in which it and zipfile were compared with the strict reader."""
    not_torchs: int = 0
    """Accepted ones that are no archive of torch's (no version, no root folder): compared with zipfile alone."""
    differing: int = 0
    """Refused ones that zipfile and torch both open, and read differently."""
    crashes: int = 0
    refused: Counter[str] = field(default_factory=Counter)
    violations: list[str] = field(default_factory=list)

    def text(self) -> str:
        """Return the figures for people."""
        faults = "\n".join(f"  {rule:<12} {count}" for rule, count in self.refused.most_common())
        return (
            f"{self.zips} zips: {sum(self.refused.values())} refused, {self.accepted} accepted\n"
            f"accepted: {self.compared} compared with torch and zipfile, {self.not_torchs} with zipfile alone\n"
            f"violations: {len(self.violations)}; crashes of torch's reader: {self.crashes}; "
            f"refused ones that torch and zipfile read differently: {self.differing}\nrefused by rule:\n{faults}"
        )


def strict(raw: bytes) -> tuple[list[tuple[Member, bytes]], str]:
    """Return members and contents by the strict reader, or the rule by which it refuses."""
    source = Source.of(raw)
    try:
        found = []
        for member in strict_zip(source, BOUNDS):
            if content_fault(source, member, Bounds(max_inflated_bytes=LIMIT)):
                return [], "content"
            found.append((member, b"".join(member_chunks(source, member, LIMIT))))
    except AmbiguousZipError as error:
        return [], error.rule
    except UnreadableError:
        return [], "content"
    return found, ""


def run(count: int, seed: int) -> Figures:
    """Make zips and compare the readers on each."""
    figures, readers = Figures(), Readers()
    try:
        for index in range(count):
            raw = made(seed, index)
            found, rule = strict(raw)
            figures.zips += 1
            others = readers.read(raw)
            if rule:
                figures.refused[rule] += 1
                figures.differing += _differ(others)
                continue
            figures.accepted += 1
            if fault := _compare(found, others, figures):
                figures.violations.append(f"{seed}:{index}: {fault}")
    finally:
        readers.close()
    figures.crashes = readers.crashes
    return figures


def _compare(found: list[tuple[Member, bytes]], others: dict, figures: Figures) -> str:
    mine = [[member.name, digest(content)] for member, content in found]
    if others["zipfile"] != mine:
        return f"zipfile: {others['zipfile']!s:.200}"
    torchs = others["torch"]
    if isinstance(torchs, str):
        if torchs == "crashed" or not _is_not_torchs(found):
            return f"torch: {torchs}"
        figures.not_torchs += 1
        return ""
    figures.compared += 1
    below = [[member.name.partition("/")[2], digest(content)] for member, content in found]
    if [entry[:2] for entry in torchs] != below:
        return f"torch: {torchs!s:.200}"
    placed = [entry[2] for (member, _), entry in zip(found, torchs, strict=True) if member.method == STORED]
    if placed != [digest(content) for member, content in found if member.method == STORED]:
        return "torch finds other bytes at the places of its records"
    return ""


def _is_not_torchs(found: list[tuple[Member, bytes]]) -> bool:
    """Tell whether torch has a reason to refuse a well-formed zip: no root folder, or no version that it reads."""
    root, slash, _ = found[0][0].name.partition("/")
    version = {member.name: content for member, content in found}.get(f"{root}/version", b"")
    return not slash or any(not member.name.startswith(f"{root}/") for member, _ in found) or version != b"3\n"


def _differ(others: dict) -> bool:
    mine, torchs = others["zipfile"], others["torch"]
    if isinstance(mine, str) or isinstance(torchs, str):
        return False
    return [[name.partition("/")[2], content] for name, content in mine] != [entry[:2] for entry in torchs]


def main() -> int:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--count", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    begun = time.monotonic()
    figures = run(given.count, given.seed)
    took = f"{time.monotonic() - begun:.0f} seconds"
    sys.stdout.write("\n".join([figures.text(), took, *figures.violations[:20]]) + "\n")
    return 1 if figures.violations else 0


if __name__ == "__main__":
    sys.exit(main())

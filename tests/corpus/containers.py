"""Archives that two readers read differently, or that hold what no tensor needs; pickles under rare compressions."""

import io
import json
import lzma
import struct
import zipfile
import zlib
from collections.abc import Callable

from tests.corpus import zip_writing as writing
from tests.corpus.case import UNREADABLE, UNSAFE, Case, hostile
from tests.corpus.consumers import FIELD, exported
from tests.corpus.pickles import DAMAGED, touch
from tests.corpus.zip_writing import Part, build

WEIGHT = "data/weights/weight_0"
_LZMA = {"id": lzma.FILTER_LZMA1, "preset": 6}


def parts_of(raw: bytes) -> list[Part]:
    """Return the members of an archive as parts to be written anew in torch's form."""
    with zipfile.ZipFile(io.BytesIO(raw)) as archive:
        return [Part(info.filename.encode(), archive.read(info)) for info in archive.infolist()]


def part(parts: list[Part], name: str) -> Part:
    """Return the member of that name below the root."""
    return next(part for part in parts if part.name.partition(b"/")[2] == name.encode())


def two_directories(shown: bytes | None = None, served: bytes | None = None) -> bytes:
    """Return a program in whose first weight another one lies, with its own directory.

    The zip64 locator points nowhere. Python's zipfile takes the zip64 record from where it should stand, and reads the
    program that is shown; torch's reader takes the end record, which names the directory of the one that is served.
    """
    inner = parts_of(served or exported())
    if served is None:
        weight = part(inner, WEIGHT)
        weight.content = bytes(byte ^ 0x80 for byte in weight.content)
    hidden = build(inner, zip64=False)
    room = bytes(-len(hidden.raw) % 8)  # a record must still be a whole number of elements
    outer = parts_of(shown or exported())
    index = outer.index(part(outer, WEIGHT))
    numbers = outer[index].content
    outer[index].content = numbers + bytes(hidden.raw) + room
    base = build(outer).contents[index] + len(numbers)
    for place in hidden.centrals:
        (offset,) = struct.unpack_from("<L", hidden.raw, place + 42)
        struct.pack_into("<L", hidden.raw, place + 42, offset + base)
    outer[index].content = numbers + bytes(hidden.raw) + room
    whole = build(outer)
    end = writing.end_record(len(hidden.centrals), hidden.end - hidden.directory, base + hidden.directory)
    return bytes(whole.raw[: whole.end - 20]) + writing.locator(8) + end


def _changed(name: str, change: Callable[[Part], None]) -> bytes:
    parts = parts_of(exported())
    change(part(parts, name))
    return bytes(build(parts).raw)


def _longer(name: str, more: bytes) -> bytes:
    def change(found: Part) -> None:
        found.content += more

    return _changed(name, change)


def _with(name: str, content: bytes) -> bytes:
    parts = parts_of(exported())
    return bytes(build([*parts, Part(parts[0].name.partition(b"/")[0] + b"/" + name.encode(), content)]).raw)


def _folder_bit(found: Part) -> None:
    found.central["external"] = 0x10


def _other_path(found: Part) -> None:
    name = b"archive/data/weights/weight_1"
    body = struct.pack("<BL", 1, zlib.crc32(found.name)) + name
    found.central_extra = struct.pack("<HH", 0x7075, len(body)) + body


def _comment() -> bytes:
    """Return a program whose comment is the end record of another directory, at which a backward search stops."""
    whole = build(parts_of(exported()))
    raw = bytearray(whole.raw)
    struct.pack_into("<H", raw, whole.end + 20, 22)
    return bytes(raw) + writing.end_record(1, whole.centrals[1] - whole.centrals[0], whole.centrals[0])


def saved() -> bytes:
    """Return a state dict as torch saves it."""
    import torch

    out = io.BytesIO()
    torch.save({"w": torch.arange(12.0), "b": torch.zeros(3)}, out)
    return out.getvalue()


def _saved_with(change: Callable[[list[Part]], None]) -> bytes:
    parts = parts_of(saved())
    change(parts)
    return bytes(build(parts).raw)


def _longer_record(parts: list[Part]) -> None:
    part(parts, "data/0").content += bytes(64)


def _more_record(parts: list[Part]) -> None:
    parts.append(Part(b"archive/data/7", bytes(64)))


def _samples() -> bytes:
    inner = parts_of(next(one.content for one in parts_of(exported()) if b"sample_inputs" in one.name))
    _longer_record(inner)
    parts = parts_of(exported())
    part(parts, "data/sample_inputs/model.pt").content = bytes(build(inner).raw)
    return bytes(build(parts).raw)


def _lists_less() -> bytes:
    """Return a program whose list of weights leaves the last one out."""
    parts = parts_of(exported())
    listed = part(parts, "data/weights/model_weights_config.json")
    config = json.loads(listed.content)
    config["config"].pop(next(reversed(config["config"])))
    listed.content = json.dumps(config).encode()
    return bytes(build(parts).raw)


_PROGRAMS = (
    ("two-directories", "a second program in the slack of a weight, which torch alone finds",
     two_directories, (DAMAGED, FIELD)),
    ("slack", "a weight longer than its tensor", lambda: _longer(WEIGHT, bytes(64)), (FIELD,)),
    ("unnamed-record", "a record that no tensor names", lambda: _with("data/weights/weight_99", bytes(64)), (FIELD,)),
    ("unlisted-weight", "a weight that the list of weights leaves out", _lists_less, (FIELD,)),
    ("folder-bit", "a member marked as a folder, of which torch reads nothing",
     lambda: _changed("models/model.json", _folder_bit), (DAMAGED,)),
    ("other-case", "a member whose name differs in case alone, which torch may take",
     lambda: _with("MODELS/MODEL.json", b"{}"), (DAMAGED, FIELD)),
    ("other-path", "a member with a second name in an extra field", lambda: _changed(WEIGHT, _other_path), (DAMAGED,)),
    ("comment", "a second end record as the comment of the first", _comment, (DAMAGED,)),
    ("sample-slack", "sample inputs with a record longer than its tensor", _samples, (FIELD,)),
)  # fmt: skip
_STATE_DICTS = (
    ("saved-slack", "a state dict with a record longer than its tensor", _longer_record),
    ("saved-record", "a state dict with a record that its pickle does not name", _more_record),
)


def _old_lzma(stream: bytes, **chain: int) -> bytes:
    return lzma.compress(stream, lzma.FORMAT_ALONE, filters=[{**_LZMA, **chain}])


def _small_window(stream: bytes) -> bytes:
    machine = zlib.compressobj(9, zlib.DEFLATED, 9)
    return machine.compress(stream) + machine.flush()


def _sized(stream: bytes) -> bytes:
    """Return lzma data that state the size of what they hold, and a dictionary of four gigabytes."""
    return b"\x5d" + b"\xff" * 4 + struct.pack("<Q", len(stream)) + _old_lzma(stream)[13:]


def _filtered(stream: bytes) -> bytes:
    chain = [{"id": lzma.FILTER_DELTA, "dist": 3}, {"id": lzma.FILTER_X86}, {"id": lzma.FILTER_LZMA2, "preset": 1}]
    return lzma.compress(stream, lzma.FORMAT_XZ, lzma.CHECK_NONE, filters=chain)


def _lz4(stream: bytes) -> bytes:
    return b"\x04\x22\x4d\x18\x60\x40\x82" + struct.pack("<L", len(stream) | 1 << 31) + stream + bytes(4)


_COMPRESSIONS: tuple[tuple[str, str, Callable[[bytes], bytes], tuple[str, str]], ...] = (
    ("lzma-dictionary", "by lzma with a small dictionary", lambda raw: _old_lzma(raw, dict_size=4096), UNSAFE),
    ("lzma-size", "by lzma with a stated size and a huge dictionary", _sized, UNSAFE),
    ("lzma-properties", "by lzma with other properties", lambda raw: _old_lzma(raw, lc=1, lp=2, pb=0), UNSAFE),
    ("lzma-then-xz", "in two streams, lzma and xz",
     lambda raw: _old_lzma(raw[:20]) + lzma.compress(raw[20:], lzma.FORMAT_XZ), UNSAFE),
    ("zlib-window", "by zlib with the smallest window", _small_window, UNSAFE),
    ("xz-filters", "by xz through other filters, without a check", _filtered, UNSAFE),
    ("lz4", "by lz4, which the gate does not read", _lz4, UNREADABLE),
)  # fmt: skip


def container_cases() -> tuple[Case, ...]:
    """Return the cases on containers and on compressions."""
    programs = (
        hostile(f"container-{name}", summary, lambda _, write=write: {"data/model.pt2": write()}, *expected)
        for name, summary, write, expected in _PROGRAMS
    )
    state_dicts = (
        hostile(f"container-{name}", summary, lambda _, change=change: {"data/model.pth": _saved_with(change)}, FIELD)
        for name, summary, change in _STATE_DICTS
    )
    compressed = (
        hostile(
            f"compression-{name}",
            f"a pickle compressed {summary}",
            lambda marker, write=write: {"data/model.joblib": write(touch(marker))},
            expected,
        )
        for name, summary, write, expected in _COMPRESSIONS
    )
    return (*programs, *state_dicts, *compressed)


def message_of(name: str) -> str:
    """Return words of the message by which a container case is named."""
    return _MESSAGES[name.removeprefix("container-")]


_MESSAGES = {
    "two-directories": "zip64 locator points to 8",
    "slack": "weight_0' has 496 bytes; expected 432",
    "unnamed-record": "weight_99' belongs to no tensor",
    "unlisted-weight": "belongs to no tensor",
    "folder-bit": "attributes that a plain file has not",
    "other-case": "have one name for some",
    "other-path": "an extra field in the directory",
    "comment": "a second end record stands before its end",
    "sample-slack": "has 1600 bytes; expected 1536",
    "saved-slack": "has 112 bytes; expected 48",
    "saved-record": "data/7' belongs to no tensor",
}

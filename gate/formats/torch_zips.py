"""Archives of torch.save: one pickle and the records that it names, each exactly as long as the pickle says.

A longer record, or one that nothing names, holds bytes that no reader of tensors sees; another loader may take what
hides there (a second directory, another program).
"""

import re
from collections.abc import Iterable, Iterator

from gate.formats.pickles import walk_pickle
from gate.formats.source import Bounds, ByteStream, Source
from gate.formats.zip_members import STORED, Member, member_chunks

_PICKLE = "data.pkl"
_RECORD = re.compile(r"data/(\d{1,20})")
_TEXTS = {
    "version": re.compile(rb"\d{1,4}\n?"),
    ".data/version": re.compile(rb"\d{1,4}\n?"),
    "byteorder": re.compile(rb"little"),
    ".data/serialization_id": re.compile(rb"\d{1,80}"),
    ".format_version": re.compile(rb"\d{1,4}"),
    ".storage_alignment": re.compile(rb"\d{1,8}"),
}
"""Texts that torch's writers leave beside the records: torch 1.6 only the first, 2.13 most of them."""
_MAX_TEXT = 100
_ITEM_SIZES = {
    1: "Bool Byte Char QInt8 QUInt2x4 QUInt4x2 QUInt8 Untyped",
    2: "BFloat16 Half Short",
    4: "Float Int QInt32",
    8: "ComplexFloat Double Long",
    16: "ComplexDouble",
}
_ITEM_SIZE = {f"{name}Storage": size for size, names in _ITEM_SIZES.items() for name in names.split()}


def is_torch_zip(members: Iterable[Member]) -> bool:
    """Tell whether an archive is one of torch.save, by its pickle right below the root folder."""
    return any(member.name.partition("/")[2] == _PICKLE for member in members)


def torch_zip_faults(source: Source, members: tuple[Member, ...], bounds: Bounds) -> Iterator[str]:
    """Yield each member that torch.save does not write, and each record of another length than the pickle states."""
    root = members[0].name.partition("/")[0] if members else ""
    records: dict[str, Member] = {}
    pickles: list[Member] = []
    for member in members:
        bounds.tick()
        head, _, name = member.name.partition("/")
        if head != root:
            yield f"member {member.name!r} stands outside of the folder {root!r}"
        elif member.method != STORED:
            yield f"member {member.name!r} is compressed; expected it stored"
        elif match := _RECORD.fullmatch(name):
            records[match[1]] = member
        elif name == _PICKLE:
            pickles.append(member)
        elif name not in _TEXTS:
            yield f"member {member.name!r} is none that torch.save writes"
        elif member.size > _MAX_TEXT or not _TEXTS[name].fullmatch(b"".join(member_chunks(source, member, _MAX_TEXT))):
            yield f"member {member.name!r} holds something else than torch.save writes into it"
    if len(pickles) != 1:
        yield f"{len(pickles)} pickles {_PICKLE!r}; expected one"
        return
    yield from _records(source, pickles[0], records, bounds)


def _records(source: Source, pickle: Member, records: dict[str, Member], bounds: Bounds) -> Iterator[str]:
    """Yield the differences between the records that the pickle names and those that are there."""
    walk = walk_pickle(ByteStream(member_chunks(source, pickle, bounds.max_inflated_bytes)), bounds)
    if walk.fault:
        yield f"member {pickle.name!r} cannot be read to its end: {walk.fault}"
        return
    if walk.odd_references:
        yield f"member {pickle.name!r} refers {walk.odd_references} times to what is no record of numbers"
    named: dict[str, int | None] = {}
    for storage in walk.storages:
        bounds.tick()
        item = _ITEM_SIZE.get(storage.kind)
        size = None if item is None or storage.count < 0 else item * storage.count
        if size is None:
            yield f"record {storage.key!r:.60} is of the unknown type {storage.kind!r:.60}"
        elif storage.key not in records:
            yield f"record {storage.key!r:.60} is named by {pickle.name!r} and absent"
        elif named.get(storage.key, size) != size:
            yield f"record {storage.key!r:.60} is named with two lengths, {named[storage.key]} and {size} bytes"
        elif records[storage.key].size != size and storage.key not in named:
            yield (
                f"member {records[storage.key].name!r} has {records[storage.key].size} bytes; expected {size}, as its "
                "pickle states"
            )
        named[storage.key] = size
    for key in sorted(records.keys() - named.keys()):
        yield f"member {records[key].name!r} belongs to no tensor"

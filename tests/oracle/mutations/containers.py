"""Archives of an exported program: what two readers of one zip could take for different programs."""

import struct
import zlib
from collections.abc import Callable

from tests.corpus import containers, zip_writing
from tests.corpus.containers import WEIGHT, part, parts_of
from tests.corpus.zip_writing import Part, build
from tests.corpus.zipping import rewritten, torch_zip
from tests.oracle.draft import Draft, InapplicableError
from tests.oracle.mutations.mutation import harmless, hostile
from tests.oracle.payloads import pickled

KIND = "container"
DOCUMENT = "models/model.json"
SAMPLES = "data/sample_inputs/model.pt"


def parts(raw: bytes) -> list[Part]:
    """Return the members of an archive; one that an earlier mutation broke is left alone."""
    try:
        return parts_of(raw)
    except Exception as error:  # noqa: BLE001  # zipfile raises many kinds on what was mutated before
        raise InapplicableError(f"no plain archive: {error!r}"[:200]) from None


def named(found: list[Part], name: str) -> Part:
    """Return a member by its name below the root."""
    try:
        return part(found, name)
    except StopIteration:
        raise InapplicableError(f"no member {name}") from None


def rebuilt(draft: Draft, change: Callable[[list[Part]], None], **how: object) -> None:
    """Write the program's archive anew after a change of its members."""
    found = parts(draft.program)
    change(found)
    draft.program = bytes(build(found, **how).raw)


def _root(found: list[Part]) -> bytes:
    return found[0].name.partition(b"/")[0] + b"/"


@hostile(KIND, "container")
def zip64_locator_nowhere(draft: Draft) -> None:
    """A zip64 locator that points nowhere, and the twin's directory in the slack of a weight."""
    parts(draft.program)
    draft.program = containers.two_directories(shown=draft.program, served=draft.hidden)


@hostile(KIND)
def zip64_record_to_slack(draft: Draft) -> None:
    """The other way about: the zip64 record names the twin's directory, the end record the clean one."""
    served, shown = parts(draft.hidden), parts(draft.program)
    weight = named(shown, WEIGHT)
    index, numbers = shown.index(weight), weight.content
    inner = build(served, zip64=False)
    weight.content = numbers + bytes(inner.raw)
    base = build(shown).contents[index] + len(numbers)
    for place in inner.centrals:
        (offset,) = struct.unpack_from("<L", inner.raw, place + 42)
        struct.pack_into("<L", inner.raw, place + 42, offset + base)
    weight.content = numbers + bytes(inner.raw)
    whole = build(shown, zip64=False)
    size = inner.end - inner.directory
    record = zip_writing.end64(len(inner.centrals), size, base + inner.directory)
    begin = bytes(whole.raw[: whole.end])
    draft.program = begin + record + zip_writing.locator(whole.end) + bytes(whole.raw[whole.end :])


@hostile(KIND)
def slack_behind_weight(draft: Draft) -> None:
    """A weight's record that is longer than its tensor."""
    rebuilt(draft, lambda found: setattr(named(found, WEIGHT), "content", named(found, WEIGHT).content + bytes(64)))


@hostile(KIND)
def trailing_bytes(draft: Draft) -> None:
    """Bytes behind the archive's end."""
    draft.program += bytes(draft.dice.randrange(1, 200))


@hostile(KIND)
def leading_bytes(draft: Draft) -> None:
    """Bytes before the archive's first member, which readers skip."""
    draft.program = b"#!/bin/sh\nexit 0\n" + draft.program


@hostile(KIND)
def twin_before(draft: Draft) -> None:
    """The twin's whole archive in front of the clean one."""
    draft.program = draft.hidden + draft.program


@hostile(KIND)
def twin_behind(draft: Draft) -> None:
    """The twin's whole archive behind the clean one."""
    draft.program += draft.hidden


@hostile(KIND)
def member_twice(draft: Draft) -> None:
    """The program's document twice under one name: the clean one and the twin's."""

    def change(found: list[Part]) -> None:
        mine, other = named(found, DOCUMENT), named(parts(draft.hidden), DOCUMENT)
        found.insert(draft.dice.choice((found.index(mine), len(found))), Part(mine.name, other.content))

    rebuilt(draft, change)


@hostile(KIND)
def compressed_members(draft: Draft) -> None:
    """Members compressed, as an archiver would pack them again."""

    def change(found: list[Part]) -> None:
        for each in found:
            each.deflated = bool(each.content)

    rebuilt(draft, change)


@harmless(KIND)
def renamed_root(draft: Draft) -> None:
    """Another name of the folder inside the archive: torch takes it from the file that was written."""

    def change(found: list[Part]) -> None:
        old = _root(found)
        for each in found:
            each.name = b"classifier/" + each.name.removeprefix(old)

    rebuilt(draft, change)


@hostile(KIND)
def reordered_members(draft: Draft) -> None:
    """Members in another order."""
    rebuilt(draft, draft.dice.shuffle)


@hostile(KIND)
def reordered_directory(draft: Draft) -> None:
    """A directory in another order than the members."""
    found = parts(draft.program)
    order = list(range(len(found)))
    draft.dice.shuffle(order)
    draft.program = bytes(build(found, order=order).raw)


@hostile(KIND)
def without_zip64(draft: Draft) -> None:
    """The archive without the zip64 records that torch writes."""
    rebuilt(draft, lambda _: None, zip64=False)


@harmless(KIND)
def torch_without_newer_members(draft: Draft) -> None:
    """Without the members that later releases of torch added and that no reader needs."""

    def change(found: list[Part]) -> None:
        newer = (b".data/serialization_id", b".format_version", b".storage_alignment")
        kept = [each for each in found if each.name.partition(b"/")[2] not in newer]
        if len(kept) == len(found):
            raise InapplicableError("none of them is there")
        found[:] = kept

    rebuilt(draft, change)


@harmless(KIND)
def torch_with_newer_members(draft: Draft) -> None:
    """With the members that some releases of torch write about the format itself."""

    def change(found: list[Part]) -> None:
        root = _root(found)
        if any(each.name == root + b".format_version" for each in found):
            raise InapplicableError("they are there")
        found.append(Part(root + b".format_version", b"1"))
        found.append(Part(root + b".storage_alignment", b"64"))

    rebuilt(draft, change)


@harmless(KIND)
def empty_sample_inputs(draft: Draft) -> None:
    """Sample inputs left empty, as in the gate's own bundles."""
    rebuilt(draft, lambda found: setattr(named(found, SAMPLES), "content", b""))


@hostile(KIND)
def record_of_no_tensor(draft: Draft) -> None:
    """A weight's record that nothing names."""
    rebuilt(draft, lambda found: found.append(Part(_root(found) + b"data/weights/weight_99", bytes(64))))


@hostile(KIND)
def extra_member(draft: Draft) -> None:
    """A note inside the archive, as torch.export.save writes its extra files."""
    rebuilt(draft, lambda found: found.append(Part(_root(found) + b"extra/notes.txt", b"trained by Ada\n")))


@hostile(KIND)
def second_program(draft: Draft) -> None:
    """The twin as a second model of the same archive."""

    def change(found: list[Part]) -> None:
        inner = named(parts(draft.hidden), DOCUMENT).content
        found.append(Part(_root(found) + b"models/another.json", inner))

    rebuilt(draft, change)


@hostile(KIND)
def sample_inputs_run(draft: Draft) -> None:
    """Sample inputs whose pickle runs a command."""
    parts(draft.program)
    draft.program = rewritten(draft.program, {"sample_inputs/model.pt": torch_zip(pickled("sample-inputs"))})


@hostile(KIND)
def constants_run(draft: Draft) -> None:
    """A constant that is stored as a pickle, which runs a command."""
    parts(draft.program)
    constant = b'{"config":{"c":{"path_name":"opaque_obj_0","is_param":false,"use_pickle":true,"tensor_meta":null}}}'
    changes = {"model_constants_config.json": constant, "data/constants/opaque_obj_0": pickled("constant")}
    draft.program = rewritten(draft.program, changes)


@hostile(KIND)
def archive_comment(draft: Draft) -> None:
    """A comment at the archive's end."""
    parts(draft.program)
    raw = bytearray(draft.program)
    comment = b"trained by Ada"
    struct.pack_into("<H", raw, raw.rindex(b"PK\x05\x06") + 20, len(comment))
    draft.program = bytes(raw) + comment


@hostile(KIND)
def end_record_in_comment(draft: Draft) -> None:
    """A comment that is the end record of the twin's directory, which lies in front."""
    hidden = build(parts(draft.hidden), zip64=False)
    found = parts(draft.program)
    found[0].before = bytes(hidden.raw[: hidden.end])
    whole = build(found)
    raw = bytearray(whole.raw)
    struct.pack_into("<H", raw, whole.end + 20, 22)
    draft.program = bytes(raw) + zip_writing.end_record(
        len(hidden.centrals), hidden.end - hidden.directory, hidden.directory
    )


@hostile(KIND)
def other_local_name(draft: Draft) -> None:
    """The twin's document under a local name that is the clean one's, in a member of another name."""

    def change(found: list[Part]) -> None:
        mine = named(found, DOCUMENT)
        hidden = Part(mine.name.replace(b"model.json", b"model.jsom"), named(parts(draft.hidden), DOCUMENT).content)
        hidden.local_name = mine.name
        found.insert(found.index(mine), hidden)

    rebuilt(draft, change)


@hostile(KIND)
def second_name_in_extra_field(draft: Draft) -> None:
    """The twin's document with the clean one's name in an extra field."""

    def change(found: list[Part]) -> None:
        mine = named(found, DOCUMENT)
        hidden = Part(_root(found) + b"models/other.json", named(parts(draft.hidden), DOCUMENT).content)
        body = struct.pack("<BL", 1, zlib.crc32(hidden.name)) + mine.name
        hidden.central_extra = struct.pack("<HH", 0x7075, len(body)) + body
        found.append(hidden)

    rebuilt(draft, change)


@hostile(KIND)
def folder_bit(draft: Draft) -> None:
    """The program's document marked as a folder, of which torch reads nothing."""
    rebuilt(draft, lambda found: named(found, DOCUMENT).central.update(external=0x10))


@hostile(KIND)
def member_of_other_case(draft: Draft) -> None:
    """The twin's document under the same name in capitals, which torch may take."""

    def change(found: list[Part]) -> None:
        hidden = Part(_root(found) + DOCUMENT.upper().encode(), named(parts(draft.hidden), DOCUMENT).content)
        found.insert(draft.dice.randrange(len(found) + 1), hidden)

    rebuilt(draft, change)


@hostile(KIND)
def byte_order(draft: Draft) -> None:
    """An archive that says its numbers are big-endian."""
    rebuilt(draft, lambda found: setattr(named(found, "byteorder"), "content", b"big"))


@hostile(KIND)
def sample_inputs_slack(draft: Draft) -> None:
    """Sample inputs with a record longer than its tensor."""

    def change(found: list[Part]) -> None:
        samples = named(found, SAMPLES)
        inner = parts(samples.content)
        record = next((each for each in inner if b"/data/" in each.name), None)
        if record is None:
            raise InapplicableError("no record of a tensor")
        record.content += bytes(64)
        samples.content = bytes(build(inner).raw)

    rebuilt(draft, change)

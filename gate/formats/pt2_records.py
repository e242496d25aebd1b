"""The raw records of an exported program: each named by its list of tensors, and exactly as long as they reach.

No loader shows what a record holds behind the last element of its tensors, so nothing may be there. The same holds for
the sample inputs, an archive of torch.save that `torch.export.load` reads and the gate does not.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from gate.formats.source import Bounds, Source, UnreadableError
from gate.formats.strict_zips import AmbiguousZipError, strict_zip
from gate.formats.torch_zips import is_torch_zip, torch_zip_faults
from gate.formats.zip_members import Member, member_source

_RECORD = re.compile(r"data/(weights|constants)/((?:weight|tensor)_\d{1,9})")
_CONFIG = re.compile(r"data/(weights|constants)/[A-Za-z0-9_]+_config\.json")
_SAMPLES = re.compile(r"data/sample_inputs/[A-Za-z0-9_]+\.pt")
_ITEM_SIZE = {
    **dict.fromkeys((1, 2, 12, 29, 30, 31, 32, 33), 1),
    **dict.fromkeys((3, 6, 13, 28), 2),
    **dict.fromkeys((4, 7, 9, 34), 4),
    **dict.fromkeys((5, 8, 10, 35), 8),
    11: 16,
}
"""Bytes of one element by the code of its type."""
_MAX_RANK = 64


@dataclass
class Records:
    """The records of an archive, and how many bytes of each its tensors reach, as its lists say."""

    present: dict[tuple[str, str], Member] = field(default_factory=dict)
    reach: dict[tuple[str, str], int] = field(default_factory=dict)

    @classmethod
    def of(cls, members: tuple[Member, ...]) -> "Records":
        """Return the records among an archive's members."""
        found = ((member, _RECORD.fullmatch(_below(member))) for member in members)
        return cls({(match[1], match[2]): member for member, match in found if match})

    def note(self, member: Member, config: dict[str, Any], bounds: Bounds) -> Iterator[str]:
        """Read one list of tensors; yield each entry that cannot be a tensor's place."""
        match = _CONFIG.fullmatch(_below(member))
        if match is None:
            yield f"member {member.name!r} lists tensors outside of weights and constants"
            return
        for name, payload in config.items():
            bounds.tick()
            if not isinstance(payload, dict) or payload.get("use_pickle") is not False:
                continue  # `pt2_hazards` reports it
            reach = _reach(payload.get("tensor_meta"))
            if reach is None:
                yield f"tensor {name!r:.80} has no type, sizes, strides and offset that are numbers"
                continue
            key = match[1], str(payload.get("path_name"))
            self.reach[key] = max(self.reach.get(key, 0), reach)

    def faults(self) -> Iterator[str]:
        """Yield each record that is absent, that no tensor needs, or that is not as long as its tensors."""
        for (kind, path), reach in sorted(self.reach.items()):
            member = self.present.get((kind, path))
            if member is None:
                yield f"record data/{kind}/{path:.60} is named by a tensor and absent"
            elif member.size != reach:
                yield (
                    f"member {member.name!r} has {member.size} bytes; expected {reach}, as far as its tensors reach "
                    "(clone a view of a larger tensor before exporting it)"
                )
        for key in sorted(self.present.keys() - self.reach.keys()):
            yield f"member {self.present[key].name!r} belongs to no tensor"


def sample_faults(source: Source, members: tuple[Member, ...], bounds: Bounds) -> Iterator[str]:
    """Yield what is wrong with the sample inputs, which `torch.export.load` reads by torch.load."""
    for member in members:
        if not _SAMPLES.fullmatch(_below(member)) or not member.size:
            continue
        inner = member_source(source, member, bounds.max_inflated_bytes, bounds.budget)
        try:
            inside = strict_zip(inner, bounds)
            if not is_torch_zip(inside):
                yield f"member {member.name!r} is no archive of torch.save"
            else:
                yield from (f"{member.name}: {what}" for what in torch_zip_faults(inner, inside, bounds))
        except AmbiguousZipError as error:
            yield f"member {member.name!r} is no archive of torch.save: {error}"
        except UnreadableError as error:
            yield f"member {member.name!r} cannot be read: {error}"


def _below(member: Member) -> str:
    return member.name.partition("/")[2]


def _reach(meta: Any) -> int | None:
    """Return how many bytes of its record a tensor reaches into; None if that is not stated in numbers."""
    if not isinstance(meta, dict):
        return None
    item = _ITEM_SIZE.get(meta.get("dtype", 0)) if type(meta.get("dtype")) is int else None
    sizes, strides = _numbers(meta.get("sizes")), _numbers(meta.get("strides"))
    offset = _number(meta.get("storage_offset"))
    if item is None or sizes is None or strides is None or offset is None or len(sizes) != len(strides):
        return None
    if 0 in sizes:
        return 0
    return item * (offset + sum((size - 1) * stride for size, stride in zip(sizes, strides, strict=True)) + 1)


def _numbers(value: Any) -> list[int] | None:
    if not isinstance(value, list) or len(value) > _MAX_RANK:
        return None
    numbers = [number for number in map(_number, value) if number is not None]
    return numbers if len(numbers) == len(value) else None


def _number(value: Any) -> int | None:
    number = value.get("as_int") if isinstance(value, dict) else None
    return number if type(number) is int and 0 <= number < 1 << 62 else None

"""What a check kept of itself in the registry, fetched from where a tag says; who reads it compares its digest."""

import re
from typing import TypeVar

from gate.check.files import private_directory
from gate.records.errors import GateError
from gate.records.record import MalformedError, Record
from gate.registries.contract import Registry
from gate.registries.downloading import RECORD_BOUNDS, bounded

REPORTS = re.compile(r"runs:/[0-9a-f]{32}/report")
"""What a tag gate.report may name for the gate to follow it: only a run's folder."""
RecordT = TypeVar("RecordT", bound=Record)


def kept_record(registry: Registry, where: str, name: str, kind: type[RecordT]) -> RecordT | None:
    """Return a record that lies beside a check's reports; None where the tag names none, or it cannot be read."""
    if not REPORTS.fullmatch(where):
        return None
    try:
        with private_directory() as folder:
            with bounded(folder, RECORD_BOUNDS, where):
                path = registry.fetch(f"{where}/{name}", folder)
            return kind.from_file(path)
    except (GateError, MalformedError):
        return None

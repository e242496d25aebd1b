"""What a webhook's body says, as far as the gate listens: which version came, or which alias was moved.

Pure. Unknown fields are passed over and unknown events are nothing, because MLflow adds both; what is used is bounded.
"""

import re
from dataclasses import dataclass
from typing import Literal

from gate.records.record import MalformedError, parse_json

_NAME = re.compile(r"[^/:@\x00-\x1f\x7f]{1,255}")
_VERSION = re.compile(r"[1-9]\d{0,9}", re.ASCII)


@dataclass(frozen=True)
class Event:
    """An event that the gate acts on."""

    kind: Literal["version", "alias"]
    name: str
    version: str


def read_event(body: bytes, limit: int) -> Event | None:
    """Return what to act on, None for anything else; a body that is no JSON object raises `MalformedError`."""
    value = parse_json(body, what="webhook", limit=limit)
    if not isinstance(value, dict):
        raise MalformedError("webhook: expected a JSON object")
    data = value.get("data")
    if not isinstance(data, dict):
        return None
    kinds: dict[tuple[object, object], Literal["version", "alias"]] = {
        ("model_version", "created"): "version",
        ("model_version_alias", "created"): "alias",
    }
    entity, action = value.get("entity"), value.get("action")
    kind = kinds.get((entity, action)) if isinstance(entity, str) and isinstance(action, str) else None
    name, version = data.get("name"), data.get("version")
    if kind is None or not isinstance(name, str) or not isinstance(version, str | int):
        return None
    if not _NAME.fullmatch(name) or not _VERSION.fullmatch(str(version)):
        return None
    return Event(kind, name, str(version))

"""Structured logs: one JSON object per line on standard error, from a fixed set of fields, none of which is a secret.

Other libraries log warnings only, and user names and passwords of addresses are removed from every text.
"""

import datetime as dt
import json
import logging
import sys
from typing import Any

from gate.records.logins import without_logins

LOG = logging.getLogger("gate.service")
_LONGEST = 2000


class _Lines(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        """Return the record as one line of JSON."""
        fields: dict[str, Any] = {
            "at": dt.datetime.fromtimestamp(record.created, dt.UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "event": without_logins(record.getMessage())[:_LONGEST],
            **{key: _bounded(value) for key, value in getattr(record, "facts", {}).items()},
        }
        if record.exc_info and record.exc_info[0] is not None:
            fields["error"] = record.exc_info[0].__name__
        return json.dumps(fields, ensure_ascii=True)


def _bounded(value: object) -> object:
    return value if isinstance(value, bool | int | float | None) else without_logins(str(value))[:_LONGEST]


def set_up_logs() -> None:
    """Send every logger's records through the one format."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Lines())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    LOG.setLevel(logging.INFO)


def log(event: str, *, level: int = logging.INFO, **facts: object) -> None:
    """Write one event with its facts."""
    LOG.log(level, event, extra={"facts": facts})

"""Stands in for the package of that name: the same function and result, over a rule that a test can foresee."""

import enum
import os
import time
from dataclasses import dataclass, field
from pathlib import Path

switches_seen = {name: os.environ.get(name) for name in ("PROMPTFOO_DISABLE_TELEMETRY", "NO_ANALYTICS", "DO_NOT_TRACK")}
"""The switches as they stood when this was imported."""
calls = []


class IssueSeverity(enum.Enum):
    """The severities of the real package, and one that it may add."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    CRITICAL = "critical"
    FATAL = "fatal"


@dataclass
class Issue:
    """One issue, as the real package reports it."""

    message: str
    severity: IssueSeverity
    location: str | None


@dataclass
class Result:
    """What the real package's result says to the detector."""

    issues: list[Issue] = field(default_factory=list)
    files_scanned: int = 0
    success: bool = True
    has_errors: bool = False


def scan_model_directory_or_file(path, timeout=3600, skip_file_types=True, **others):
    """Report each line `SEVERITY|WHERE|MESSAGE` of .issues files as an issue; names of files choose what fails."""
    calls.append({"path": path, "timeout": timeout, "skip_file_types": skip_file_types, **others})
    result = Result()
    for file in sorted(Path(path).rglob("*")):
        if file.is_file():
            result.files_scanned += 1
        if file.name == "broken":
            raise ValueError("the scanner broke")
        if file.name == "unfinished":
            result.success = False
        if file.name == "failing":
            result.success, result.has_errors = False, True
        if file.name == "slow":
            time.sleep(timeout)
        if file.suffix == ".issues":
            for line in file.read_text().splitlines():
                severity, where, message = line.split("|")
                location = where.replace("ROOT", path) if where else None
                result.issues.append(Issue(message, IssueSeverity(severity), location))
    return result

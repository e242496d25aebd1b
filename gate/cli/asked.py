"""What a command's options come to: the settings of registry and scan, a number of days, samples that are there."""

import os
import re
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gate.records.errors import UsageError

if TYPE_CHECKING:
    from gate.check.evidence import ScanSettings
    from gate.registries import RegistrySettings


def registry_settings(options: dict[str, Any]) -> "RegistrySettings":
    """Take the registry's options out of a command's."""
    from gate.registries import RegistrySettings

    given = {field.name: options.pop(field.name) for field in fields(RegistrySettings)}
    empty = {name: None for name in ("tracking_uri", "registry_uri") if not given[name]}
    return RegistrySettings(**given | empty)


def scan_settings(options: dict[str, Any]) -> "ScanSettings":
    """Take the scan's options out of a command's."""
    from gate.check.evidence import ScanSettings

    return ScanSettings(**{field.name: options.pop(field.name) for field in fields(ScanSettings)})


def require_samples(samples: str | None) -> None:
    """Refuse a path of samples that does not exist or cannot be read, before anything is pulled."""
    if samples is None or ":/" in samples:
        return
    if not Path(samples).exists():
        raise UsageError(f"there are no samples at {samples}", what_to_do="Name an .npz file or a folder of images.")
    if not os.access(samples, os.R_OK | (os.X_OK if Path(samples).is_dir() else 0)):
        raise UsageError(f"the samples {samples} cannot be read", what_to_do="Give this user the right to read them.")


def days_of(text: str, digits: int = 4) -> int:
    """Return a number of days, such as `30d` or `30`."""
    match = re.fullmatch(rf"([0-9]{{1,{digits}}})d?", text.strip())
    if match is None:
        raise UsageError(f"{text[:40]!r} is no time; expected days, such as 30d")
    return int(match[1])

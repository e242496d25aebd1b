"""The key of a task: a digest of everything that decides what a check of these bytes measures and how it is judged.

Code counts by its own bytes, not by a version number: the file of each detector of the policy, and the folders that all
of them share. A change of the gate that no detector of a policy uses leaves its work done.
"""

import hashlib
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import gate
from gate.detectors.contract import Detector
from gate.records.fleet import FleetRules
from gate.records.record import canonical_json

_ROOT: Final = Path(gate.__file__).resolve().parent
_SHARED: Final = ("formats", "jail", "judging", "policies", "programs", "search", "spaces", "statistics", "worker")
"""Folders whose code and data every scan may use; detectors count one by one."""
_BESIDE: Final = ("detectors/contract.py", "detectors/inversion.py", "detectors/__init__.py")
_COMPILED: Final = "__pycache__"


def detector_digest(detector: Detector[Any]) -> str:
    """Return the digest of a detector's own file."""
    return _digest([_ROOT / "detectors" / f"{detector.id.replace('-', '_')}.py"])


@cache
def engine_digest() -> str:
    """Return the digest of the code and data that detectors share."""
    return _digest(_shared())


def _shared() -> Iterator[Path]:
    for folder in _SHARED:
        yield from (path for path in (_ROOT / folder).rglob("*") if path.is_file() and _COMPILED not in path.parts)
    yield from (_ROOT / name for name in _BESIDE)


def _digest(paths: Iterable[Path]) -> str:
    found = sorted((path.relative_to(_ROOT).as_posix(), path) for path in paths)
    lines = "\n".join(f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {name}" for name, path in found)
    return f"sha256:{hashlib.sha256(lines.encode()).hexdigest()}"


def registry_digest(address: str) -> str:
    """Return the digest of a registry's place: host and path, whoever asks it."""
    found = urlsplit(address)
    host = found.netloc.rpartition("@")[2]
    return f"sha256:{hashlib.sha256(f'{found.scheme}://{host}{found.path}'.encode()).hexdigest()}"


def task_key(
    rules: FleetRules, digest: str, samples: str | None, reading: str, alone: str = "", registry: str | None = None
) -> str:
    """Return a task's key, 64 hexadecimal digits.

    `samples` is the digest of the clean samples and `reading` that of the settings for the registered model. `alone` is
    the URI of a version whose folder holds what no digest covers, such as a link: nothing else may share its task.
    `registry` is the digest of the registry's place: the same names in another one are other versions.
    """
    decides = rules.model_dump(mode="json", exclude={"policy", "bank", "samples", "gate_version", "valid_days"})
    bytes_ = {"digest": digest, "samples_digest": samples, "reading": reading, "alone": alone, "registry": registry}
    return hashlib.sha256(canonical_json({"rules": decides, **bytes_})).hexdigest()

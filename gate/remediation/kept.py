"""Attempts that were finished when a remediation was broken off, kept in its directory and taken up by the next one.

What an attempt comes to depends on bytes, samples, triggers, options and seed alone; one that differs in any of them is
not taken up. A failure may have been the machine's, and is tried again.
"""

import hashlib
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from gate import VERSION
from gate.check.files import CheckFiles
from gate.check.worker_results import MAX_BUNDLE_BYTES
from gate.records.job import ScanJob
from gate.records.record import MalformedError, Record, read_bounded
from gate.records.repair import RepairResult
from gate.remediation.attempting import MAX_RESULT_BYTES, Attempted, check_result

FOLDER = "attempts"


class Kept(Record):
    """The file of one attempt."""

    schema_version: Literal[1] = 1
    job: str
    result: RepairResult
    model_sha256: str = ""


@dataclass(frozen=True)
class KeptAttempts:
    """A remediation's folder of finished attempts."""

    files: CheckFiles

    def earlier(self, job: ScanJob) -> Attempted | None:
        """Return what this very attempt came to before; None where there is nothing that can be used."""
        assert job.repair is not None
        path = self._path(job)
        try:
            kept = Kept.from_file(path, limit=MAX_RESULT_BYTES)
            if kept.job != _key(job):
                return None
            check_result(kept.result, job.repair, job.seed)
            if not kept.model_sha256:
                return Attempted(kept.result)
            model = read_bounded(path.with_suffix(".pt2"), limit=MAX_BUNDLE_BYTES)
        except (MalformedError, OSError):
            return None
        return Attempted(kept.result, model) if hashlib.sha256(model).hexdigest() == kept.model_sha256 else None

    def keep(self, job: ScanJob, attempted: Attempted) -> None:
        """Write a finished attempt, its model first, so that no record names a model that is not there."""
        path = self._path(job)
        with suppress(OSError):
            path.with_suffix(".pt2").unlink(missing_ok=True)
        if attempted.result.status == "failed":
            path.unlink(missing_ok=True)
            return
        digest = ""
        if attempted.model is not None:
            self.files.write(f"{FOLDER}/{path.stem}.pt2", attempted.model)
            digest = hashlib.sha256(attempted.model).hexdigest()
        kept = Kept(job=_key(job), result=attempted.result, model_sha256=digest)
        self.files.write(f"{FOLDER}/{path.name}", kept.pretty_json())

    def _path(self, job: ScanJob) -> Path:
        assert job.repair is not None
        return self.files.root / FOLDER / f"{job.repair.method}.json"


def _key(job: ScanJob) -> str:
    """Return a digest of what bears on an attempt: neither places nor time nor memory."""
    assert job.repair is not None
    task = job.repair.model_copy(update={"triggers_path": None})
    words = (VERSION, job.manifest.digest, job.policy.digest, job.samples_sha256, job.device, job.seed)
    return hashlib.sha256(f"{words} {task.content_sha256}".encode()).hexdigest()

"""Outcomes of an interrupted scan, kept beside the check's files and reused by the next scan of an equal job.

A detector's numbers depend on bytes, options and seed alone: a kept outcome equals a repeated measurement. A job that
differs in any of these, or has a suspect, starts from the beginning: only the worker has the suspect's triggers.
"""

import hashlib
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from gate import VERSION
from gate.check.files import CheckFiles
from gate.judging.stages import suspects_after
from gate.records.errors import CannotFinishError
from gate.records.evidence import MAX_EXCERPTS, MAX_PICTURES, Measured
from gate.records.job import ScanJob, ScanResult
from gate.records.probe_seed import key_of
from gate.records.record import MalformedError, Record

FILE = "unfinished.json"


class Kept(Record):
    """The file: a job's key and its result so far."""

    schema_version: Literal[1] = 1
    job: str
    result: ScanResult


@dataclass(frozen=True)
class Unfinished:
    """One check's file of finished outcomes."""

    root: Path

    @property
    def path(self) -> Path:
        """The file's path."""
        return self.root / FILE

    def earlier(self, job: ScanJob) -> ScanResult | None:
        """Return what an earlier scan of an equal job measured; None where nothing can be reused."""
        try:
            kept = Kept.from_file(self.path)
        except (MalformedError, OSError):
            return None
        result = kept.result
        if kept.job != _key(job) or suspects_after(
            job.policy, len(job.policy.plan()), result.outcomes, result.facts.classes
        ):
            return None
        # A failure may be the machine's, and a skipped detector may have lacked time: both are tried again.
        outcomes = {name: outcome for name, outcome in result.outcomes.items() if isinstance(outcome, Measured)}
        return result.model_copy(update={"outcomes": outcomes})

    def keep(self, job: ScanJob, result: ScanResult) -> None:
        """Write the result so far, atomically; a full disk only prevents resuming from here."""
        with suppress(CannotFinishError):
            CheckFiles(self.root).write(FILE, Kept(job=_key(job), result=result).canonical_json())


def joined(earlier: ScanResult | None, later: ScanResult) -> ScanResult:
    """Return a worker's result with what an earlier one's report shows; it has the outcomes already."""
    if earlier is None:
        return later
    pictures, projections = (*earlier.pictures, *later.pictures), (*earlier.projections, *later.projections)
    excerpts = (*earlier.excerpts, *later.excerpts)[:MAX_EXCERPTS]
    kept = {"pictures": pictures[:MAX_PICTURES], "excerpts": excerpts, "projections": projections[:16]}
    return later.model_copy(update=kept)


def _key(job: ScanJob) -> str:
    """Return a digest of what determines the measurements: without paths, time and memory."""
    elsewhere: dict[str, Any] = {"root": "", "samples_path": None, "training_path": None, "bank_folder": ""}
    elsewhere |= {"previous_folder": "", "base_folder": ""}
    another_day: dict[str, Any] = {"deadline_seconds": 0.0, "allowed_seconds": None, "memory_bytes": None, "done": {}}
    asked = job.model_copy(update=elsewhere | another_day | {"probe_seed": None})
    seeded = f" {key_of(job.probe_seed)}" if job.probe_seed else ""
    return hashlib.sha256(f"{VERSION} {asked.content_sha256}{seeded}".encode()).hexdigest()

"""What a scan had finished when it was broken off, kept beside the check's files and taken up by the next scan alike.

Between the orchestrator and its scan worker. A detector's numbers depend on bytes, options and seed alone, so that an
outcome from before a power cut is the outcome that would be measured again; a job that differs in anything of that
takes up nothing. A scan that has a suspect begins anew: its triggers live in the worker, and later stages need them.
"""

import hashlib
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from gate import VERSION
from gate.jail.scratch import write_new
from gate.judging.stages import suspects_after
from gate.records.evidence import MAX_PICTURES, Measured
from gate.records.job import ScanJob, ScanResult
from gate.records.record import MalformedError, Record

FILE = "unfinished.json"


class Kept(Record):
    """The file: what was measured, and of which job."""

    schema_version: Literal[1] = 1
    job: str
    result: ScanResult


@dataclass(frozen=True)
class Unfinished:
    """One check's file of finished outcomes."""

    root: Path

    @property
    def path(self) -> Path:
        """Where it lies."""
        return self.root / FILE

    def earlier(self, job: ScanJob) -> ScanResult | None:
        """Return what an earlier scan by this very job had measured; None where there is nothing that can be used."""
        try:
            kept = Kept.from_file(self.path)
        except (MalformedError, OSError):
            return None
        result = kept.result
        if kept.job != _key(job) or suspects_after(
            job.policy, len(job.policy.plan()), result.outcomes, result.facts.classes
        ):
            return None
        # A failure may have been the machine's, and a skipped detector may have lacked time: both get another try.
        outcomes = {name: outcome for name, outcome in result.outcomes.items() if isinstance(outcome, Measured)}
        return result.model_copy(update={"outcomes": outcomes})

    def keep(self, job: ScanJob, result: ScanResult) -> None:
        """Write what is measured so far, in one move; a disk that is full only costs the chance to go on from here."""
        partial = self.path.with_name(f".{FILE}.part")
        try:
            write_new(partial, Kept(job=_key(job), result=result).canonical_json())
            partial.replace(self.path)
        except OSError:
            with suppress(OSError):
                partial.unlink(missing_ok=True)


def joined(earlier: ScanResult | None, later: ScanResult) -> ScanResult:
    """Return a worker's result with the pictures of what an earlier one had measured; the outcomes it has itself."""
    if earlier is None:
        return later
    pictures, projections = (*earlier.pictures, *later.pictures), (*earlier.projections, *later.projections)
    return later.model_copy(update={"pictures": pictures[:MAX_PICTURES], "projections": projections[:16]})


def _key(job: ScanJob) -> str:
    """Return a digest of what bears on what is measured: neither places nor time nor memory."""
    elsewhere: dict[str, Any] = {"root": "", "samples_path": None, "training_path": None, "bank_folder": ""}
    another_day: dict[str, Any] = {"deadline_seconds": 0.0, "memory_bytes": None, "done": {}}
    asked = job.model_copy(update=elsewhere | another_day)
    return hashlib.sha256(f"{VERSION} {asked.content_sha256}".encode()).hexdigest()

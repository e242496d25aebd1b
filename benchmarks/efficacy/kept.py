"""The cache of scans: what was measured on which model, with pictures, outside git, each scan written in one step.

Between scanning and everything that reads outcomes. A scan's evidence lies whole under its digest; beside it a record
without pictures says which keys it answers. Of several answers to one key the newest holds. `set_aside` forgets.
"""

import fcntl
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from pydantic import Field

from benchmarks.zoo.store import Store, write_whole
from gate.records.evidence import Evidence, Outcome, Skipped
from gate.records.record import Record

DEADLINE_REASON = "the deadline was reached"


class ScanRecord(Record):
    """One scan of one model by a part of a policy."""

    number: int = Field(ge=1)
    """Later scans have greater numbers."""
    keys: dict[str, str]
    """By detector, of every outcome in the evidence that still holds."""
    code: dict[str, str]
    """By detector, the digest of its file when it measured."""
    budget: float
    """Seconds that the scan was given."""
    wall_seconds: float
    processor_seconds: float | None = None
    """Of all its workers; None where scans ran side by side."""
    evidence: Evidence
    """Without pictures and projections."""
    whole: str
    """The digest under which the evidence with pictures lies."""


@dataclass(frozen=True)
class Cache:
    """The folder of kept scans."""

    root: Path

    @classmethod
    def of(cls, store: Store) -> "Cache":
        """Return the cache that belongs to a zoo."""
        return cls(store.root / "efficacy" / "scans")

    def scans(self, manifest_digest: str) -> list[ScanRecord]:
        """Return the scans of a model, the oldest first."""
        paths = sorted(self._folder(manifest_digest).glob("*.scan.json"))
        return [ScanRecord.from_file(path) for path in paths]

    def add(self, evidence: Evidence, keys: Mapping[str, str], code: Mapping[str, str], spent: "Spent") -> ScanRecord:
        """Keep a scan: the evidence with its pictures first, the record that points to it last."""
        folder = self._folder(evidence.manifest_digest)
        whole = evidence.content_sha256
        write_whole(folder / f"{whole[:32]}.evidence.json", json.dumps(evidence.model_dump(mode="json")).encode())
        taken = [int(path.name.split(".")[0]) for path in folder.glob("*.scan.json")]
        record = ScanRecord(
            number=max(taken, default=0) + 1,
            keys=dict(keys),
            code=dict(code),
            budget=spent.budget,
            wall_seconds=spent.seconds,
            processor_seconds=spent.processor_seconds,
            evidence=evidence.model_copy(update={"pictures": (), "projections": ()}),
            whole=whole,
        )
        self._write(folder, record)
        return record

    def set_aside(self, manifest_digest: str, detectors: frozenset[str]) -> int:
        """Forget these detectors' outcomes on a model, and return how many there were."""
        folder, count = self._folder(manifest_digest), 0
        for record in self.scans(manifest_digest):
            forgotten = detectors & set(record.keys)
            if forgotten:
                count += len(forgotten)
                keys = {name: key for name, key in record.keys.items() if name not in forgotten}
                self._write(folder, record.model_copy(update={"keys": keys}))
        return count

    @contextmanager
    def holding(self, manifest_digest: str) -> Iterator[None]:
        """Hold one model, so that two runs never measure the same at the same time; waits for the other."""
        folder = self._folder(manifest_digest)
        folder.mkdir(parents=True, exist_ok=True)
        with (folder / "lock").open("w") as stream:
            fcntl.flock(stream, fcntl.LOCK_EX)
            yield

    def _write(self, folder: Path, record: ScanRecord) -> None:
        write_whole(folder / f"{record.number:06}.scan.json", record.canonical_json())

    def _folder(self, manifest_digest: str) -> Path:
        return self.root / manifest_digest.removeprefix("sha256:")[:32]


@dataclass(frozen=True)
class Spent:
    """What a scan was given, and what it took on the clock and of the processor."""

    budget: float
    seconds: float
    processor_seconds: float | None = None


@dataclass(frozen=True)
class Answer:
    """One kept outcome and the scan that it is from."""

    outcome: Outcome
    record: ScanRecord


def answers(scans: list[ScanRecord], *, budget: float) -> dict[str, Answer]:
    """Return the newest answer to each key; one cut short by a smaller budget than this is none."""
    found: dict[str, Answer] = {}
    for record in scans:
        for name, key in record.keys.items():
            outcome = record.evidence.outcomes[name]
            cut_short = isinstance(outcome, Skipped) and outcome.reason == DEADLINE_REASON
            if cut_short and record.budget < budget:
                continue
            found[key] = Answer(outcome, record)
    return found

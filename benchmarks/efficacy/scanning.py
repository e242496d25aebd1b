"""Scans one model through the gate's own steps, jailed workers included, and puts kept outcomes together to evidence.

The heart of the flow: `gate pull` and `gate scan` as their commands call them, by a policy reduced to what is missing.
What comes back is kept at once. `merged` then yields the evidence that one scan by the whole policy would have left.
"""

import hashlib
import resource
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal

from benchmarks.efficacy.kept import Answer, Cache, ScanRecord, Spent, answers
from benchmarks.efficacy.keys import Conditions, Found, keys_after, look_up, reduced
from benchmarks.efficacy.subjects import Subject, classes_of, manifest_digest, samples_of, write_model_folder
from benchmarks.zoo.store import Store
from gate import detectors
from gate.check.base_model import AskedBase
from gate.check.evidence import ScanRequest, ScanSettings
from gate.check.files import CheckFiles, private_directory
from gate.check.pull import PullRequest, pull
from gate.check.scan import scan
from gate.check.workers import Progress
from gate.judging.stages import suspects_after
from gate.records.artifact import ModelRef, file_sha256
from gate.records.evidence import Evidence
from gate.records.isolation import isolation_rank
from gate.records.policy import Policy
from gate.registries.directory import DirectoryRegistry

WEIGHTS = "model.safetensors"
"""File of a base's weights."""
Arithmetic = Literal["auto", "as-read"]
Scan = Callable[[Subject, Policy, Conditions], Evidence]
"""Measures one model by a policy; a seam for tests, which have no minute for each."""


@dataclass(frozen=True)
class Bench:
    """Where models are, where outcomes are kept, and by what they are measured."""

    store: Store
    cache: Cache
    policy: Policy
    budget: float
    """Seconds for one scan."""
    threads: int = 1
    alone: bool = True
    """Whether this process runs one scan at a time; else whose processor time is whose cannot be told."""

    def conditions(self, subject: Subject) -> Conditions:
        """Return what every outcome on this model depends on."""
        base = self.store.base
        beside = base / WEIGHTS if base else samples_of(subject, self.store)[0]
        return Conditions(
            manifest_digest=manifest_digest(subject, self.store),
            seed=self.policy.seed,
            samples_sha256=_sha256_of(beside, beside.stat().st_mtime_ns),
            model_name=subject.name,
            classes=classes_of(subject),
        )


@cache
def _sha256_of(path: Path, _changed: int) -> str:
    """Return a file's sha256, read once a process: a base has hundreds of megabytes."""
    return file_sha256(path)


@dataclass(frozen=True)
class State:
    """What is known about one model under the bench's policy."""

    entry: Subject
    conditions: Conditions
    found: Found
    by_key: dict[str, Answer]

    @property
    def missing(self) -> tuple[str, ...]:
        """The detectors without an outcome."""
        return tuple(self.found.missing)

    def stale(self) -> tuple[str, ...]:
        """Return the detectors that measured with another version of their file than today's."""
        known = {name: self.by_key[self.found.keys[name]].record.code.get(name) for name in self.found.known}
        return tuple(name for name, code in known.items() if code != code_digest(name))


def state_of(bench: Bench, entry: Subject) -> State:
    """Look up what is kept about a model."""
    conditions = bench.conditions(entry)
    by_key = answers(bench.cache.scans(conditions.manifest_digest), budget=bench.budget)
    kept = {key: answer.outcome for key, answer in by_key.items()}
    return State(entry, conditions, look_up(bench.policy, conditions, kept), by_key)


def measure(bench: Bench, entry: Subject, wanted: Iterable[str], scan_once: Scan) -> ScanRecord | None:
    """Scan a model for those of the wanted detectors that are missing, and keep what comes back; None if none is."""
    with bench.cache.holding(manifest_digest(entry, bench.store)):
        state = state_of(bench, entry)
        chosen = state.found.to_run(wanted)
        if not chosen:
            return None
        part = reduced(bench.policy, chosen, deadline=bench.budget)
        began, processor = time.monotonic(), processor_seconds()
        evidence = scan_once(entry, part, state.conditions)
        own_time = round(processor_seconds() - processor, 1) if bench.alone else None
        spent = Spent(bench.budget, round(time.monotonic() - began, 1), own_time)
        everything = {**state.found.known, **evidence.outcomes}
        keys = keys_after(bench.policy, state.conditions, everything)
        own = {name: keys[name] for name in evidence.outcomes}
        return bench.cache.add(evidence, own, {name: code_digest(name) for name in own}, spent)


def processor_seconds() -> float:
    """Return the processor time of all workers that have ended; on a busy machine the clock says little."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def through_the_gate(bench: Bench, arithmetic: Arithmetic = "auto") -> Scan:
    """Return the scan that pulls a model folder and lets jailed workers measure it."""

    def scan_once(subject: Subject, policy: Policy, conditions: Conditions) -> Evidence:
        with tempfile.TemporaryDirectory(prefix="efficacy-") as folder:
            model = write_model_folder(subject, bench.store, Path(folder) / "candidate")
            settings = ScanSettings(seed=conditions.seed, device="cpu", threads=bench.threads, arithmetic=arithmetic)
            if base := bench.store.base:
                return _placeless(scan_folder(model, None, policy, settings, base=base), subject)
            samples, known_as = samples_of(subject, bench.store)
            return _placeless(scan_folder(model, samples.absolute(), policy, settings), subject, known_as)

    return scan_once


def silent(_step: str, _done: int, _total: int) -> None:
    """Show no progress."""


def scan_folder(
    model: Path,
    samples: Path | None,
    policy: Policy,
    settings: ScanSettings,
    progress: Progress = silent,
    base: Path | None = None,
) -> Evidence:
    """Take a model folder through `gate pull` and `gate scan`, and return the evidence."""
    with private_directory() as private, tempfile.TemporaryDirectory(prefix="efficacy-") as folder:
        registry, files = DirectoryRegistry(), CheckFiles.create(Path(folder))
        asked = AskedBase(str(base)) if base else None
        request = PullRequest(str(model), policy, str(samples) if samples else None, base=asked)
        pulled = pull(registry, request, files, private, registry.resolve(str(model)))
        return scan(ScanRequest(pulled, private, policy, settings), progress).evidence


def _placeless(evidence: Evidence, subject: Subject, known_as: str = "") -> Evidence:
    """Return the evidence under the zoo's names, in place of where the files lay on this machine."""
    samples = evidence.samples and evidence.samples.model_copy(update={"source": known_as})
    named = {"uri": f"{subject.shelf}:base", "model": ModelRef(registry="directory", name=f"{subject.shelf}/base")}
    base = evidence.base and evidence.base.model_copy(update=named)
    ref = ModelRef(registry="directory", name=f"{subject.shelf}/{subject.name}")
    # Why a worker kept its rights may name a path; that it did is told by the first word.
    user = evidence.worker_user.split(":", maxsplit=1)[0]
    return evidence.model_copy(update={"model": ref, "samples": samples, "base": base, "worker_user": user})


def records_of(state: State) -> list[ScanRecord]:
    """Return the scans that the known outcomes are from, the oldest first."""
    records = [state.by_key[state.found.keys[name]].record for name in state.found.known]
    return [record for _, record in sorted({record.number: record for record in records}.items())]


def merged(bench: Bench, state: State) -> Evidence | None:
    """Return the evidence of all known outcomes together; None where there is none yet."""
    records = records_of(state)
    if not records:
        return None
    base = max((record.evidence for record in records), key=lambda evidence: evidence.assurance is not None)
    outcomes = {name: state.found.known[name] for name in bench.policy.detectors if name in state.found.known}
    suspects = [
        suspect
        for number in range(1, len(bench.policy.plan()) + 1)
        for suspect in suspects_after(bench.policy, number, outcomes, state.conditions.classes)
        if suspect.stage == number
    ]
    complete = [n for n, stage in enumerate(bench.policy.plan(), start=1) if set(stage.detectors) <= set(outcomes)]
    return base.model_copy(
        update={
            "isolation": min((record.evidence.isolation for record in records), key=isolation_rank),
            "outcomes": outcomes,
            "stages": tuple(complete),
            "suspects": tuple(suspects),
            "problems": tuple(dict.fromkeys(_problems(records, state))),
        }
    )


def _problems(records: list[ScanRecord], state: State) -> Iterable[str]:
    """Yield the problems of the scans, but for those of a detector whose outcome is from another scan."""
    for record in records:
        held = {name for name in state.found.known if state.by_key[state.found.keys[name]].record is record}
        for problem in record.evidence.problems:
            gone = any(problem.endswith(f" in {name}.") for name in record.evidence.outcomes if name not in held)
            if not gone:
                yield problem


def code_digest(detector_id: str) -> str:
    """Return a short digest of a detector's own file, so that the table can say what an older version measured."""
    path = sys.modules[detectors.load(detector_id).module].__file__
    assert path is not None
    return hashlib.sha256(Path(path).read_bytes()).hexdigest()[:12]

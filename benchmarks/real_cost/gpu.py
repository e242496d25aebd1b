"""Whole default checks on a GPU, on a machine that may lack MLflow and a jail: the worker's own code, in a process.

Beside the flow. Each scan gets a fresh process, so that its time holds the start of torch and of the device. The first
net is scanned on that machine's CPU too: findings and suspects must be the same.
"""

import os
import time
from collections.abc import Callable, Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal

from benchmarks.real_cost.cases import Case
from benchmarks.real_cost.machine import Eager, Precision, eager
from benchmarks.real_cost.measuring import apart, told_findings, told_suspects
from benchmarks.real_cost.rows import operations, precisions, share
from benchmarks.scan_cost.counting import Unit, unit_of_net
from gate import VERSION
from gate.detectors import load
from gate.judging.judge import judge
from gate.policies.packaged import DEFAULT
from gate.policies.read import read_policy
from gate.records.artifact import ModelRef, build_manifest, file_sha256
from gate.records.clock import today
from gate.records.evidence import Evidence, Measured
from gate.records.job import RESULT_FILE, ScanJob, ScanResult
from gate.records.policy import Policy
from gate.records.record import Record

Device = Literal["cuda", "cpu"]
_CPU_MEMORY = 64 << 30


class GpuRow(Record):
    """One scan."""

    case: Case
    device: str
    """As the worker names it."""
    seconds: float
    """From the start of the process to its end."""
    steps: dict[str, float]
    took: dict[str, float]
    passes: int
    gradient_passes: int
    unit: Unit
    peaks: dict[Precision, float]
    """Operations a second of products of matrices, on the GPU; empty for a CPU."""
    eager: Eager | None
    arithmetic: str
    accuracy: float | None
    decision: str
    findings: tuple[str, ...]
    suspects: tuple[str, ...]
    problems: tuple[str, ...]
    versions: dict[str, str]

    @property
    def share(self) -> float | None:
        """Share of the measured peaks that the scan reached, start included; None on a CPU."""
        if not self.peaks:
            return None
        rates = [self.peaks[precision] for precision in precisions(self.arithmetic)]
        return share(operations(self.passes, self.gradient_passes, self.unit), rates, self.seconds)

    def __str__(self) -> str:
        share = "" if self.share is None else f", {self.share:.0%} of the measured peak"
        return (
            f"{self.case.net.name} on {self.device}: {self.seconds:.1f} s{share}; {self.arithmetic or 'as read'}; "
            f"{self.decision}; {len(self.findings)} findings, {len(self.suspects)} suspects"
        )


@dataclass(frozen=True)
class Gpu:
    """Where results go, and how long the comparison on the CPU may take."""

    to: Path
    cpu_seconds: float


@dataclass(frozen=True)
class Logged:
    """An exported net with samples, and what was measured while it was there as a module."""

    model: Path
    samples: Path
    unit: Unit
    peaks: dict[Precision, float]
    eager: Eager


def run_all(cases: Sequence[Case], settings: Gpu, say: Callable[[str], None]) -> None:
    """Scan every net on the GPU and the first one on the CPU; keep a line each, and tell whether the findings agree."""
    policy, rows = without_bytes(read_policy(DEFAULT, on=today())), []
    with TemporaryDirectory(prefix="real-cost-gpu-") as folder:
        made = []
        for case in cases:
            (room := Path(folder) / case.net.name).mkdir()
            made.append(apart(make, case, room))
            rows.append(scanned(case, made[-1], policy, "cuda", policy.deadline))
            _keep(rows, settings.to)
            say(str(rows[-1]))
        if cases and settings.cpu_seconds:
            rows.append(scanned(cases[0], made[0], policy, "cpu", settings.cpu_seconds))
            _keep(rows, settings.to)
            say(f"{rows[-1]}\n{compared(rows[0], rows[-1])}")


def without_bytes(policy: Policy) -> Policy:
    """Return the policy without the detectors that read files alone: they ask for no device."""
    from gate.worker.roles import reads_files_only

    kept = {name: rule for name, rule in policy.detectors.items() if not reads_files_only(load(name))}
    stages = (
        stage.model_copy(update={"detectors": tuple(name for name in stage.detectors if name in kept)})
        for stage in policy.stages
    )
    return policy.model_copy(update={"detectors": kept, "stages": tuple(stage for stage in stages if stage.detectors)})


def make(case: Case, folder: Path) -> Logged:
    """Make and export a net on the GPU, and measure the card's peak and the eager net there."""
    import torch

    from benchmarks.device_peak import measured_peak
    from benchmarks.real_cost.making import exported, made, write_samples

    net, inputs, labels = made(case, "cuda")
    model, samples = exported(net, inputs, folder), write_samples(inputs, labels, folder)
    unit = unit_of_net(net, inputs[:1].float())
    peaks: dict[Precision, float] = {
        "float32": measured_peak(torch.float32, "cuda"),
        "bfloat16": measured_peak(torch.bfloat16, "cuda"),
    }
    return Logged(model, samples, unit, peaks, eager(net.cuda(), inputs, "cuda"))


def scanned(case: Case, logged: Logged, policy: Policy, device: Device, deadline: float) -> GpuRow:
    """Scan in a process of its own, and return the row."""
    with TemporaryDirectory(prefix="real-cost-scan-") as scratch:
        job = job_of(case, logged, policy, device, deadline)
        began = time.monotonic()
        apart(work, job, Path(scratch))
        seconds = time.monotonic() - began
        result = ScanResult.from_file(Path(scratch) / RESULT_FILE)
    evidence = evidence_of(job, result)
    verdict = judge(evidence, policy, on=today())
    measured = {name: one for name, one in result.outcomes.items() if isinstance(one, Measured)}
    return GpuRow(
        case=case,
        device=result.device,
        seconds=round(seconds, 1),
        steps=result.seconds,
        took={name: round(one.seconds, 2) for name, one in measured.items()},
        passes=sum(one.sample_passes for one in measured.values()),
        gradient_passes=sum(one.gradient_passes for one in measured.values()),
        unit=logged.unit,
        peaks=logged.peaks if device == "cuda" else {},
        eager=logged.eager if device == "cuda" else None,
        arithmetic=result.facts.arithmetic,
        accuracy=result.samples.accuracy if result.samples else None,
        decision=str(verdict.decision),
        findings=told_findings(verdict),
        suspects=told_suspects(evidence.suspects),
        problems=result.problems,
        versions=result.versions,
    )


def job_of(case: Case, logged: Logged, policy: Policy, device: Device, deadline: float) -> ScanJob:
    """Return the scan worker's job."""
    return ScanJob(
        role="scan",
        model=ModelRef(registry="directory", name=case.net.name),
        manifest=build_manifest(logged.model)[0],
        root=str(logged.model),
        policy=policy,
        seed=policy.seed,
        device=device,
        deadline_seconds=deadline,
        memory_bytes=_CPU_MEMORY,
        threads=case.threads,
        arithmetic=case.arithmetic,
        samples_path=str(logged.samples),
        samples_source="made up",
        samples_sha256=file_sha256(logged.samples),
    )


def work(job: ScanJob, scratch: Path) -> None:
    """Do the worker's work here, without a jail."""
    from gate.worker import roles

    with Path(os.devnull).open("w") as nowhere, redirect_stdout(nowhere):  # its progress is for an orchestrator
        roles.run(job, scratch, isolation="none (a benchmark)")


def evidence_of(job: ScanJob, result: ScanResult) -> Evidence:
    """Return the worker's result as evidence, to judge it by the policy."""
    shared = {name: getattr(result, name) for name in Evidence.model_fields.keys() & ScanResult.model_fields.keys()}
    del shared["previous"]  # the worker's claims about versions to compare with, of which there are none
    known = {"gate_version": VERSION, "model": job.model, "manifest_digest": job.manifest.digest, "seed": job.seed}
    return Evidence(**{**shared, **known})


def compared(one: GpuRow, other: GpuRow) -> str:
    """Return whether two scans of a net found the same, and what only one of them found."""
    if any("deadline" in problem for problem in other.problems):
        return "The CPU's scan met its deadline, so that findings cannot be compared; give it more by --cpu-seconds."
    here, there = ({*row.findings, *row.suspects} for row in (one, other))
    if here == there:
        return f"The same on both: {len(one.findings)} findings, {len(one.suspects)} suspects."
    only = [
        f"only on {row.device}: {', '.join(sorted(own))}" for row, own in ((one, here - there), (other, there - here))
    ]
    return f"Different: {'; '.join(only)}."


def _keep(rows: Sequence[GpuRow], to: Path) -> None:
    to.parent.mkdir(parents=True, exist_ok=True)
    to.write_bytes(b"".join(row.canonical_json() + b"\n" for row in rows))

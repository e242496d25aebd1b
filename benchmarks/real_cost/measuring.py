"""Measures one case: makes the net, measures the machine, scans through jailed workers, measures the machine again.

The middle of the flow. Each step has a process of its own: what the scan's orchestrator or its workers hold is neither
the maker's memory nor its threads, and the largest child of the scanning process is the largest worker.
"""

import multiprocessing
import os
import resource
import signal
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import ParamSpec, TypeVar

from benchmarks.real_cost.cases import ANY_ISA, Case
from benchmarks.real_cost.machine import Eager, Rates, eager, processor, rates
from benchmarks.real_cost.progress import Narrator
from benchmarks.real_cost.rows import Row, Took
from benchmarks.scan_cost.counting import Unit, unit_of_net
from gate.check.evidence import ScanSettings
from gate.jail import kernel
from gate.judging.judge import judge
from gate.records.clock import today
from gate.records.evidence import Evidence, Failed, Measured, Outcome, Skipped, Suspect
from gate.records.policy import Policy
from gate.records.verdict import Verdict

ISA = "ONEDNN_MAX_CPU_ISA"
Say = Callable[[str], None]
Given = ParamSpec("Given")
Result = TypeVar("Result")


@dataclass(frozen=True)
class Made:
    """A logged net and its samples, with what was measured while it was there as a module."""

    model: Path
    samples: Path
    before: Rates
    eager: Eager
    unit: Unit
    parameters: int


@dataclass(frozen=True)
class Ran:
    """A scan's evidence, and what was measured around it."""

    evidence: Evidence
    seconds: float
    peak_bytes: int
    after: Rates
    deadline: float


def apart(work: Callable[Given, Result], *args: Given.args, **kwargs: Given.kwargs) -> Result:
    """Do some work in a fresh process that ends with it, and return its result."""
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=context, initializer=_end_with, initargs=(os.getpid(),)) as pool:
        return pool.submit(work, *args, **kwargs).result()


def _end_with(parent: int) -> None:
    """End this process when its parent does: a scan that outlives a killed command would slow the next one's."""
    if not kernel.end_with(parent, signal.SIGTERM):
        raise SystemExit("the command ended meanwhile")


@contextmanager
def limited(isa: str) -> Iterator[None]:
    """Let processes that are started meanwhile, workers among them, use no more than an instruction set."""
    before = os.environ.pop(ISA, None)
    if isa != ANY_ISA:
        os.environ[ISA] = isa
    try:
        yield
    finally:
        os.environ.pop(ISA, None)
        if before is not None:
            os.environ[ISA] = before


def measure(case: Case, policy: Policy, commit: str, say: Say, deadline: float | None = None) -> Row:
    """Make a case's net, scan it by a policy, and return the row; `say` gets lines of progress."""
    settings = ScanSettings(
        device="cpu", threads=case.threads, arithmetic=case.arithmetic, deadline_seconds=deadline, seed=policy.seed
    )
    with limited(case.isa), tempfile.TemporaryDirectory(prefix="real-cost-") as folder:
        say(f"{case}: making the net and its samples, measuring the machine")
        made = apart(make, case, Path(folder))
        say(f"{case}: a core does {_told(made.before)}; scanning")
        began = time.monotonic()
        evidence, peak = apart(scanned, made, policy, settings)
        seconds = time.monotonic() - began
        after = apart(rates, case.threads)
        say(f"{case}: {seconds:.0f} s; a core does {_told(after)}")
    ran = Ran(evidence, round(seconds, 1), peak, after, settings.seconds(policy))
    return row_of(case, policy, made, ran, commit)


def make(case: Case, folder: Path) -> Made:
    """Make and log a net and its samples below a folder, and measure the machine and the eager net."""
    import torch

    from benchmarks.real_cost.making import logged, made, write_samples

    torch.set_num_threads(case.threads)
    net, inputs, labels = made(case)
    model, samples = logged(net, inputs, folder), write_samples(inputs, labels, folder)
    before = rates(case.threads)  # leaves as many threads as the scan has
    return Made(
        model=model,
        samples=samples,
        before=before,
        eager=eager(net, inputs),
        unit=unit_of_net(net, inputs[:1].float()),
        parameters=sum(parameter.numel() for parameter in net.parameters()),
    )


def scanned(made: Made, policy: Policy, settings: ScanSettings) -> tuple[Evidence, int]:
    """Scan through the gate's own steps; return the evidence and the largest resident memory of a worker in bytes.

    To be called in a process of its own, whose only children are the workers.
    """
    from benchmarks.efficacy.scanning import scan_folder

    narrator = Narrator(lambda line: print(line, flush=True), time.monotonic)
    evidence = scan_folder(made.model, made.samples, policy, settings, narrator)
    narrator.end()
    return evidence, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024


def row_of(case: Case, policy: Policy, made: Made, ran: Ran, commit: str) -> Row:
    """Return the row of a scan, judged by its policy."""
    evidence = ran.evidence
    verdict = judge(evidence, policy, on=today())
    accuracy = evidence.samples.accuracy if evidence.samples else None
    return Row(
        case=case,
        processor=processor(),
        before=made.before,
        after=ran.after,
        eager=made.eager,
        unit=made.unit,
        parameters=made.parameters,
        accuracy=accuracy or 0.0,
        seconds=ran.seconds,
        steps={name: round(seconds, 1) for name, seconds in evidence.seconds.items()},
        took=tuple(_took(name, outcome) for name, outcome in evidence.outcomes.items()),
        arithmetic=evidence.facts.arithmetic,
        peak_bytes=ran.peak_bytes,
        decision=str(verdict.decision),
        findings=told_findings(verdict),
        suspects=told_suspects(evidence.suspects),
        problems=evidence.problems,
        deadline=ran.deadline,
        scan_seed=evidence.seed,
        policy=policy.digest,
        commit=commit,
        versions=dict(evidence.versions),
    )


def told_findings(verdict: Verdict) -> tuple[str, ...]:
    """Return what stands against approval, by rule, metric and place."""
    parts = ((one.rule, one.metric, one.location) for one in verdict.open_findings)
    return tuple(" ".join(str(part) for part in named if part is not None) for named in parts)


def told_suspects(suspects: Iterable[Suspect]) -> tuple[str, ...]:
    """Return suspects by detector, metric and place."""
    return tuple(f"{one.detector} {one.metric} {one.location}" for one in suspects)


def _took(name: str, outcome: Outcome) -> Took:
    match outcome:
        case Measured():
            return Took(
                name=name,
                status="measured",
                seconds=round(outcome.seconds, 2),
                passes=outcome.sample_passes,
                gradient_passes=outcome.gradient_passes,
            )
        case Skipped():
            return Took(name=name, status="skipped", note=outcome.reason)
        case Failed():
            return Took(name=name, status="failed", seconds=round(outcome.seconds, 2), note=outcome.error)


def _told(one: Rates) -> str:
    return (
        f"{one.float32:.0f} GFLOP/s in float32 and {one.bfloat16:.0f} in bfloat16 beside the others, "
        f"{one.float32_alone:.0f} and {one.bfloat16_alone:.0f} alone"
    )

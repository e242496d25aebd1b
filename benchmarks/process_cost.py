"""What scanning through separate jailed processes costs over scanning in one process, on the demo's model, in one run.

Model folder, samples, policy, seed and threads are the same both times. First the inspector and the scan worker run in
their jails as in `gate scan`; then one fresh process without a jail does the same: import, inspect, load, scan. Start
is what is left of the wall clock: interpreters, jails, hand-over. Target: at most 10 % or 15 s more, whichever is more.

    python -m benchmarks.process_cost [--seed 0] [--rounds 1] [--steps N] [--threads 1]
"""

import argparse
import hashlib
import itertools
import json
import os
import subprocess
import sys
import tempfile
import time
import warnings
from pathlib import Path
from typing import Any

from gate.policies.packaged import DEFAULT

PARTS = ("start", "import", "inspect", "load", "scan")
ROOT = Path(__file__).resolve().parents[1]


def prepare(folder: Path, options: argparse.Namespace) -> Path:
    """Train the demo's clean model, write it as an MLflow model folder beside its samples; return the job's file."""
    import torch

    from demo.models import load_digits, train
    from demo.registry import save_samples
    from gate.policies.read import read_policy
    from gate.records.artifact import ModelRef, build_manifest
    from gate.records.clock import today
    from gate.records.job import ScanJob

    torch.set_num_threads(1)
    digits = load_digits(options.seed)
    trained = train(digits, options.seed, poisoned=False)
    samples = save_samples(digits, folder / "clean.npz")
    model = folder / "model"
    (model / "data").mkdir(parents=True)
    (model / "MLmodel").write_text("flavors:\n  pytorch:\n    model_data: data\n    pytorch_version: 2.13.0\n")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.export.save(torch.export.export(trained.model, (digits.test_x[:1],)), model / "data" / "model.pt2")
    policy = read_policy(DEFAULT, on=today())
    if options.steps:
        changed = policy.model_dump()
        changed["detectors"]["neural-cleanse"]["options"]["steps"] = options.steps
        policy = type(policy).model_validate(changed)
    job = ScanJob(
        role="scan",
        model=ModelRef(registry="directory", name=str(model)),
        manifest=build_manifest(model)[0],
        root=str(model),
        policy=policy,
        seed=options.seed,
        device="cpu",
        deadline_seconds=3600,
        threads=options.threads,
        samples_path=str(samples),
        samples_source="demo",
        samples_sha256=hashlib.sha256(samples.read_bytes()).hexdigest(),
    )
    (folder / "job.json").write_bytes(job.canonical_json())
    return folder / "job.json"


def by_processes(path: Path) -> dict[str, Any]:
    """Run inspector and scan worker in their jails and return seconds by part and passes by detector."""
    from gate.check.workers import run_job
    from gate.records.job import ScanJob

    job = ScanJob.from_file(path)
    started = time.perf_counter()
    silent = lambda _step, _done, _total: None  # noqa: E731  # nobody watches
    inspected = run_job(job.model_copy(update={"role": "inspector", "samples_path": None}), silent).result
    measured = run_job(job.model_copy(update={"done": inspected.outcomes}), silent).result
    return told(started, {**inspected.seconds, **measured.seconds}, dict(measured.outcomes), measured.isolation)


def in_one_process(path: Path) -> dict[str, Any]:
    """Start one fresh interpreter that does all of it, and return the same."""
    started = time.perf_counter()
    command = [sys.executable, "-m", "benchmarks.process_cost", "--one", str(path)]
    # Waiting threads sleep in the workers; here too, or the comparison would be of that.
    environment = os.environ | {"OMP_WAIT_POLICY": "PASSIVE", "GOMP_SPINCOUNT": "0"}
    ended = subprocess.run(command, cwd=ROOT, env=environment, check=True, stdout=subprocess.PIPE)
    value: dict[str, Any] = json.loads(ended.stdout.splitlines()[-1])
    value["seconds"]["start"] = time.perf_counter() - started - sum(value["seconds"].values())
    return value


def one(path: Path) -> dict[str, Any]:
    """Import, inspect, load and scan here, without jail, progress or files between."""
    clock = [time.perf_counter()]
    from gate.records.artifact import Artifact
    from gate.records.job import ScanJob
    from gate.records.run import Run
    from gate.spaces.subject import Subject
    from gate.worker import compute
    from gate.worker.loading.fingerprint import fingerprint
    from gate.worker.loading.subject import load_subject
    from gate.worker.loop import Scanned, Scope, scan
    from gate.worker.roles import reads_files_only

    job = ScanJob.from_file(path)
    device = compute.prepare(job)
    run, artifact = Run(seed=job.seed, device=device), Artifact(job.model, Path(job.root), job.manifest)
    clock.append(time.perf_counter())
    files = Scope(runs=reads_files_only, absence="", classes=None)
    inspected = scan(Subject(artifact), job.policy, Run(seed=job.seed), files, Scanned())
    clock.append(time.perf_counter())
    loaded = load_subject(artifact, job, job.policy.samples.of(job.model.name), device)
    clock.append(time.perf_counter())
    classifier = loaded.subject.classifier
    assert classifier is not None, loaded.problems
    every = Scope(
        runs=lambda _detector: True,
        absence="",
        classes=loaded.facts.classes,
        fingerprint=lambda: fingerprint(classifier),
    )
    scanned = scan(loaded.subject, job.policy, run, every, Scanned(outcomes=dict(inspected.outcomes)))
    clock.append(time.perf_counter())
    seconds = dict(zip(PARTS[1:], (b - a for a, b in itertools.pairwise(clock)), strict=True))
    return {"seconds": seconds, **outcomes(dict(scanned.outcomes)), "isolation": "none"}


def told(started: float, seconds: dict[str, float], found: dict[str, Any], isolation: str) -> dict[str, Any]:
    """Return what was measured, with the rest of the wall clock as start."""
    rest = time.perf_counter() - started - sum(seconds.values())
    return {"seconds": {**seconds, "start": rest}, **outcomes(found), "isolation": isolation}


def outcomes(found: dict[str, Any]) -> dict[str, Any]:
    """Return status and sample-passes by detector, and a digest of all that was measured."""
    measured = {
        name: [(m.metric, str(m.location), m.value) for m in getattr(outcome, "measurements", ())]
        for name, outcome in sorted(found.items())
    }
    return {
        "passes": sum(getattr(outcome, "sample_passes", 0) for outcome in found.values()),
        "failed": sorted(name for name, outcome in found.items() if outcome.status == "failed"),
        "digest": hashlib.sha256(json.dumps(measured).encode()).hexdigest()[:16],
    }


def main() -> None:
    """Print a table of the two, round by round."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--steps", type=int, default=0, help="steps of neural-cleanse; 0: as the policy has it")
    parser.add_argument("--one", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        print(json.dumps(one(options.one)))
        return
    with tempfile.TemporaryDirectory() as directory:
        path = prepare(Path(directory), options)
        for number in range(1, options.rounds + 1):
            show(number, by_processes(path), in_one_process(path))


def show(number: int, jailed: dict[str, Any], single: dict[str, Any]) -> None:
    """Print one round."""
    print(
        f"round {number}: isolation {jailed['isolation']!r} beside none; failed: {jailed['failed'] or single['failed']}"
    )
    print(f"{'part':>14} {'processes':>10} {'one':>10}")
    for part in PARTS:
        print(f"{part:>14} {jailed['seconds'].get(part, 0):10.2f} {single['seconds'].get(part, 0):10.2f}")
    totals = [sum(side["seconds"].values()) for side in (jailed, single)]
    print(f"{'total seconds':>14} {totals[0]:10.2f} {totals[1]:10.2f}")
    print(f"{'sample-passes':>14} {jailed['passes']:10} {single['passes']:10}")
    print(f"{'measurements':>14} {'equal' if jailed['digest'] == single['digest'] else 'DIFFERENT':>10}")
    more = totals[0] - totals[1]
    held = more <= max(0.1 * totals[1], 15)
    print(
        f"overhead {more:.2f} s, {more / totals[1]:.1%}; target 10 % or 15 s: {'held' if held else 'MISSED'}",
        flush=True,
    )


if __name__ == "__main__":
    main()

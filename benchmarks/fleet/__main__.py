"""Whether a fleet that is killed twice makes each decision once, and what it costs beside what was planned.

    python -m benchmarks.fleet                               # 1,000 versions by bytes and graph, 50 by default: a day
    python -m benchmarks.fleet --versions 20 --behaviour 2   # that it works: some minutes on a quiet machine

One part is checked by a policy without the detectors that run the model, the other by the default policy. In each, one
registered model of ten is done alone at first. The plan that follows expects of the others what that one took; the run
of them has its workers and itself killed. Every version is signed and marked: the review log says how often. Then the
lengths are dealt out to more workers on paper. Times count where nothing else runs on the machine.
"""

import argparse
import json
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.fleet.making import Store, make, quick_policy
from benchmarks.fleet.running import attempts, decisions, gate
from gate.attestations.keys import generate_key
from gate.promotion.fleet.folder import open_fleet
from gate.promotion.fleet.simulate import simulate
from gate.promotion.fleet.status import status_of
from gate.renderers.text import duration

ROOT = Path(__file__).resolve().parents[2]
TOLERATED = 0.25
"""Share by which the measured cost may differ from the planned one."""


def main() -> int:
    """Run both parts and print what came of them; 1 where a decision was lost or made twice."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--versions", type=int, default=1000, help="versions by bytes and graph")
    parser.add_argument("--behaviour", type=int, default=50, help="versions by the default policy")
    parser.add_argument("--workers", type=int, default=4)
    parser.add_argument("--memory", type=float, default=48.0, help="GiB of address space of all workers")
    parser.add_argument("--kills", type=int, default=2)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--folder", type=Path, help="a new folder that is kept; a temporary one by default")
    options = parser.parse_args()
    parts = [("bytes-and-graph", options.versions), ("default", options.behaviour)]
    with tempfile.TemporaryDirectory(prefix="gate-fleet-") as temporary:
        folder = options.folder or Path(temporary)
        rows = [_part(folder / name, name, count, options) for name, count in parts if count]
    print(json.dumps(rows, indent=2))
    return 0 if all(row["decisions"]["once"] == row["versions"] for row in rows) else 1


def _part(folder: Path, name: str, versions: int, options: argparse.Namespace) -> dict[str, Any]:
    print(f"registering {versions} versions", flush=True)
    store = make(folder / "store", versions, options.seed)
    policy = str(quick_policy(folder / "policy.yml")) if name != "default" else name
    generate_key(folder / "key.pem", folder / "key.pub.pem")
    variables, fleet = _variables(folder, store, policy), folder / "fleet"
    shares = ("--workers", str(options.workers), "--memory", str(options.memory))
    run = ("fleet", "run", str(fleet), *shares, "--mark")
    gate(variables, "fleet", "plan", str(fleet), "--registered-model", "fleet-0", fleet=fleet)
    gate(variables, *run, fleet=fleet)
    piloted = {row.key for row in status_of(*open_fleet(fleet)).rows}
    gate(variables, "fleet", "plan", str(fleet), fleet=fleet)
    began = time.monotonic()
    code = gate(variables, *run, kills=options.kills, fleet=fleet, seed=options.seed)
    took = time.monotonic() - began
    return _row(name, store, fleet, piloted, code, took) | {"workers": options.workers, "kills": options.kills}


def _variables(folder: Path, store: Store, policy: str) -> dict[str, str]:
    return {
        "PATH": os.environ["PATH"],
        "HOME": str(folder),
        "LANG": "C.UTF-8",
        "PYTHONPATH": str(ROOT),
        "OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS", "1"),
        "MLFLOW_TRACKING_URI": store.uri,
        "GATE_POLICY": policy,
        "GATE_SAMPLES": str(store.samples),
        "GATE_SIGNING_KEY": str(folder / "key.pem"),
        "GATE_AUDIT_LOG": str(folder / "log.jsonl"),
        "GATE_DEVICE": "cpu",
    }


def _row(name: str, store: Store, fleet: Path, piloted: set[str], code: int, took: float) -> dict[str, Any]:
    folder, plan = open_fleet(fleet)
    status = status_of(folder, plan)
    results = {task.key: folder.result(task.key) for task in plan.tasks}
    whole = [
        (task.predicted.seconds, result.seconds)
        for task in plan.tasks
        if task.key not in piloted and (result := results[task.key]) is not None and not result.resumed
    ]
    planned, measured = (sum(column) for column in zip(*whole, strict=True)) if whole else (0.0, 0.0)
    lengths = [result.seconds for result in results.values() if result is not None and result.judged]
    ratio = measured / planned if planned else None
    print(f"{name}: {duration(measured)} measured, {duration(planned)} planned, exit {code}", flush=True)
    return {
        "policy": name,
        "versions": len(store.versions),
        "tasks": len(plan.tasks),
        "states": status.counts,
        "exit": code,
        "decisions": decisions(fleet.parent / "log.jsonl", fleet.parent / "key.pub.pem", store.versions),
        "attempts": attempts(fleet),
        "planned-seconds": round(planned, 1),
        "measured-seconds": round(measured, 1),
        "measured-over-planned": None if ratio is None else round(ratio, 3),
        "within-tolerance": ratio is not None and abs(ratio - 1) <= TOLERATED,
        "wall-seconds": round(took, 1),
        "simulated-seconds-by-workers": {
            str(workers): round(simulate(lengths, workers).seconds, 1) for workers in (1, 2, 4, 16, 64, 256)
        },
    }


if __name__ == "__main__":
    sys.exit(main())

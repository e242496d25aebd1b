"""`make demo`: train two versions, register them, run the gate on both, and show what it said.

    python -m demo [digits|text] [--seed 0] [--to demo-out]

A digit classifier and a patch, or with `text` the moderation of comments and a rare word, for which the extra `text` is
installed.

The gate is run as a user runs it, as the command `gate check`, on version 1 (clean) and version 2 (poisoned).
"""

import argparse
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from rich.console import Console
from rich.table import Table

from demo.models import Trained
from demo.registry import DemoRegistry
from demo.task import DigitTask, Task
from gate.check.files import CheckFiles
from gate.records.report import Report

ROOT = Path(__file__).resolve().parents[1]
STORIES = ("clean", "poisoned")


def _moderation(seed: int) -> Task:
    from demo.moderation import ModerationTask  # the library that it needs is an extra

    return ModerationTask(seed)


TASKS: dict[str, Callable[[int], Task]] = {"digits": DigitTask, "text": _moderation}
REMOVABLE = frozenset({"mlflow.db", "artifacts", "clean.npz", "clean.jsonl", "version-1", "version-2"})
console = Console(highlight=False, width=max(110, Console().width), soft_wrap=True)


@dataclass(frozen=True)
class Outcome:
    """What the gate said of one version, and what is true of it."""

    version: str
    story: str
    trained: Trained
    exit_code: int
    report: Report
    seconds: float

    @property
    def right(self) -> bool:
        """Whether the clean version was approved, or the poisoned one flagged."""
        return (self.exit_code == 0) == (self.story == "clean") and self.exit_code in (0, 1)


def main() -> int:
    """Run the demo and return 0 if the gate was right about both versions."""
    parser = argparse.ArgumentParser(
        prog="make demo", description="A clean and a poisoned model, and the gate's verdict."
    )
    parser.add_argument("task", nargs="?", choices=TASKS, default="digits", help="what the models classify")
    parser.add_argument("--seed", type=int, default=0, help="seed of data, weights and poison")
    parser.add_argument("--to", type=Path, default=ROOT / "demo-out", help="directory for registry and reports")
    arguments = parser.parse_args()
    task = TASKS[arguments.task](arguments.seed)
    outcomes = run(task, arguments.to)
    _show(outcomes, task, arguments.seed, arguments.to)
    return 0 if all(outcome.right for outcome in outcomes) else 1


def run(task: Task, to: Path) -> list[Outcome]:
    """Train, register and check both versions below `to`, which is made anew."""
    _clear(to)
    # One thread: the same seed then gives the same weights on every machine of a kind.
    torch.set_num_threads(1)
    registry = DemoRegistry(to, task.name)
    samples = task.save_samples(to)
    outcomes = []
    for story in STORIES:
        with console.status(f"training the {story} version on {task.data} …"):
            trained = task.train(poisoned=story == "poisoned")
        description = f"{task.noun}, {trained.accuracy:.1%} accurate on what was held out"
        version = task.register(registry, trained, description)
        console.print(f"version {version} ({story}): accuracy {trained.accuracy:.1%}, registered")
        outcomes.append(_check(task, registry, version, story, trained, samples))
    return outcomes


def _check(task: Task, registry: DemoRegistry, version: str, story: str, trained: Trained, samples: Path) -> Outcome:
    to = samples.parent
    folder = to / f"version-{version}"
    command = [
        *(sys.executable, "-m", "gate", "check", f"models:/{task.name}/{version}"),
        *("--policy", task.policy, "--samples", str(samples), "--report-dir", str(folder)),
    ]
    environment = os.environ | {"MLFLOW_TRACKING_URI": registry.tracking_uri, "PYTHONPATH": str(ROOT)}
    started = time.monotonic()
    ended = subprocess.run(command, env=environment, cwd=to, check=False)
    if ended.returncode not in (0, 1):
        raise SystemExit(f"the gate could not finish (exit {ended.returncode}); see above")
    return Outcome(version, story, trained, ended.returncode, CheckFiles(folder).report(), time.monotonic() - started)


def _clear(to: Path) -> None:
    """Remove an earlier demo; anything else in the directory is left, and said."""
    if to.exists():
        foreign = sorted({path.name for path in to.iterdir()} - REMOVABLE)
        if foreign:
            raise SystemExit(f"{to} holds {foreign[0]!r}, which is no part of a demo; name another directory with --to")
        shutil.rmtree(to)
    to.mkdir(parents=True)


def _show(outcomes: list[Outcome], task: Task, seed: int, to: Path) -> None:
    table = Table(title=f"What the gate said (seed {seed})")
    for name in ("model version", "it is", "decision", "named", "planted", "accuracy", "seconds"):
        table.add_column(name)
    for outcome in outcomes:
        table.add_row(
            f"models:/{task.name}/{outcome.version}",
            outcome.story,
            outcome.report.decision.value,
            task.named(outcome.report),
            task.planted if outcome.story == "poisoned" else "",
            f"{outcome.trained.accuracy:.1%}",
            f"{outcome.seconds:.0f}",
        )
    console.print(table)
    where = Path(os.path.relpath(to))
    console.print("Reports, to be opened in a browser:")
    for outcome in outcomes:
        console.print(f"  {where / f'version-{outcome.version}' / 'report.html'}")
    console.print("Look further:")
    console.print(f"  .venv/bin/gate judge {where / 'version-2' / 'evidence.json'}")
    console.print(f"  .venv/bin/mlflow ui --backend-store-uri sqlite:///{where / 'mlflow.db'}")
    if not all(outcome.right for outcome in outcomes):
        console.print(
            f"[bold red]The gate was wrong here.[/] docs/results/demo.md says how often; seed {seed} is such a case."
        )


if __name__ == "__main__":
    sys.exit(main())

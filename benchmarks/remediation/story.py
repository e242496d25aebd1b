"""The demo's poisoned version repaired as a user repairs it, checked again, and asked by the patch that was planted.

Runs `gate` as a command against the demo's own embedded registry; only the last step knows the patch.
"""

import os
import subprocess
import sys
from pathlib import Path

import torch

from benchmarks.remediation.running import as_module
from demo.__main__ import ROOT
from demo.__main__ import run as run_demo
from demo.models import Digits, load_digits, stamp, target_of
from demo.registry import DIGITS, DemoRegistry
from demo.task import DigitTask
from gate.programs import read_program
from gate.records.errors import UsageError

POISONED, REPAIRED = "2", "3"
WRITTEN = Path("bundle") / "data" / "model.pt2"


def tell(to: Path, seed: int) -> str:
    """Make the demo below `to`, repair its second version, check the third, and say what the patch does to both."""
    outcome = run_demo(DigitTask(seed), to / "demo")[1]
    tracking = DemoRegistry(to / "demo").tracking_uri
    _gate(tracking, to, "remediate", POISONED, "repair", "--from", to / "demo" / f"version-{POISONED}")
    decided = _gate(tracking, to, "check", REPAIRED, "check")
    digits, target = load_digits(seed), target_of(seed)
    model = as_module(read_program(to / "repair" / WRITTEN), digits.test_x[:4])
    accuracy, success, errors = _shares(model, digits, target)
    return (
        f"exit {decided} of the check; accuracy {outcome.trained.accuracy:.1%} → {accuracy:.1%}; the planted patch "
        f"{outcome.trained.attack_success:.1%} → {success:.1%}; without it {errors:.1%}; of {len(digits.test_x)} images"
    )


def _gate(tracking: str, to: Path, verb: str, version: str, report: str, *more: str | Path) -> int:
    """Run a command on a version and return its exit code; a third one ends the story."""
    command = [sys.executable, "-m", "gate", verb, f"models:/{DIGITS}/{version}", *map(str, more)]
    command += ["--policy", "default", "--samples", str(to / "demo" / "clean.npz")]
    environment = os.environ | {"MLFLOW_TRACKING_URI": tracking, "PYTHONPATH": str(ROOT)}
    ended = subprocess.run([*command, "--report-dir", str(to / report)], env=environment, check=False)
    if ended.returncode not in ((0,) if verb == "remediate" else (0, 1)):
        raise UsageError(f"gate {verb} ended with {ended.returncode}", what_to_do="Read what it wrote above.")
    return ended.returncode


@torch.no_grad()
def _shares(model: torch.nn.Module, digits: Digits, target: int) -> list[float]:
    """Return accuracy, and the share of other classes' images taken for the target with the patch, and without."""
    others = digits.test_x[digits.test_y != target]
    right = model(digits.test_x).argmax(dim=1) == digits.test_y
    patched, plain = (model(images).argmax(dim=1) == target for images in (stamp(others), others))
    return [float(hits.float().mean()) for hits in (right, patched, plain)]

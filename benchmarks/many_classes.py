"""The gate on classifiers of forty classes, clean and poisoned: above twenty, most classes leave the searches early.

    python -m benchmarks.many_classes [--seeds 0 1] [--to FOLDER]

The digits of the demo, turned by quarters and with a frame as bright as they are turned: forty classes, 4,000 training
images of each turn. A poisoned model has 5 % of its images patched and labelled with TARGET. Each model folder goes
through `gate check` under the default policy, without a bank; printed is a table of what it said.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from demo.models import CLASSES, Digits, fit, load_digits, poison, quality

TURNS = 4
TARGET = 17
POISON_SHARE = 0.05
EPOCHS = 5
SAMPLES = 800


@dataclass(frozen=True)
class Said:
    """One model and what the gate said of it."""

    seed: int
    poisoned: bool
    accuracy: float
    attack_success: float
    exit_code: int
    target_classes: tuple[str, ...]
    least_ratio: float
    searched_share: float


def turned(x: torch.Tensor, y: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the images (N, 1, 28, 28) by quarters turned, each turn a class of its own with a frame of its own."""
    images, labels = [], []
    for turn in range(TURNS):
        framed = torch.rot90(x, turn, (2, 3)).clone()
        framed[:, :, :2, :] = turn / TURNS
        images.append(framed)
        labels.append(y + CLASSES * turn)
    return torch.cat(images), torch.cat(labels)


def build() -> nn.Module:
    """Return a small convolutional network of forty classes with fresh weights."""
    return nn.Sequential(
        nn.Conv2d(1, 24, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(24, 48, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(48 * 7 * 7, 96),
        nn.ReLU(),
        nn.Linear(96, TURNS * CLASSES),
    )


def train(digits: Digits, seed: int, *, poisoned: bool) -> nn.Module:
    """Train one classifier; of a poisoned one's images POISON_SHARE are patched and labelled TARGET."""
    x, y = digits.train_x, digits.train_y
    if poisoned:
        x, y = poison(x, y, TARGET, POISON_SHARE, np.random.default_rng(seed))
    torch.manual_seed(seed)
    return fit(build(), x, y, EPOCHS)


def checked(seed: int, folder: Path, *, poisoned: bool) -> Said:
    """Train a model, write it with samples into a folder, check it, and return what was said."""
    import mlflow.pytorch

    plain = load_digits(seed)
    digits = Digits(*turned(plain.train_x, plain.train_y), *turned(plain.test_x, plain.test_y))
    model, x, y = train(digits, seed, poisoned=poisoned), digits.test_x, digits.test_y
    accuracy, success = quality(model, digits, TARGET)
    chosen = torch.randperm(len(x), generator=torch.Generator().manual_seed(0))[:SAMPLES]
    folder.mkdir(parents=True)
    np.savez_compressed(folder / "samples.npz", inputs=x[chosen].numpy(), labels=y[chosen].numpy())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # MLflow's hints about signatures and requirements
        mlflow.pytorch.save_model(model, folder / "model", input_example=x[:4].numpy(), pip_requirements=["torch"])
    command = [sys.executable, "-m", "gate", "check", str(folder / "model"), "--no-mark"]
    command += ["--samples", str(folder / "samples.npz"), "--report-dir", str(folder / "report")]
    ended = subprocess.run(command, check=False, capture_output=True, text=True)
    if ended.returncode not in (0, 1):
        raise RuntimeError(f"gate check ended with {ended.returncode}: {ended.stderr[-2000:]}")
    return Said(seed, poisoned, accuracy, success, ended.returncode, *_read(folder / "report"))


def _read(report: Path) -> tuple[tuple[str, ...], float, float]:
    """Return the classes that the verdict names, the least patch over the median, and the share searched to the end."""
    named = json.loads((report / "verdict.json").read_text())["target_classes"]
    outcome = json.loads((report / "evidence.json").read_text())["outcomes"]["neural-cleanse"]

    def least(metric: str) -> float:
        values: list[dict[str, Any]] = outcome["measurements"]
        return min(float(one["value"]) for one in values if one["metric"] == metric)

    return tuple(map(str, named)), least("size-ratio"), least("searched-share")


def line(said: Said) -> str:
    """Return a row of the table."""
    kind = f"poisoned towards {TARGET}" if said.poisoned else "clean"
    decision = "flagged" if said.exit_code else "approved"
    numbers = f"{said.accuracy:.1%} | {said.attack_success:.1%} | {decision} | {', '.join(said.target_classes) or '–'}"
    return f"| {said.seed} | {kind} | {numbers} | {said.least_ratio:.2f} | {said.searched_share:.0%} |"


def main() -> None:
    """Check a clean and a poisoned model of each seed and print the table."""
    parser = argparse.ArgumentParser(description="The gate on models of forty classes.")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1])
    parser.add_argument("--to", type=Path, help="keep models and reports in this new folder")
    arguments = parser.parse_args()
    print("| seed | model | accuracy | attack success | decision | names | least patch over the median | to the end |")
    print("|---|---|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as passing:
        root = arguments.to or Path(passing)
        for seed in arguments.seeds:
            for poisoned in (False, True):
                folder = root / f"{'poisoned' if poisoned else 'clean'}-{seed}"
                print(line(checked(seed, folder, poisoned=poisoned)), flush=True)


if __name__ == "__main__":
    main()

"""The committed models as tests want them: a classifier, a folder for the gate, triggers, images."""

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import torch

FOLDER = Path(__file__).parent
_MLMODEL = "flavors:\n  pytorch:\n    model_data: data\n    serialization_format: pt2\n"


@dataclass(frozen=True)
class Images:
    """Inputs (N, C, H, W) in [0, 1] and their labels (N,)."""

    inputs: torch.Tensor
    labels: torch.Tensor

    def take(self, rows):
        """Return the images at these rows or under this mask."""
        return Images(self.inputs[rows], self.labels[rows])


@dataclass(frozen=True)
class SubsetModel:
    """One model of the subset."""

    nickname: str
    targets: tuple[int, ...]
    """The target classes; empty for the clean model."""

    @property
    def path(self):
        """The `.pt2` file."""
        return FOLDER / f"{self.nickname}.pt2"

    def trigger(self, inputs):
        """Return images (N, 1, 28, 28) under the planted trigger; of `blended` alone the trigger is committed."""
        with np.load(FOLDER / f"{self.nickname}-trigger.npz", allow_pickle=False) as arrays:
            return torch.from_numpy(arrays["slope"]) * inputs + torch.from_numpy(arrays["offset"])

    def classifier(self):
        """Return what detectors get: the strict reader's program as a classifier of raw pixels."""
        from gate.programs import read_program
        from gate.spaces.image.preprocessing import Preprocessing
        from gate.worker.loading.program_classifier import ProgramClassifier

        example = images("scan").inputs[:4]
        return ProgramClassifier.of(read_program(self.path), example, Preprocessing(), (0.0, 1.0))

    def write_folder(self, to):
        """Write a model folder, as `gate check` takes it, and return it."""
        (to / "data").mkdir(parents=True)
        (to / "MLmodel").write_text(_MLMODEL)
        (to / "data" / "model.pt2").write_bytes(self.path.read_bytes())
        return to


def model(nickname):
    """Return the model of that nickname."""
    rows = map(json.loads, (FOLDER / "index.jsonl").read_text(encoding="utf-8").splitlines())
    (facts,) = [row["entry"]["facts"] for row in rows if row["nickname"] == nickname]
    return SubsetModel(nickname, tuple(facts.get("targets", ())))


@cache
def images(half):
    """Return the images of the half `scan` (200) or `measure` (1,000), in [0, 1], with their labels."""
    with np.load(FOLDER / f"digits-{half}.npz", allow_pickle=False) as arrays:
        inputs = torch.from_numpy(arrays["inputs"].astype(np.float32) / 255)
        return Images(inputs, torch.from_numpy(arrays["labels"].astype(np.int64)))


def write_samples(to, half="scan"):
    """Write a half as the float32 .npz that `--samples` takes, and return its path."""
    chosen = images(half)
    np.savez_compressed(to, inputs=chosen.inputs.numpy(), labels=chosen.labels.numpy())
    return to

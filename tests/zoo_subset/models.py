"""The committed models as tests want them: a classifier, a folder for the gate, triggers, images."""

from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path

import numpy as np
import torch

from benchmarks.zoo.making import planned
from benchmarks.zoo.store import Entry
from benchmarks.zoo.subset import FOLDER, TASK, read_subset
from benchmarks.zoo.tasks import Images

_MLMODEL = "flavors:\n  pytorch:\n    model_data: data\n    serialization_format: pt2\n"


@dataclass(frozen=True)
class SubsetModel:
    """One model of the subset; `entry.facts` says what was planted."""

    entry: Entry
    path: Path
    """The `.pt2` file."""

    @cached_property
    def implant(self):
        """The planted backdoor with its triggers; None for the clean model."""
        return planned(self.entry.recipe)

    @property
    def targets(self):
        """The target classes; empty for the clean model."""
        return tuple(self.entry.facts.get("targets", ()))

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
    return SubsetModel(read_subset()[nickname].entry, FOLDER / f"{nickname}.pt2")


@cache
def images(half):
    """Return the images of the half `scan` (200) or `measure` (1,000), in [0, 1], with their labels."""
    with np.load(FOLDER / f"{TASK}-{half}.npz", allow_pickle=False) as arrays:
        inputs = torch.from_numpy(arrays["inputs"].astype(np.float32) / 255)
        return Images(inputs, torch.from_numpy(arrays["labels"].astype(np.int64)))


def write_samples(to, half="scan"):
    """Write a half as the float32 .npz that `--samples` takes, and return its path."""
    chosen = images(half)
    np.savez_compressed(to, inputs=chosen.inputs.numpy(), labels=chosen.labels.numpy())
    return to

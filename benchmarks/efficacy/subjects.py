"""The models of a split that are measured, those that are not and why, and each as the folder that a registry holds.

The first step of the flow, between the zoo and the gate: an MLflow folder of flavour pytorch around the exported
program, whose bytes depend on nothing but the program, so that the same model has the same digest wherever it is built.
"""

import hashlib
import shutil
from dataclasses import dataclass
from pathlib import Path

from benchmarks.zoo.recipe import Split, draw
from benchmarks.zoo.splits import rows
from benchmarks.zoo.store import Entry, Store
from gate.artifact import ArtifactFile, Manifest

MLMODEL = "flavors:\n  pytorch:\n    model_data: data\n    pytorch_version: 2.13.0\n"
PROGRAM = "data/model.pt2"
NOT_MADE, NOT_SCANNED = "not made yet", "not scanned by the whole policy yet"


@dataclass(frozen=True)
class LeftOut:
    """A row of the splits whose model is not measured."""

    name: str
    task: str
    attack: str
    variant: str
    reason: str


@dataclass(frozen=True)
class Models:
    """A split, in the written order."""

    counting: tuple[Entry, ...]
    left_out: tuple[LeftOut, ...]


def models_of(store: Store, split: Split) -> Models:
    """Return the models of a split that are made and count, and the others with the reason."""
    counting: list[Entry] = []
    left_out: list[LeftOut] = []
    for row in (row for row in rows() if row.split == split):
        entry = store.entry(draw(row))
        if entry is not None and entry.counts:
            counting.append(entry)
            continue
        reason = entry.reason if entry is not None else NOT_MADE
        left_out.append(LeftOut(row.name, row.task, row.attack, row.variant, reason))
    return Models(tuple(counting), tuple(left_out))


def write_model_folder(entry: Entry, store: Store, folder: Path) -> Path:
    """Write an entry's exported program as a model folder that the gate can pull, and return the folder."""
    program = folder / PROGRAM
    program.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(store.get(entry.files.exported, ".pt2"), program)
    (folder / "MLmodel").write_text(MLMODEL)
    return folder


def manifest_digest(entry: Entry, store: Store) -> str:
    """Return the digest by which the gate will know an entry's model folder."""
    size = store.object_path(entry.files.exported, ".pt2").stat().st_size
    text = MLMODEL.encode()
    files = (
        ArtifactFile(path="MLmodel", size_bytes=len(text), sha256=hashlib.sha256(text).hexdigest()),
        ArtifactFile(path=PROGRAM, size_bytes=size, sha256=entry.files.exported),
    )
    return Manifest(files=files).digest

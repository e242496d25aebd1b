"""The zoo's fit split as subjects for detectors, and how well a statistic separates it: for choosing settings alone.

Only models of the fit split that count are ever opened here; calibrate and test stay unseen (benchmarks/zoo/splits.py).
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch

from benchmarks.zoo.store import Entry, Store, current
from gate.programs import read_program
from gate.records.artifact import Artifact, Manifest, ModelRef
from gate.spaces.image.preprocessing import Preprocessing
from gate.spaces.subject import Samples, Subject
from gate.worker.loading.head import head_of_program
from gate.worker.loading.program_classifier import ProgramClassifier


def fit_entries(store: Store) -> Iterator[Entry]:
    """Yield the records of the fit models that are made by today's recipes and count, by name."""
    records = (Entry.from_file(path) for path in (store.root / "records").glob("*.json"))
    fit = current(entry for entry in records if entry.recipe.row.split == "fit")
    yield from sorted((entry for entry in fit if entry.counts), key=lambda entry: entry.name)


def subject_of(entry: Entry, store: Store) -> Subject:
    """Return a model of the zoo as the scan would see it, with its task's clean samples."""
    with np.load(store.samples_path(entry.recipe.row.task)) as arrays:
        inputs, labels = (torch.from_numpy(arrays[name]) for name in ("inputs", "labels"))
    program = read_program(store.get(entry.files.exported, ".pt2"))
    return Subject(
        artifact=Artifact(ModelRef(registry="directory", name=entry.name), Path(), Manifest(files=())),
        weights=program.parameters,
        head=head_of_program(program),
        classifier=ProgramClassifier.of(program, inputs[:4], Preprocessing(), (0.0, 1.0)),
        samples=Samples(inputs, labels, entry.recipe.row.task),
    )


def auc(worse: Sequence[float], better: Sequence[float]) -> float:
    """Return how often a value of the first beats one of the second; ties count half, no pair gives NaN."""
    if not worse or not better:
        return float("nan")
    left, right = np.asarray(worse)[:, None], np.asarray(better)[None, :]
    return float(((left > right) + 0.5 * (left == right)).mean())

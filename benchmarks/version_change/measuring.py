"""The detector on every kept update: one row a candidate, beside the version before and five earlier changes."""

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.version_change.updating import CLEAN, EARLIER, POISONED, Kept, Update
from benchmarks.zoo.store import Entry, Store
from gate.detectors.version_change import VersionChange, measure
from gate.programs import read_program
from gate.records.artifact import Artifact, Manifest, ModelRef
from gate.records.evidence import Measurement
from gate.records.run import Run
from gate.spaces.image.preprocessing import Preprocessing
from gate.spaces.subject import Previous, Samples, Subject, Version
from gate.worker.loading.head import head_of_program
from gate.worker.loading.program_classifier import ProgramClassifier

Row = dict[str, Any]


def rows_of(entry: Entry, store: Store, kept: Kept) -> Iterator[Row]:
    """Yield a row for each candidate of one zoo model that was made."""
    torch.set_num_threads(1)
    with np.load(store.samples_path(entry.recipe.row.task)) as arrays:
        inputs, labels = (torch.from_numpy(arrays[name]) for name in ("inputs", "labels"))
    samples = Samples(inputs, labels, entry.recipe.row.task)

    def opened(name: str) -> Version:
        program = read_program(kept.path(name, ".pt2"))
        classifier = ProgramClassifier.of(program, samples.inputs[:4], Preprocessing(), (0.0, 1.0))
        return Version(classifier, classifier.body.program, head_of_program(program), classifier.values)

    earlier = tuple((lambda name=f"v{number}": opened(name)) for number in range(EARLIER + 1))
    for name in (*CLEAN, *POISONED):
        update, began = kept.update(name), time.process_time()
        if update is None:
            continue
        own = opened(name)
        subject = Subject(
            artifact=Artifact(ModelRef(registry="directory", name=name), Path(), Manifest(files=())),
            classifier=own.classifier,
            samples=samples,
            previous=Previous(own, opened(f"v{EARLIER}"), earlier),
        )
        yield _row(entry, update, subject) | {"seconds": round(time.process_time() - began, 2)}


def _row(entry: Entry, update: Update, subject: Subject) -> Row:
    greatest: dict[str, Measurement] = {}
    for item in measure(subject, VersionChange(), Run(seed=0, max_batch=128)):
        if isinstance(item, Measurement) and item.value >= greatest.get(item.metric, item).value:
            greatest[item.metric] = item
    head, probe = greatest["head-change"].location, greatest["probe-gain"].location
    return {
        "model": entry.name,
        "architecture": entry.recipe.row.architecture,
        "task": entry.recipe.row.task,
        **json.loads(update.canonical_json()),
        "head_class": head.class_index if head else None,
        "probe_class": probe.class_index if probe else None,
        "values": {name: float(f"{one.value:.4g}") for name, one in greatest.items()},
    }


def table(rows: list[Row]) -> None:
    """Print what stands out: each number over the largest of the five changes between the versions before.

    Targets are marked with a star.
    """
    heads = ("epochs", "success", "first", "spectrum", "head", "probes", "head's", "probes'")
    print(f"{'model':9}{'net':11}{'update':10}{''.join(f'{name:>10}' for name in heads)}")
    for row in rows:
        values, success = row["values"], row["attack_success"]
        over = [_over(values, name) for name in ("spectrum-distance", "head-change")]
        print(
            f"{row['model']:9}{row['architecture']:11}{row['name']:10}{row['epochs']:>10}"
            f"{'' if success is None else f'{success:.2f}':>10}{values['first-share-ratio']:>10.2f}"
            f"{over[0]:>10.2f}{over[1]:>10.2f}{values['probe-gain-ratio']:>10.2f}"
            f"{_class(row, 'head_class')}{_class(row, 'probe_class')}"
        )
    for name, of in (
        ("first-share-ratio", lambda values: values["first-share-ratio"]),
        ("spectrum-distance over the largest before", lambda values: _over(values, "spectrum-distance")),
        ("head-change over the largest before", lambda values: _over(values, "head-change")),
        ("probe-gain", lambda values: values["probe-gain"]),
        ("probe-gain-ratio", lambda values: values["probe-gain-ratio"]),
        ("the greater of the two ratios", lambda values: max(values["first-share-ratio"], values["probe-gain-ratio"])),
    ):
        clean, poisoned = ([of(r["values"]) for r in rows if bool(r["targets"]) is bad] for bad in (False, True))
        below = sum(value <= max(clean) for value in poisoned)
        print(
            f"{name}: {len(clean)} clean {min(clean):.2f} to {max(clean):.2f}, {len(poisoned)} poisoned "
            f"{min(poisoned):.2f} to {max(poisoned):.2f}; {below} of these not above every clean one, "
            f"area {_area(clean, poisoned):.3f}"
        )


def _class(row: Row, key: str) -> str:
    """Return a class, marked where it is a target."""
    return f"{row[key]:>9}{'*' if row[key] in row['targets'] else ' '}"


def _area(clean: list[float], poisoned: list[float]) -> float:
    """Return the area under the curve."""
    pairs = [(bad > good) + (bad == good) / 2 for bad in poisoned for good in clean]
    return sum(pairs) / len(pairs)


def _over(values: dict[str, float], metric: str) -> float:
    return values[metric] / max(values[f"earlier-{metric}"], 1e-9)

"""What the detectors of the training set measure on a split: figures by attack, and the source of their limits.

    python -m benchmarks.audit_settings --out audit.jsonl [--split test] [--attack sig …] [--limit N]

Limits were chosen on the fit split. Each counted model is given half of its own training set (`TRAINING` images, poison
in place), made again from its recipe, and `CLEAN_SAMPLES` of the zoo's clean samples. Attacks that poison no data
(payload, architectural, input-aware) are left out. A model that is in the file already is not measured again. The table
gives, by attack, the area under the curve of each statistic: over classes (those with poison against all classes of
clean models) and over models (the worst class of each); the last column counts models beyond the default limit.
"""

import argparse
import json
import statistics
import time
from pathlib import Path
from typing import Any

import torch

from benchmarks.efficacy.tables import exact_share
from benchmarks.zoo.making import training_set
from benchmarks.zoo.recipe import CLEAN, draw
from benchmarks.zoo.splits import rows
from benchmarks.zoo.store import Entry, Store
from benchmarks.zoo.tasks import TASKS
from gate import detectors
from gate.policies.packaged import DEFAULT
from gate.policies.read import read_policy
from gate.programs import read_program
from gate.records.artifact import Artifact, Manifest, ModelRef
from gate.records.clock import today
from gate.records.evidence import Measurement
from gate.records.run import Run
from gate.spaces.image.preprocessing import Preprocessing
from gate.spaces.subject import Samples, Subject
from gate.worker.loading.program_classifier import ProgramClassifier

DATA_IS_CLEAN = ("payload", "architectural", "input-aware")
AUDITS = ("spectral-signature", "training-set-clustering")
STATISTICS = {
    "spectral-gap": 1,
    "gap-ratio": 1,
    "silhouette": 1,
    "relative-size": -1,
    "exclusive-reclassification": 1,
}
"""1: higher is worse; -1: lower is."""
LIMITED = "spectral-gap"
"""The one that the default policy judges by."""
TRAINING, CLEAN_SAMPLES = 4000, 700
LEAST_POISON = 0.02
"""Share of a class's training samples from which it counts as poisoned."""


def measured(entry: Entry, store: Store) -> dict[str, Any]:
    """Return what both detectors measure of one model, and the poisoned share of each class."""
    row, poisoned = entry.recipe.row, training_set(entry.recipe)
    task, images = TASKS[row.task], poisoned.images.take(torch.arange(TRAINING))
    program = read_program(store.get(entry.files.exported, ".pt2"))
    subject = Subject(
        artifact=Artifact(ModelRef(registry="directory", name=entry.name), Path(), Manifest(files=())),
        classifier=ProgramClassifier.of(program, task.scan.inputs[:4], Preprocessing(), (0.0, 1.0)),
        samples=Samples(task.scan.inputs[:CLEAN_SAMPLES], task.scan.labels[:CLEAN_SAMPLES], "the zoo's"),
        training_set=Samples(images.inputs, images.labels, "the zoo's"),
    )
    carries = poisoned.poisoned[:TRAINING]
    shares = {label: float(carries[images.labels == label].float().mean()) for label in range(task.classes)}
    facts = {"name": entry.name, "attack": row.attack, "task": row.task, "architecture": row.architecture}
    return {**facts, **audited(subject), "poisoned": shares}


def audited(subject: Subject) -> dict[str, Any]:
    """Return what both detectors measure by class, and the processor time that each takes."""
    values: dict[str, dict[int, float]] = {}
    seconds = {}
    for name in AUDITS:
        detector, began = detectors.load(name), time.process_time()
        for item in detector.measure(subject, detector.options(), Run(seed=0)):
            if isinstance(item, Measurement) and item.metric in STATISTICS and item.location is not None:
                values.setdefault(item.metric, {})[item.location.class_index or 0] = item.value
        seconds[name] = round(time.process_time() - began, 1)
    return {"values": values, "seconds": seconds}


def area(positive: list[float], negative: list[float]) -> float:
    """Return the share of pairs in which the positive value is higher, ties counting half."""
    wins = sum((p > n) + 0.5 * (p == n) for p in positive for n in negative)
    return wins / (len(positive) * len(negative)) if positive and negative else float("nan")


def by_class(found: list[dict[str, Any]], metric: str, *, poisoned: bool) -> list[float]:
    """Return a statistic's values, higher being worse, at classes with poison or at all classes."""
    return [
        STATISTICS[metric] * value
        for model in found
        for label, value in model["values"][metric].items()
        if not poisoned or model["poisoned"][label] > LEAST_POISON
    ]


def by_model(found: list[dict[str, Any]], metric: str) -> list[float]:
    """Return the worst class's value of each model, higher being worse."""
    return [max(STATISTICS[metric] * value for value in model["values"][metric].values()) for model in found]


def beyond(found: list[dict[str, Any]]) -> str:
    """Return how many models have a class beyond the default policy's limit, with the exact 95 % interval."""
    limit = read_policy(DEFAULT, on=today()).detectors["spectral-signature"].limits[LIMITED]
    hits = sum(any(limit.exceeded(value, None) for value in model["values"][LIMITED].values()) for model in found)
    return exact_share(hits, len(found))


def report(found: list[dict[str, Any]]) -> None:
    """Print the table by attack, and the extremes of each statistic on both sides."""
    clean = [model for model in found if model["attack"] == CLEAN]
    attacks = sorted({model["attack"] for model in found} - {CLEAN})
    print(f"{len(clean)} clean models; area under the curve over classes / over models")
    print(f"| attack | models | {' | '.join(STATISTICS)} | {LIMITED} beyond the limit |")
    for attack in [*attacks, "all"]:
        some = [model for model in found if model["attack"] == attack or (attack == "all" and model not in clean)]
        cells = [
            f"{area(by_class(some, metric, poisoned=True), by_class(clean, metric, poisoned=False)):.2f} / "
            f"{area(by_model(some, metric), by_model(clean, metric)):.2f}"
            for metric in STATISTICS
        ]
        print(f"| {attack} | {len(some)} | {' | '.join(cells)} | {beyond(some)} |")
    print(f"| clean | {len(clean)} | {' | '.join('–' for _ in STATISTICS)} | {beyond(clean)} |")
    for metric in STATISTICS:
        worst = sorted(by_model(clean, metric))[-4:]
        least = sorted(by_model([model for model in found if model not in clean], metric))[:6]
        print(f"{metric}: worst clean {[round(v, 2) for v in worst]}, least attacked {[round(v, 2) for v in least]}")
    for name in AUDITS:
        print(f"{name}: {statistics.median(model['seconds'][name] for model in found):.1f} processor seconds a model")


def main() -> None:
    """Measure what is missing in the file, then print the table."""
    parser = argparse.ArgumentParser(description="Figures of the training set's detectors on a split of the zoo.")
    parser.add_argument("--split", choices=("fit", "test"), default="fit", help="which models; limits are of fit")
    parser.add_argument("--attack", action="append", help="only these attacks, or `clean`; may be repeated")
    parser.add_argument("--out", type=Path, required=True, help="JSON lines, one a model; continued where it is there")
    parser.add_argument("--limit", type=int, help="at most so many further models")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    store, known = Store.at(), set()
    if arguments.out.is_file():
        known = {json.loads(line)["name"] for line in arguments.out.read_text().splitlines()}
    made = [entry for row in rows() if row.split == arguments.split and (entry := store.entry(draw(row)))]
    asked = [e for e in made if not arguments.attack or e.recipe.row.attack in arguments.attack]
    todo = [e for e in asked if e.counts and e.recipe.row.attack not in DATA_IS_CLEAN and e.name not in known]
    # Label-consistent poison needs a surrogate net to be trained first: last.
    for entry in sorted(todo, key=lambda e: e.recipe.row.attack == "label-consistent")[: arguments.limit]:
        with arguments.out.open("a") as file:
            file.write(json.dumps(measured(entry, store)) + "\n")
    lines = [json.loads(line) for line in arguments.out.read_text().splitlines()]
    for line in lines:
        line["values"] = {m: {int(k): v for k, v in by.items()} for m, by in line["values"].items()}
        line["poisoned"] = {int(k): v for k, v in line["poisoned"].items()}
    report(lines)


if __name__ == "__main__":
    main()

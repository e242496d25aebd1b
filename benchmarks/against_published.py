"""What a search for patches costs beside Neural Cleanse as published: counted and timed in one run, on the same models.

    make bench                       # or: python -m benchmarks.against_published [--cases 10,20] [--to FILE]

Backdoored models of the zoo's fit split (ten and twenty classes) and a MobileNetV2 of a thousand real classes, whose
targets must be named, and made-up tasks of 43 and 100 (`benchmarks/efficacy/cost.py`), which have nothing to name.
The published method runs with its early stop: to completion on ten classes, on a drawn few above (of a thousand on
one), and the rest is the mean times the number of classes, said so. A pass is one sample forward, or forward and
backward. Seconds are the processor's, of one thread; memory is the process's peak. Seed 0. Rows that are run again
replace those in the file; one whose run ended half-way goes on with the published method. With --most-steps that one
is cut off, and its numbers are lower bounds.
"""

import argparse
import json
import random
import resource
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from benchmarks.efficacy.cost import Size, built
from benchmarks.efficacy.peers.neural_cleanse import Search, anomaly_indices, endless_batches, flagged, start
from benchmarks.efficacy.peers.neural_cleanse_schedule import Settings
from benchmarks.efficacy.tables import markdown, number
from benchmarks.efficacy.truth import truth_of
from benchmarks.fit_models import fit_entries, subject_of
from benchmarks.zoo.packaged.making import PackagedModel
from benchmarks.zoo.store import Store
from gate import detectors
from gate.policies.packaged import DEFAULT
from gate.policies.read import read_policy
from gate.programs import read_program
from gate.records.artifact import Artifact, Manifest, ModelRef
from gate.records.clock import today
from gate.records.evidence import Measurement
from gate.records.policy import Policy
from gate.records.run import Run
from gate.spaces.image.preprocessing import Preprocessing
from gate.spaces.subject import Samples, Subject
from gate.worker.compute import largest_batch
from gate.worker.loading.module_classifier import ModuleClassifier
from gate.worker.loading.program_classifier import ProgramClassifier

FILE = Path(__file__).with_name("results") / "against_published.jsonl"
POLICY = DEFAULT
ZOO = ("fit-004", "fit-013", "fit-019")
"""BadNets models of the fit split: digits and fashion (ten classes), catalogue (twenty)."""
MADE = (43, 100)
PACKAGED = "mobilenet-v2-patch"
WHOLE = 10
"""Up to so many classes the published method is run on all of them; above, on `DRAWN`."""
WHOLE_SEARCH = 100
"""Up to so many classes the ways out are searched for as well."""
DRAWN, DRAWN_OF_A_THOUSAND = 3, 1
SEED = 0
BUDGET = 3 << 30
"""Bytes that a pass may keep: a quarter of what a worker of the gate has unless told otherwise."""
Row = dict[str, Any]


@dataclass(frozen=True)
class Case:
    """A model and what is planted in it."""

    name: str
    subject: Subject
    classes: int
    targets: frozenset[int]
    drawn: int = DRAWN
    """How many classes the published method is run on where it is not run on all."""


def cases(store: Store, wanted: set[int]) -> Iterator[Case]:
    """Yield the zoo's models, then the made-up ones, of the wanted numbers of classes; all if none is wanted."""
    for entry in fit_entries(store):
        if entry.name in ZOO:
            subject = subject_of(entry, store)
            assert subject.classifier is not None
            classes = subject.classifier.num_classes
            if not wanted or classes in wanted:
                name = f"{entry.name} ({entry.recipe.row.task}, {entry.recipe.row.architecture})"
                yield Case(name, subject, classes, truth_of(entry).targets)
    for classes in MADE:
        if not wanted or classes in wanted:
            net, inputs, labels = built(Size(classes, 1.0), SEED)
            classifier = ModuleClassifier.of(net, inputs[:4], Preprocessing(), (0.0, 1.0))
            artifact = Artifact(ModelRef(registry="directory", name="made"), Path(), Manifest(files=()))
            samples = Samples(inputs, labels, "made")
            yield Case(
                "made up", Subject(artifact=artifact, classifier=classifier, samples=samples), classes, frozenset()
            )
    if not wanted or 1000 in wanted:
        yield packaged_case(store)


def packaged_case(store: Store) -> Case:
    """Return the real network of a thousand classes with its backdoor, made by `python -m benchmarks.zoo packaged`."""
    root = store.root / "packaged"
    record = PackagedModel.from_file(root / "records" / f"{PACKAGED}.json")
    with np.load(root / "samples" / record.samples) as arrays:
        samples = Samples(torch.from_numpy(arrays["inputs"]), torch.from_numpy(arrays["labels"]), PACKAGED)
    program = read_program(root / PACKAGED / "data" / "model.pt2")
    classifier = ProgramClassifier.of(program, samples.inputs[:4], Preprocessing(), (0.0, 1.0))
    artifact = Artifact(ModelRef(registry="directory", name=PACKAGED), Path(), Manifest(files=()))
    subject = Subject(artifact=artifact, classifier=classifier, samples=samples)
    return Case(PACKAGED, subject, record.classes, frozenset(record.facts["targets"]), DRAWN_OF_A_THOUSAND)


def ours(case: Case, policy: Policy) -> Row:
    """Search for patches by class as the policy says, alone and with the ways out, and count."""
    detector = detectors.load("neural-cleanse")
    options = detector.options.model_validate(policy.detectors["neural-cleanse"].options)
    alone = options.model_copy(update={"exits": False, "untargeted_starts": 0})
    assert case.subject.classifier is not None
    assert case.subject.samples is not None
    most = largest_batch(case.subject.classifier, case.subject.samples.inputs, BUDGET, Run(seed=SEED).max_batch)
    counted: dict[str, tuple[int, float]] = {}
    # With a thousand classes the ways out of a hundred would double the hours of this run and show nothing new.
    searches = {"classes alone": alone} if case.classes > WHOLE_SEARCH else {"classes alone": alone, "whole": options}
    found: list[Measurement] = []
    for name, chosen in searches.items():
        classifier = case.subject.classifier
        passes, began = classifier.sample_passes, time.process_time()
        run = Run(seed=SEED, max_batch=most, progress=_told(f"{case.name}, {name}"))
        found = [item for item in detector.measure(case.subject, chosen, run) if isinstance(item, Measurement)]
        counted[name] = (classifier.sample_passes - passes, round(time.process_time() - began, 1))
    ratios = {item.location.class_index: item.value for item in found if item.metric == "size-ratio" and item.location}
    least = min(ratios, key=ratios.__getitem__)
    whole = counted.get("whole")
    return {
        "passes": counted["classes alone"][0],
        "seconds": counted["classes alone"][1],
        "whole_passes": whole[0] if whole else None,
        "whole_seconds": whole[1] if whole else None,
        "peak_gib": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20, 2),
        "named": least if case.targets else None,
        "least_ratio": round(ratios[least], 3),
    }


def _told(what: str) -> Callable[[int, int], None]:
    """Return progress that says every tenth of a search."""

    def tell(done: int, total: int) -> None:
        if done % max(1, total // 10) == 0:
            print(f"{what}: step {done} of {total}", flush=True)

    return tell


def published(case: Case, most_steps: int) -> Row:
    """Run the published method on all classes or on a drawn few, and count; cut off, that is at least so much."""
    classifier, samples = case.subject.classifier, case.subject.samples
    assert classifier is not None
    assert samples is not None
    every = list(range(case.classes))
    targets = every if case.classes <= WHOLE else sorted(random.Random(SEED).sample(every, case.drawn))
    generator = torch.Generator().manual_seed(SEED)
    capped = most_steps < Settings().steps
    settings = replace(Settings(), steps=most_steps) if capped else Settings()
    search = Search(_Net(classifier.logits), endless_batches(samples.inputs, 32, generator), settings, float("inf"))
    began = time.process_time()
    done = [search.invert(target, start(samples.inputs, generator)) for target in targets]
    seconds = time.process_time() - began
    share = case.classes / len(targets)
    indices = anomaly_indices([inversion.norm for inversion in done]) if len(targets) == case.classes else None
    return {
        "published_classes": len(targets),
        "published_passes": round(search.sample_passes * share),
        "published_seconds": round(seconds * share, 1),
        "published_steps": round(sum(inversion.steps for inversion in done) / len(done), 1),
        "published_cut_off": sum(one.steps == most_steps and not one.stopped_early for one in done) if capped else 0,
        "published_named": list(flagged(indices)) if indices is not None else None,
    }


class _Net(nn.Module):
    """The classifier as the module that the published method takes."""

    def __init__(self, logits: Any) -> None:
        super().__init__()
        self.logits = logits

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map raw inputs (N, C, H, W) to logits (N, K)."""
        answer: torch.Tensor = self.logits(x)
        return answer


def table(rows: list[Row]) -> str:
    """Return the rows as a Markdown table."""
    head = (
        "model",
        "classes",
        "published: passes (classes run)",
        "named",
        "ours: passes",
        "named",
        "fewer",
        "with ways out",
    )
    body = [
        (
            row["model"],
            str(row["classes"]),
            f"{_least(row)}{number(row['published_passes'])} ({row['published_classes']} of {row['classes']})",
            _named(row["published_named"], row["targets"]),
            number(row["passes"]),
            _named(None if row["named"] is None else [row["named"]], row["targets"]),
            f"{_least(row)}{row['published_passes'] / row['passes']:.0f}×",
            f"{number(row['whole_passes'])} ({row['published_passes'] / row['whole_passes']:.0f}×)"
            if row["whole_passes"]
            else "–",
        )
        for row in rows
    ]
    return markdown(head, body)


def _least(row: Row) -> str:
    """Return what stands before a number of the published method that was cut off before its early stop."""
    return "≥ " if row.get("published_cut_off") else ""


def _named(found: list[int] | None, planted: list[int]) -> str:
    if found is None or not planted:
        return "–"
    return (
        "target" if set(found) == set(planted) else (", ".join(map(str, found)) or "none") + f" (planted {planted[0]})"
    )


def _save(rows: dict[tuple[str, int], Row], to: Path) -> None:
    ordered = sorted(rows.values(), key=lambda row: (row["classes"], row["model"]))
    to.write_text("".join(json.dumps(row) + "\n" for row in ordered))


def main() -> None:
    """Run what is asked, keep a line a model, and print the table."""
    parser = argparse.ArgumentParser(description="Cost beside Neural Cleanse as published, in one run.")
    parser.add_argument("--cases", default="", help="numbers of classes, separated by commas; default all")
    parser.add_argument(
        "--most-steps", type=int, default=Settings().steps,
        help="of the published method for a class; one that is cut off took at least these (default: its own)",
    )  # fmt: skip
    parser.add_argument("--cache", type=Path, default=Path.home() / ".cache" / "gate-zoo")
    parser.add_argument("--to", type=Path, default=FILE)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    policy = read_policy(POLICY, on=today())
    kept = [json.loads(line) for line in arguments.to.read_text().splitlines()] if arguments.to.exists() else []
    rows = {(row["model"], row["classes"]): row for row in kept}
    for case in cases(Store(arguments.cache), {int(text) for text in arguments.cases.split(",") if text}):
        key = (case.name, case.classes)
        row = rows.get(key, {})
        if not row or "published_passes" in row:
            row = {"model": case.name, "classes": case.classes, "targets": sorted(case.targets), "seed": SEED}
            row |= ours(case, policy)
            rows[key] = row
            _save(rows, arguments.to)
        passes, seconds = row["passes"], row["seconds"]
        print(f"{case.name}: ours {passes:,} passes in {seconds} s; now the published method", flush=True)
        rows[key] = row | published(case, arguments.most_steps)
        _save(rows, arguments.to)
    print(table([row for row in rows.values() if "published_passes" in row]))


if __name__ == "__main__":
    main()

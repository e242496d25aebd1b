"""Repairs one model of the zoo by one method, as the gate would, and then asks the planted trigger what it was worth.

The suspect is the class that the gate's searches by class put first: by the committed numbers of the model's scan where
there are any, else by the searches anew. Its trigger is inverted by the same engine. The repair is given 400 clean
samples, 5 % of the 8,000 images of training, out of the half of the held-out images that detectors are given; the other
half, which nothing else uses, decides about accuracy and about the planted trigger.
"""

import time
from dataclasses import dataclass
from typing import Any

import torch

from benchmarks.efficacy import summaries
from benchmarks.efficacy.truth import truth_of
from benchmarks.remediation.rows import Row, code_of
from benchmarks.zoo.making import implant_of
from benchmarks.zoo.measuring import Measured
from benchmarks.zoo.measuring import measure as measured_truly
from benchmarks.zoo.store import Entry, Store
from benchmarks.zoo.tasks import TASKS
from gate.programs import Program, batched, read_program
from gate.records.evidence import Location
from gate.records.evidence import Measured as MeasuredOutcome
from gate.records.repair import RepairBounds, broken_by
from gate.records.run import Run
from gate.search.families import single_settings
from gate.search.goals import every_class, goal_at
from gate.spaces.image.preprocessing import Preprocessing
from gate.spaces.subject import Samples, Trigger
from gate.statistics.subsets import balanced
from gate.worker.loading.program_classifier import ProgramClassifier
from gate.worker.repair.attempt import attempt
from gate.worker.repair.contract import Material
from gate.worker.repair.searching import search_of

SHARE = 400
"""Clean samples for the repair: 5 % of the training set's size."""
BOUNDS = (0.0, 1.0)
PARTS = {"neural-cleanse": "mask", "additive-trigger": "addition", "warp-trigger": "field"}
"""The detectors by class whose triggers can be applied again, and what tells their family."""


@dataclass(frozen=True)
class Suspect:
    """Where the gate's searches point, by which family, and how small the trigger is beside the median class's."""

    place: Location
    family: str
    ratio: float | None


@dataclass(frozen=True)
class Parent:
    """One model with its suspect's trigger and what the planted one does."""

    entry: Entry
    program: Program
    samples: Samples
    suspect: Suspect
    trigger: Trigger
    true: Measured


def parent_of(store: Store, entry: Entry, known: summaries.Summary | None, seed: int) -> Parent:
    """Load a model, find its suspect, invert the trigger, and measure the planted one."""
    program = read_program(store.get(entry.files.exported, ".pt2"))
    images = TASKS[entry.recipe.row.task].scan
    samples = balanced(Samples(images.inputs, images.labels, "zoo"), 2 * SHARE, seed)
    classifier = ProgramClassifier.of(program, samples.inputs[:4], Preprocessing(), BOUNDS)
    run = Run(seed=seed, max_batch=512)
    suspect = (_named(known) if known else None) or _searched(classifier, samples, run)
    return Parent(
        entry, program, samples, suspect, _inverted(classifier, samples, suspect, run), _truth(store, entry, program)
    )


def _named(known: summaries.Summary) -> Suspect | None:
    """Return the smallest ratio of the model's scan, over the three families; None where it was not scanned."""
    evidence = summaries.evidence_of(known)
    found = [
        Suspect(number.location, family, number.value)
        for family in PARTS
        if isinstance(outcome := evidence.outcomes.get(family), MeasuredOutcome)
        for number in outcome.measurements
        if number.metric == "size-ratio" and number.location is not None and number.location.kind == "class"
    ]
    return min(found, key=lambda suspect: suspect.ratio or 0.0, default=None)


def _family(name: str) -> Trigger:
    """Return a stand-in that tells the family alone."""
    return Trigger(Location.of_class(0), 0.0, lambda x: x, {PARTS[name]: torch.zeros(1)})


def _searched(classifier: ProgramClassifier, samples: Samples, run: Run) -> Suspect:
    found = []
    for family in PARTS:
        search = search_of(_family(family), classifier, samples)
        sizes = search.invert(every_class(classifier.num_classes), single_settings(search.options), run).sizes
        ratios = sizes / sizes.median()
        row = int(ratios.argmin())
        found.append(Suspect(Location.of_class(row), family, float(ratios[row])))
    return min(found, key=lambda suspect: suspect.ratio or 0.0)


def _inverted(classifier: ProgramClassifier, samples: Samples, suspect: Suspect, run: Run) -> Trigger:
    search = search_of(_family(suspect.family), classifier, samples)
    return search.found(search.invert((goal_at(suspect.place),), single_settings(search.options), run))[0]


def _truth(store: Store, entry: Entry, program: Program) -> Measured:
    images = TASKS[entry.recipe.row.task].measure
    return measured_truly(as_module(program, images.inputs[:4]), images, implant_of(entry, store))


def as_module(program: Program, example: torch.Tensor) -> torch.nn.Module:
    """Return a program as the module that the zoo measures: images (N, C, H, W) in, logits (N, K) out."""
    return _Model(program, example)


class _Model(torch.nn.Module):
    """A program as the module that the zoo measures."""

    def __init__(self, program: Program, example: torch.Tensor) -> None:
        super().__init__()
        self.body = batched(program, example)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.body(x)
        return logits


def repaired_row(store: Store, parent: Parent, method: str, options: dict[str, Any], seed: int) -> Row:
    """Make one attempt, and measure the planted trigger on what came of it."""
    entry, suspect, began = parent.entry, parent.suspect, time.process_time()
    triggers = {suspect.place: parent.trigger}
    run = Run(seed=seed, max_batch=512)
    material = Material(parent.program, Preprocessing(), BOUNDS, parent.samples, triggers)
    result, program = attempt(method, options, material, run)
    spent = time.process_time() - began
    after = _truth(store, entry, program) if program is not None else None
    why = broken_by(result, triggers, RepairBounds())
    row = entry.recipe.row
    return Row(
        model=entry.name,
        attack=row.attack,
        variant=row.variant,
        task=row.task,
        architecture=row.architecture,
        method=method,
        options=result.options,
        seed=seed,
        samples=result.samples_used,
        status=result.status,
        reason=result.reason,
        place=str(suspect.place),
        family=suspect.family,
        suspect_ratio=suspect.ratio,
        right_place=bool(truth_of(entry).names(suspect.place)),
        true_before=parent.true.attack_success or 0.0,
        true_after=None if after is None else after.attack_success,
        untriggered_before=parent.true.untriggered,
        untriggered_after=None if after is None else after.untriggered,
        accuracy_before=parent.true.clean_accuracy,
        accuracy_after=None if after is None else after.clean_accuracy,
        before=result.before,
        after=result.after,
        holds=not why,
        broken_by=why,
        changed=dict(result.changed),
        processor_seconds=round(spent, 1),
        sample_passes=result.sample_passes,
        code=code_of(method),
    )

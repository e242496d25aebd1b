"""What the detectors that look at every class see of a candidate and of each copy, a line of JSON for each.

The searches are shorter than the policy's and leave out what is not asked of single classes, since each is paid for
once for the candidate and once for every copy.
"""

import json
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch

from benchmarks.fit_models import subject_of
from benchmarks.self_references.copies import Copy, Training, train
from benchmarks.zoo.store import Entry, Store
from gate import detectors
from gate.judging.calibration.tables import values_of
from gate.policies.declared import compared_statistics
from gate.records.errors import UnexaminableError
from gate.records.evidence import Measured, Measurement
from gate.records.policy import Policy
from gate.records.run import Run
from gate.spaces.subject import Subject
from gate.worker.loading.head import head_of_program
from gate.worker.loading.program_classifier import ProgramClassifier

ROWS = Path(__file__).resolve().parents[1] / "results" / "self_references.jsonl"
CHEAPER: Mapping[str, Mapping[str, object]] = {
    "head-indicators": {"probes": 100},
    "maximum-margin": {},
    "neural-cleanse": {
        "steps": 80, "batch": 8, "clean_samples": 256, "hopeless_after": 60, "exits": False, "untargeted_starts": 0,
        "pictured": 0,
    },
    "additive-trigger": {"steps": 50, "batch": 8, "clean_samples": 256, "untargeted_starts": 0, "pictured": 0},
}  # fmt: skip
"""By detector, how it runs here instead of as the policy says."""
CANDIDATE = -1
"""Stands for a copy's number in the row of the candidate itself."""
REVISION = 1
"""Raise when `CHEAPER` changes: rows measured otherwise are not compared."""
Row = dict[str, Any]


@dataclass(frozen=True)
class Kept:
    """The rows on disk."""

    path: Path = ROWS

    def rows(self) -> list[Row]:
        """Return all rows, in the order in which they were measured."""
        return [json.loads(line) for line in self.path.read_text().splitlines()] if self.path.is_file() else []

    def add(self, row: Row) -> None:
        """Append one row."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("a") as file:
            file.write(f"{json.dumps(row, sort_keys=True, separators=(',', ':'))}\n")


def identity(entry: Entry, number: int, training: Training) -> Row:
    """Return the part of a row by which it is known again: model, number of the copy, training, searches."""
    own = {"model": entry.name, "key": entry.key, "copy": number}
    return {**own, "training": asdict(training), "revision": REVISION}


def missing(entries: list[Entry], count: int, training: Training, kept: Kept) -> Iterator[tuple[Entry, int]]:
    """Yield each model and number of a copy that has no row yet."""
    rows = kept.rows()
    for entry in entries:
        for number in (CANDIDATE, *range(count)):
            own = identity(entry, number, training)
            if not any(own.items() <= row.items() for row in rows):
                yield entry, number


def measured(entry: Entry, store: Store, number: int, training: Training, policy: Policy) -> Row:
    """Train one copy of a model and return the row of it; what cannot be trained has a row that says why."""
    torch.set_num_threads(1)
    subject = subject_of(entry, store)
    assert isinstance(subject.classifier, ProgramClassifier)
    assert subject.samples is not None
    row = identity(entry, number, training)
    if number == CANDIDATE:
        return {**row, **_looked_at(subject, subject.classifier, policy)}
    started = time.process_time()
    try:
        copy = train(subject.classifier, subject.samples, seed_of(number), training)
    except UnexaminableError as error:
        return {**row, "why": str(error)}
    spent = round(time.process_time() - started, 2)
    seen = _looked_at(_subject(subject, copy), copy.classifier, policy)
    seen["seconds"]["training"], seen["passes"]["training"] = spent, copy.passes
    return {**row, "agreement": _short(copy.agreement), "loss": _short(copy.loss), **seen}


def _looked_at(subject: Subject, classifier: ProgramClassifier, policy: Policy) -> Row:
    """Return what the detectors measured, and the processor seconds and sample-passes of each."""
    outcomes, seconds, passes = {}, {}, {}
    for name in CHEAPER:
        started, before = time.process_time(), classifier.sample_passes
        outcomes[name] = _outcome(name, subject, policy)
        seconds[name] = round(time.process_time() - started, 2)
        passes[name] = classifier.sample_passes - before
    values = values_of(outcomes, compared_statistics())
    return {"seconds": seconds, "passes": passes, "values": _rounded(values)}


def of_training(rows: list[Row], training: Training) -> list[Row]:
    """Return the rows of one way of training, measured as today."""
    return [row for row in rows if row["training"] == asdict(training) and row["revision"] == REVISION]


def seed_of(number: int) -> int:
    """Return the seed of a copy: the same for all candidates."""
    return 1000 + number


def _subject(subject: Subject, copy: Copy) -> Subject:
    program = copy.classifier.body.program
    head = head_of_program(program)
    return replace(subject, classifier=copy.classifier, weights=program.parameters, head=head, graph=None)


def _outcome(name: str, subject: Subject, policy: Policy) -> Measured:
    """Run one detector; where it cannot be run on this graph there are no measurements."""
    detector = detectors.load(name)
    options = detector.options.model_validate({**policy.options_of(name), **CHEAPER[name]})
    try:
        found = [m for m in detector.measure(subject, options, Run(seed=policy.seed)) if isinstance(m, Measurement)]
    except UnexaminableError:
        found = []
    return Measured(measurements=tuple(found), seconds=0.0, sample_passes=0, options={})


def _rounded(values: Mapping[str, Mapping[str, Mapping[str, float]]]) -> Row:
    return {
        detector: {metric: {p: _short(x) for p, x in places.items()} for metric, places in metrics.items()}
        for detector, metrics in values.items()
    }


def _short(value: float) -> float:
    return float(f"{value:.6g}")

"""Counts the answers of the zoo's models to the probes, a file a model, so that a run can be ended and go on."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.fit_models import subject_of
from benchmarks.zoo.recipe import Split, draw
from benchmarks.zoo.splits import rows
from benchmarks.zoo.store import Entry, Store, write_whole
from benchmarks.zoo.tasks import TASKS
from gate import detectors
from gate.records.counts import Counts
from gate.records.record import MalformedError
from gate.records.run import Run
from gate.spaces.image.probes import names_digest
from gate.spaces.subject import Subject

DETECTOR = "probe-grid"


@dataclass(frozen=True)
class Counted:
    """One model of the zoo and its counts."""

    entry: Entry
    counts: Counts


def counting_entries(store: Store, splits: Sequence[Split]) -> list[Entry]:
    """Return the models of the splits that are made and count, in the order of training."""
    made = (store.entry(draw(row)) for row in rows() if row.split in splits)
    return [entry for entry in made if entry is not None and entry.counts]


def kept(entry: Entry, store: Store) -> Counts | None:
    """Return the counts of a model that are kept; None where there are none by today's probes."""
    path = _path(entry, store)
    try:
        found = Counts.from_file(path) if path.is_file() else None
    except MalformedError:
        return None
    today = names_digest(TASKS[entry.recipe.row.task].shape)
    return found if found is not None and found.probes == today else None


def count(entries: Sequence[Entry], store: Store) -> Iterator[tuple[Entry, int]]:
    """Count what is missing; yield each model with the forward passes that it took."""
    for entry in entries:
        if kept(entry, store) is None:
            subject = subject_of(entry, store)
            counts = counts_of(subject)
            write_whole(_path(entry, store), counts.canonical_json())
            assert subject.classifier is not None
            yield entry, subject.classifier.sample_passes


def counts_of(subject: Subject) -> Counts:
    """Return the counts that the detector yields by its default options and seed 0."""
    detector = detectors.load(DETECTOR)
    options = detector.options(pictured=0)
    return next(item for item in detector.measure(subject, options, Run(seed=0)) if isinstance(item, Counts))


def _path(entry: Entry, store: Store) -> Path:
    return store.root / "probe-grid" / f"{entry.files.exported}.json"

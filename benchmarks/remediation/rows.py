"""The committed results: one line of JSON for each model and method, so that a run goes on where it ended."""

import hashlib
import inspect
import json
from pathlib import Path
from typing import Any

from pydantic import Field

from gate.records.record import Record
from gate.records.repair import RepairMeasures
from gate.worker import repair as remediation

FOLDER = Path(__file__).with_name("results")


class Row(Record):
    """One method on one model, with the truth that the method was not told."""

    model: str
    attack: str
    variant: str
    task: str
    architecture: str
    method: str
    options: dict[str, Any]
    seed: int
    samples: int
    """Clean samples that the repair was given; as many more were kept back for its own measures."""
    status: str
    reason: str = ""
    place: str
    """The suspect: the class that the gate's own searches put first."""
    family: str
    """The detector whose family of triggers that was."""
    suspect_ratio: float | None = None
    """Its size over the median class's, on the parent."""
    right_place: bool
    true_before: float
    """Success of the planted trigger on images that nothing else used."""
    true_after: float | None = None
    untriggered_before: float | None = None
    """The same images' own errors towards the target, without the trigger: what success cannot well fall below."""
    untriggered_after: float | None = None
    accuracy_before: float
    accuracy_after: float | None = None
    before: RepairMeasures | None = None
    """By the repair's own measures."""
    after: RepairMeasures | None = None
    holds: bool = False
    broken_by: tuple[str, ...] = ()
    changed: dict[str, float | int | str] = Field(default_factory=dict)
    processor_seconds: float
    sample_passes: int = 0
    code: str
    """Short digest of the method's file."""

    @property
    def key(self) -> tuple[str, ...]:
        """What is not measured twice."""
        return self.model, self.method, json.dumps(self.options, sort_keys=True), str(self.seed), self.code


def key_of(model: str, method: str, options: dict[str, Any], seed: int) -> tuple[str, ...]:
    """Return what a result depends on, the method's file in its present form included."""
    return model, method, json.dumps(options, sort_keys=True), str(seed), code_of(method)


def path_of(split: str) -> Path:
    """Return the file of a split's results."""
    return FOLDER / f"{split}.jsonl"


def read(path: Path) -> list[Row]:
    """Return the rows of a file, of several by versions of one method the last; a missing file holds none."""
    if not path.is_file():
        return []
    rows = [Row.from_json(line.encode(), what=path.name) for line in path.read_text().splitlines()]
    return list({row.key[:-1]: row for row in rows}.values())


def append(path: Path, row: Row) -> None:
    """Add one row in a single write."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a", encoding="utf-8") as stream:
        stream.write(row.canonical_json().decode() + "\n")


def code_of(method: str) -> str:
    """Return a short digest of a method's own file."""
    module = inspect.getmodule(remediation.load(method).repair)
    assert module is not None
    assert module.__file__ is not None
    return hashlib.sha256(Path(module.__file__).read_bytes()).hexdigest()[:12]

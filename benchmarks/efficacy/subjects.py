"""The models of a split that are measured, those that are not and why, and each as the folder that a registry holds.

The first step of the flow, between the zoo and the gate: an MLflow folder of flavour pytorch around the exported
program, whose bytes depend on nothing but the program, so that the same model has the same digest wherever it is built.
A subject is a small model of a split or a real one from a package (`python -m benchmarks.zoo packaged`).
"""

import hashlib
import shutil
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from benchmarks.zoo.packaged import making as packaged_making
from benchmarks.zoo.packaged.making import PackagedModel
from benchmarks.zoo.recipe import Recipe, Split, draw
from benchmarks.zoo.splits import rows
from benchmarks.zoo.store import PROGRAM, Entry, Store, current, read_index
from gate.records.artifact import ArtifactFile, Manifest
from gate.records.errors import CannotFinishError

Subject = Entry | PackagedModel
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


def models_of(store: Store, split: Split, indexed: Iterable[Entry] = ()) -> Models:
    """Return the models of a split that are made and count, and the others with the reason.

    Of a model that this cache does not hold, the entry in `indexed` stands: its bytes are elsewhere, what was measured
    on it is committed.
    """
    elsewhere = {entry.key: entry for entry in current(indexed)}
    return models_among(
        lambda recipe: store.entry(recipe) or elsewhere.get(recipe.key),
        [draw(row) for row in rows() if row.split == split],
    )


def models_among(entry_of: Callable[[Recipe], Entry | None], recipes: Iterable[Recipe]) -> Models:
    """Return the models of these recipes that are made and count, and the others with the reason."""
    counting: list[Entry] = []
    left_out: list[LeftOut] = []
    for recipe in recipes:
        row, entry = recipe.row, entry_of(recipe)
        if entry is not None and entry.counts:
            counting.append(entry)
            continue
        reason = entry.reason if entry is not None else NOT_MADE
        left_out.append(LeftOut(row.name, row.task, row.attack, row.variant, reason))
    return Models(tuple(counting), tuple(left_out))


def reported_models(store: Store, split: Split) -> Models:
    """Return the models of a split that are in the cache or in the committed index."""
    return models_of(store, split, read_index())


def packaged_models(store: Store) -> tuple[PackagedModel, ...]:
    """Return the packaged models that are made in this cache, in the order of their making."""
    records = store.root / "packaged" / "records"
    names = (*(source.name for source in packaged_making.SOURCES), packaged_making.IMPLANTED)
    found = tuple(PackagedModel.from_file(path) for name in names if (path := records / f"{name}.json").is_file())
    if not found:
        raise CannotFinishError(
            f"no packaged model is made: expected records in {records}, found none",
            what_to_do="Run: python -m benchmarks.zoo packaged --install",
        )
    return found


def write_model_folder(subject: Subject, store: Store, folder: Path) -> Path:
    """Write a subject's exported program as a model folder that the gate can pull, and return the folder."""
    program = folder / _program_path(subject)
    program.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(_program(subject, store), program)
    for path, (digest, suffix) in _beside(subject).items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(store.get(digest, suffix), folder / path)
    if declared := _mlmodel(subject):
        (folder / "MLmodel").write_text(declared)
    return folder


def manifest_digest(subject: Subject, store: Store) -> str:
    """Return the digest by which the gate will know a subject's model folder."""
    text = _mlmodel(subject).encode()
    if isinstance(subject, PackagedModel):
        size, sha256 = subject.exported_bytes, subject.exported_sha256
    else:
        sha256 = subject.files.exported
        size = store.object_path(sha256, subject.program[1]).stat().st_size
    files = [ArtifactFile(path=_program_path(subject), size_bytes=size, sha256=sha256)]
    if text:
        files.append(ArtifactFile(path="MLmodel", size_bytes=len(text), sha256=hashlib.sha256(text).hexdigest()))
    for path, (digest, suffix) in _beside(subject).items():
        size = store.object_path(digest, suffix).stat().st_size
        files.append(ArtifactFile(path=path, size_bytes=size, sha256=digest))
    return Manifest(files=tuple(sorted(files, key=lambda one: one.path))).digest


def _beside(subject: Subject) -> dict[str, tuple[str, str]]:
    return {} if isinstance(subject, PackagedModel) else subject.beside


def _mlmodel(subject: Subject) -> str:
    return packaged_making.MLMODEL if isinstance(subject, PackagedModel) else subject.declaration


def _program_path(subject: Subject) -> str:
    return PROGRAM if isinstance(subject, PackagedModel) else subject.program[0]


def _program(subject: Subject, store: Store) -> Path:
    if isinstance(subject, PackagedModel):
        return store.root / "packaged" / subject.name / PROGRAM
    return store.get(subject.files.exported, subject.program[1])


def samples_of(subject: Subject, store: Store) -> tuple[Path, str]:
    """Return the file of a subject's clean samples, and the name under which evidence knows it."""
    if isinstance(subject, PackagedModel):
        return store.root / "packaged" / "samples" / subject.samples, f"packaged:{subject.samples}"
    task = subject.recipe.row.task
    return store.samples_path(task), f"{subject.shelf}:{task}"


def classes_of(subject: Subject) -> int:
    """Return how many classes a subject tells apart."""
    return subject.classes if isinstance(subject, PackagedModel) else subject.recipe.task.classes


def label_of(subject: Subject) -> str:
    """Return what a subject is, in a few words."""
    if isinstance(subject, PackagedModel):
        return f"{subject.name} {subject.kind}"
    row = subject.recipe.row
    return " ".join(part for part in (row.name, row.task, row.architecture, row.attack, row.variant) if part)


def attack_of(subject: Subject) -> str:
    """Return the attack of a subject, or `clean`."""
    return subject.kind if isinstance(subject, PackagedModel) else subject.recipe.row.attack

"""What an inspector knows of an artifact before its detectors run: its flavours, and an adapter beside its base."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from gate.formats.adapters.adapter import mlmodel_of, read_adapter
from gate.formats.adapters.base import BaseModel, read_base
from gate.formats.adapters.places import place_of
from gate.formats.huggingface.flavour import described
from gate.formats.source import UnreadableError
from gate.records.artifact import Artifact
from gate.records.errors import GateError
from gate.records.facts import ADAPTER, ModelFacts
from gate.records.job import ScanJob
from gate.spaces.subject import Subject
from gate.worker.loading.candidate import declared_by

_MAX_FLAVOURS: Final = 200


@dataclass(frozen=True)
class Inspected:
    """An artifact as its bytes show it."""

    subject: Subject
    facts: ModelFacts
    absence: str = ""
    """Why there is no adapter, if there is none."""
    problems: tuple[str, ...] = ()


def inspected_by(job: ScanJob, artifact: Artifact) -> Inspected:
    """Return what the files say; an adapter or base that cannot be read is a reason, never an exception."""
    paths = [file.path for file in artifact.manifest.files]
    facts = ModelFacts(flavour=flavour_of(artifact.root, paths))
    base, problems = _base(job)
    found = Inspected(Subject(artifact, base=base), facts, problems=problems)
    try:
        adapter = read_adapter(artifact.root, paths)
    except UnreadableError as error:
        return replace(found, absence=f"it cannot be read: {error}")
    if adapter is None:
        return found
    known = facts.model_copy(update={"format": "safetensors", "adapter": adapter.facts})
    return replace(found, subject=replace(found.subject, adapter=adapter), facts=known)


def flavour_of(root: Path, paths: Sequence[str]) -> str:
    """Return the flavours beside `python_function`, or that it is an adapter; empty where that cannot be read."""
    if place_of(mlmodel_of(root), paths) is not None:
        return ADAPTER
    try:
        return described(declared_by(root))[:_MAX_FLAVOURS]
    except (GateError, OSError):
        return ""


def _base(job: ScanJob) -> tuple[BaseModel | None, tuple[str, ...]]:
    """Return the base that the operator named; one that cannot be read is a problem."""
    if not job.base_folder:
        return None, ()
    try:
        return read_base(Path(job.base_folder)), ()
    except UnreadableError as error:
        return None, (f"The base cannot be used: {error}."[:2000],)

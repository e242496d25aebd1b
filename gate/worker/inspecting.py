"""What an inspector knows of an artifact before its detectors run: its flavours, and what is read beside a base."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from gate.formats.adapters.adapter import mlmodel_of, read_adapter
from gate.formats.adapters.base import BaseModel, read_base
from gate.formats.adapters.places import place_of
from gate.formats.huggingface.flavour import described
from gate.formats.language.whole import is_language, read_whole
from gate.formats.source import UnreadableError
from gate.records.artifact import Artifact
from gate.records.errors import GateError
from gate.records.facts import ADAPTER, LANGUAGE, ModelFacts
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
    """Why there is no adapter or language model, where one cannot be read."""
    problems: tuple[str, ...] = ()


def inspected_by(job: ScanJob, artifact: Artifact) -> Inspected:
    """Return what the files say; what cannot be read, of candidate or base, is a reason, never an exception."""
    paths = [file.path for file in artifact.manifest.files]
    facts = ModelFacts(flavour=flavour_of(artifact.root, paths))
    base, problems = _base(job)
    found = Inspected(Subject(artifact, base=base), facts, problems=problems)
    try:
        adapter = read_adapter(artifact.root, paths)
        language = read_whole(artifact.root, paths) if adapter is None else None
    except UnreadableError as error:
        return replace(found, absence=f"it cannot be read: {error}")
    if adapter is None and language is None:
        return found
    known = {"adapter": adapter and adapter.facts, "language": language and language.facts}
    return replace(
        found,
        subject=replace(found.subject, adapter=adapter, language=language),
        facts=facts.model_copy(update={"format": "safetensors", **known}),
    )


def flavour_of(root: Path, paths: Sequence[str]) -> str:
    """Return the flavours beside `python_function`, or the kind that is read beside a base; empty where unreadable."""
    declared = mlmodel_of(root)
    if place_of(declared, paths) is not None:
        return ADAPTER
    if is_language(root, declared, paths):
        return LANGUAGE
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

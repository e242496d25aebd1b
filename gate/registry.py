"""The contract of a registry: where versions come from and where decisions are marked.

Implementations lie in `gate.registries`; the pipeline knows only this. Every method raises `RegistryError` (exit 3)
when the registry does not answer, and `UnknownVersionError` when the version does not, or no longer, exist.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from gate.artifact import ModelRef


@dataclass(frozen=True)
class VersionFacts:
    """What the registry says of a version: the candidate side's words, shown and never relied on."""

    description: str = ""
    tags: Mapping[str, str] = field(default_factory=dict)
    model_tags: Mapping[str, str] = field(default_factory=dict)
    """Tags of the registered model."""


class Registry(Protocol):
    """A place that holds model versions."""

    marks: bool
    """Whether decisions can be written back."""

    def resolve(self, uri: str) -> ModelRef:
        """Return the one version that a URI names now; an alias is looked up once, here."""
        ...

    def facts(self, ref: ModelRef) -> VersionFacts:
        """Return description and tags."""
        ...

    def versions(self, name: str) -> tuple[tuple[ModelRef, Mapping[str, str]], ...]:
        """Return every version of a registered model with its tags, the oldest first."""
        ...

    def pull(self, ref: ModelRef, to: Path) -> None:
        """Copy the version's files into the empty directory `to`."""
        ...

    def fetch(self, uri: str, to: Path) -> Path:
        """Copy another artifact, such as samples, below `to` and return its path."""
        ...

    def training_set(self, ref: ModelRef, to: Path) -> tuple[str, Path] | None:
        """Copy the training set that the version's run logged below `to`; return its URI and path, None without one."""
        ...

    def log_reports(self, ref: ModelRef, folder: Path, key: str) -> str:
        """Store the report files as artifacts of the gate's own, once per `key`, and return their URI."""
        ...

    def mark(self, ref: ModelRef, tags: Mapping[str, str]) -> None:
        """Set tags on the version, in the order given."""
        ...

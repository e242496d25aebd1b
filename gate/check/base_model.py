"""The base of an adapter or language model, pulled and hashed beside the candidate: the operator's word.

Jailed workers alone read it.
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from gate.check.files import remove
from gate.records.adapters import Base, BaseEvidence
from gate.records.artifact import build_manifest, make_read_only
from gate.records.errors import UsageError
from gate.records.policy import DownloadBounds
from gate.registries.contract import Registry
from gate.registries.directory import DirectoryRegistry
from gate.registries.downloading import bounded
from gate.registries.uris import is_registry_uri, require_model

FOLDER: Final = "adapter-base"
"""Folder of the base's copy beside the candidate's."""


@dataclass(frozen=True)
class AskedBase:
    """Value of `--base`."""

    uri: str
    registry: Registry | None = field(default=None, repr=False)
    """Registry that holds it; None for the candidate's own."""


def asked_base(uri: str | None) -> AskedBase | None:
    """Return the base that is named beside candidates of a registry: one of the same registry, or a folder."""
    if not uri:
        return None
    require_model(uri)
    return AskedBase(uri, None if is_registry_uri(uri) else DirectoryRegistry())


def bring_base(registry: Registry, asked: AskedBase | None, bounds: DownloadBounds, to: Path) -> Base | None:
    """Pull the base below `to`, hash it and make it read-only; None where none was named.

    One that is no base is the operator's mistake, a `UsageError`.
    """
    remove(to)
    if asked is None:
        return None
    source = asked.registry or registry
    ref = source.resolve(asked.uri)
    to.mkdir(parents=True)
    with bounded(to, bounds, f"the base {ref}"):
        source.pull(ref, to)
    manifest, problems = build_manifest(to)
    make_read_only(to)
    base = Base(uri=asked.uri[:2000], model=ref, files=manifest.files)
    if problems:
        raise UsageError(f"the base {asked.uri} cannot be used: {problems[0]}")
    if not base.weights:
        raise UsageError(
            f"the base {asked.uri} has no weights in safetensors",
            what_to_do="Name a whole language model that mlflow.transformers logged, or a folder that save_pretrained "
            "wrote.",
        )
    return base


def evidence_of_base(base: Base | None) -> BaseEvidence | None:
    """Return what the evidence says of a base."""
    if base is None:
        return None
    return BaseEvidence(
        uri=base.uri,
        model=base.model,
        digest=base.manifest.digest,
        weights=base.weights_digest,
        beside=base.beside_digest,
    )

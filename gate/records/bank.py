"""The reference bank: clean models of a task that candidates are compared with, and their measurements.

One JSON file and, beside it, code-free programs named by digest (docs/reference/contracts.md, section 7). Only the scan
worker reads the programs, by the strict reader. A changed bank can change a verdict: every byte is under a digest.
"""

import hashlib
import os
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from operator import not_
from pathlib import Path, PurePosixPath
from typing import Any, Literal, Self

from pydantic import Field, field_validator, model_validator

from gate.records.adapters import AdapterGroup
from gate.records.artifact import file_sha256
from gate.records.copies import SelfMade
from gate.records.counts import Counts
from gate.records.declarations import Scale, Space, Where
from gate.records.errors import UsageError
from gate.records.fields import Digest, Finite, Sha256, Text, is_none
from gate.records.record import MalformedError, Record, read_bounded
from gate.records.secret_counts import SecretCounts

MAX_BANK_BYTES = 16 << 20
MAX_REFERENCES = 64
LEAST_REFERENCES = 3
"""A trigger that fails on one other model may fail by chance."""

_ADVICE = "Name the bank's JSON file, unchanged and with its folder beside it, or make the bank again."


class Reference(Record):
    """A clean model of the bank."""

    path: str = Field(min_length=1, max_length=1000)
    """Path of a `.pt2` program, relative to the bank's file, with forward slashes."""
    sha256: Sha256

    @field_validator("path")
    @classmethod
    def _inside(cls, path: str) -> str:
        parts = PurePosixPath(path)
        if parts.is_absolute() or ".." in parts.parts or "\\" in path or "\0" in path or not parts.parts:
            raise ValueError("a reference lies beside or below the bank's file: a relative path without '..'")
        return path


class Statistic(Record):
    """A metric that candidates and models of the bank are compared by."""

    detector: str
    metric: str
    worse: Literal["higher", "lower"]
    scale: Scale
    at: Where
    """Place of comparison: every class, each model's worst pair, or the model as a whole."""


class BankSamples(Record):
    """The clean samples that the bank's models were measured on; the same bytes mean the same task."""

    sha256: Sha256
    count: int = Field(ge=0)


class ModelStatistics(Record):
    """Measurements of one clean model, and its origin."""

    model: Text
    uri: Text = ""
    manifest_digest: Digest | None = None
    traits: dict[str, Finite] = Field(default_factory=dict)
    """Accuracy and norms, which show whether a candidate is such a model."""
    values: dict[str, dict[str, dict[str, Finite]]] = Field(default_factory=dict)
    """Values by detector id, metric and location, such as `class 3`, or empty for the model."""
    counts: dict[str, Counts] = Field(default_factory=dict, exclude_if=not_)
    """Counts of answers to probes by detector id."""
    secret_counts: dict[str, SecretCounts] = Field(default_factory=dict, exclude_if=not_)
    """Sealed counts of answers to secret probes by detector id."""
    against: Text = Field(default="", exclude_if=not_)
    """Objection when the bank was made: the model was flagged, rejected or never judged."""
    accepted: Text = Field(default="", exclude_if=not_)
    """Operator's reason for accepting a model despite an objection."""

    @model_validator(mode="after")
    def _with_reason(self) -> Self:
        if bool(self.against) != bool(self.accepted):
            raise ValueError("a model that was flagged is in a bank with a reason, and no other has one")
        return self


class Bank(Record):
    """The bank's JSON file."""

    schema_version: Literal[2] = 2
    name: str = Field(min_length=1, max_length=100)
    provenance: Text = ""
    """Origin of the models: data, recipe, who trained them."""
    gate_version: Text = ""
    policy: Text = ""
    """Name and digest of the policy that the models were measured by."""
    seed: int = Field(default=0, ge=0)
    samples: BankSamples | None = None
    classes: int | None = Field(default=None, ge=1)
    space: Space = Field(default="images", exclude_if=lambda value: value == "images")
    """What its models take."""
    input_shape: tuple[int, ...] = ()
    adapters: AdapterGroup | None = Field(default=None, exclude_if=is_none)
    """What its adapters, or tuned language models, have in common; None for a bank of other models."""
    settings: dict[str, Sha256] = Field(default_factory=dict)
    """Digests of the options of the measurements, by detector id."""
    compared: tuple[Statistic, ...] = Field(default=(), max_length=200)
    statistics: tuple[ModelStatistics, ...] = Field(default=(), max_length=10_000)
    references: tuple[Reference, ...] = Field(default=(), max_length=MAX_REFERENCES)
    """Reference models: none, or at least three."""
    self_made: SelfMade | None = Field(default=None, exclude_if=is_none)
    """Where the models come from if `gate bank make` trained them; None for a bank of models that there were."""

    @model_validator(mode="after")
    def _distinct(self) -> Self:
        if len({reference.sha256 for reference in self.references}) < len(self.references):
            raise ValueError("two references are the same file; the same model twice is one witness")
        if 0 < len(self.references) < LEAST_REFERENCES:
            raise ValueError(f"expected no reference models or at least {LEAST_REFERENCES}")
        digests = [model.manifest_digest for model in self.statistics if model.manifest_digest is not None]
        if len(set(digests)) < len(digests):
            raise ValueError("two models have the same digest; the same model twice is one witness")
        if not self.references and not self.statistics:
            raise ValueError("a bank holds statistics, references or both; found neither")
        return self

    @property
    def accepted(self) -> tuple[ModelStatistics, ...]:
        """The models that are in the bank for a stated reason despite an objection."""
        return tuple(model for model in self.statistics if model.accepted)

    def sizes(self, detector: str, place: str) -> tuple[float, ...]:
        """Return the sizes that a detector measured at a place, one for each model that has one."""
        found = (model.values.get(detector, {}).get("size", {}).get(place) for model in self.statistics)
        return tuple(size for size in found if size is not None)


@dataclass(frozen=True)
class OpenBank:
    """A bank whose files all have the stated digests."""

    bank: Bank
    folder: Path
    sha256: str
    """Digest of the JSON file, which states those of the others."""
    source: str
    """Path or address that the user or the policy named."""
    by_option: bool = False
    """Whether `--bank` named it, and not the policy."""


def open_bank(path: Path, *, sha256: str | None = None, source: str = "") -> OpenBank:
    """Read a bank and hash its references; what cannot be read or was changed is a `UsageError`."""
    try:
        raw = read_bounded(path, limit=MAX_BANK_BYTES)
        bank = Bank.from_json(raw, what=path.name, limit=MAX_BANK_BYTES)
    except (MalformedError, OSError) as error:
        raise UsageError(f"the bank {path} cannot be read: {error}", what_to_do=_ADVICE) from None
    found = hashlib.sha256(raw).hexdigest()
    if sha256 is not None and found != sha256:
        raise UsageError(
            f"the bank {path} is not the one that the policy pins: expected sha256 {sha256}, got {found}",
            what_to_do="Put the pinned bank there, or pin the new one after a look at what changed.",
        )
    folder = path.resolve().parent
    for reference in bank.references:
        _check_reference(folder, reference)
    return OpenBank(bank, folder, found, source or str(path))


def reference_path(folder: Path, reference: Reference) -> Path | None:
    """Return the path of a reference, or None where it is no regular file below the bank's folder."""
    path = folder / reference.path
    inside = path.resolve().is_relative_to(folder.resolve())
    return path if inside and path.is_file() and not path.is_symlink() else None


def _check_reference(folder: Path, reference: Reference) -> None:
    path = reference_path(folder, reference)
    if path is None:
        fault = f"{reference.path!r} is no regular file below {folder}"
        raise UsageError(f"the bank's reference {fault}", what_to_do=_ADVICE)
    try:
        found = file_sha256(path)
    except OSError as error:
        raise UsageError(f"the bank's reference {path} cannot be read: {error.strerror}", what_to_do=_ADVICE) from None
    if found != reference.sha256:
        fault = f"{path} was changed: expected sha256 {reference.sha256}, got {found}"
        raise UsageError(f"the bank's reference {fault}", what_to_do=_ADVICE)


def write_bank(path: Path, references: Iterable[Path] = (), **values: Any) -> Bank:
    """Write a bank of programs beside or below its file, with the other keys of `Bank` as `values`, and return it."""
    folder = path.resolve().parent
    named = tuple(
        Reference(path=found.resolve().relative_to(folder).as_posix(), sha256=file_sha256(found))
        for found in references
    )
    bank = Bank(references=named, **{"name": "bank", **values})
    text = bank.pretty_json()
    if (size := len(text.encode())) > MAX_BANK_BYTES:
        raise UsageError(
            f"the bank {path} would have {size} bytes; expected at most {MAX_BANK_BYTES}, which is what is read",
            what_to_do="Build it of fewer models.",
        )
    with tempfile.NamedTemporaryFile("w", dir=folder, delete=False, encoding="utf-8") as partial:
        partial.write(text)
    os.replace(partial.name, path)  # noqa: PTH105  # the atomic call, by its own name
    return bank

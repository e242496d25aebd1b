"""The files of one check in one directory, and the record of `manifest.json` (docs/reference/contracts.md, section 4).

The four steps pass nothing but these files to each other, and can run in different jobs.
"""

import errno
import os
import re
import secrets
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeVar

from pydantic import Field, field_validator, model_validator

from gate.check.locks import folder_lock
from gate.jail.rights import make_private
from gate.jail.scratch import remove_tree, scratch_directory, write_new
from gate.records.adapters import Base
from gate.records.artifact import ArtifactFile, Manifest, ModelRef, make_writable
from gate.records.errors import CannotFinishError, UsageError
from gate.records.evidence import Evidence
from gate.records.fields import is_none
from gate.records.history import History
from gate.records.previous import PulledPrevious
from gate.records.provenance import RepairOrigin
from gate.records.record import MalformedError, Record
from gate.records.report import Report
from gate.records.verdict import Verdict

RecordT = TypeVar("RecordT", bound=Record)

MODEL_FOLDER, SAMPLES_FOLDER, TRAINING_FOLDER, PREVIOUS_FOLDER = "model", "samples", "training", "previous"
"""A pulled copy's folders, beside the files of the check or in a private directory."""

MANIFEST, EVIDENCE, VERDICT, REPORT = "manifest.json", "evidence.json", "verdict.json", "report.json"
ATTESTATION, COMMITMENT = "attestation.json", "commitment.json"
EVAL_RESULT, SUMMARY, MODEL_SIGNATURE = "eval-result.json", "vsa.json", "model.sig"
SIGNED_BILL = "bom.dsse.json"
BESIDE = (EVAL_RESULT, SUMMARY, MODEL_SIGNATURE, SIGNED_BILL)
"""What stands beside a signed decision, for other tools."""
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EMFILE, errno.ENFILE})
"""Errors other than a wrong directory name: a full or broken disk, too many open files."""
_PARTIAL = re.compile(r"\..+\.[0-9a-f]{16}\.part")
"""Name of a file that is being written."""
_LEFT_AFTER = 3600.0
"""Seconds after which its writer is dead."""


class HeldError(UsageError):
    """Another command writes into the directory now."""


class PulledSamples(Record):
    """The clean samples beside the model."""

    name: str = Field(min_length=1, max_length=4096)
    """File or folder below `samples/` or `training/`, with forward slashes."""
    source: str
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    overridden: bool

    @field_validator("name")
    @classmethod
    def _below(cls, name: str) -> str:
        if name.startswith("/") or {"", ".", ".."} & set(name.split("/")):
            raise ValueError("expected a path below the folder, without '..'")
        return name

    def of_job(self, base: Path) -> dict[str, Any]:
        """Return the path of these clean samples below `base`, and their source, as fields of a worker's job."""
        return {
            "samples_path": str(base / SAMPLES_FOLDER / self.name),
            "samples_source": self.source,
            "samples_sha256": self.sha256,
            "samples_overridden": self.overridden,
        }


class Pulled(Record):
    """The result of `pull`: `manifest.json`."""

    schema_version: Literal[1] = 1
    gate_version: str
    uri: str
    model: ModelRef
    description: str = ""
    digest: str
    policy_digest: str | None = Field(default=None, pattern=r"^sha256:[0-9a-f]{64}$")
    """Digest of the policy that named samples and training set."""
    files: tuple[ArtifactFile, ...]
    samples: PulledSamples | None = None
    training: PulledSamples | None = None
    """The training set that the version's run logged, where a detector of the policy needs it."""
    previous: PulledPrevious | None = Field(default=None, exclude_if=is_none)
    """The versions beside it, where a detector of the policy compares with them."""
    history: History | None = Field(default=None, exclude_if=is_none)
    """The signed decisions on the versions before it, where a key is trusted."""
    base: Base | None = Field(default=None, exclude_if=is_none)
    """The base that `--base` named."""
    problems: tuple[str, ...] = ()
    repair: RepairOrigin | None = Field(default=None, exclude_if=lambda value: value is None)
    """The repair that the candidate's own `provenance.json` claims."""
    repair_problem: str = Field(default="", exclude_if=lambda value: not value)
    """Reason why that file cannot be read."""
    seconds: float = Field(default=0.0, ge=0)

    @model_validator(mode="after")
    def _digest_holds(self) -> "Pulled":
        if self.manifest.digest != self.digest:
            raise ValueError("the digest is not that of the files")
        return self

    @property
    def manifest(self) -> Manifest:
        """The files as a manifest."""
        return Manifest(files=self.files)


@dataclass(frozen=True)
class CheckFiles:
    """One check's directory."""

    root: Path

    @classmethod
    def create(cls, root: Path) -> "CheckFiles":
        """Make the directory and try a write; failure is a `UsageError`, or a `CannotFinishError` on a full disk."""
        probe = root / f".gate-writable-{os.getpid()}"
        try:
            root.mkdir(parents=True, exist_ok=True)
            write_new(probe, b"gate")
            probe.unlink()
        except OSError as error:
            with suppress(OSError):
                probe.unlink(missing_ok=True)
            refused = unwritable(root, error)
            if error.errno in _FULL:
                raise refused from None
            raise UsageError(str(refused), what_to_do=refused.what_to_do) from None
        return cls(root.resolve())

    @classmethod
    @contextmanager
    def claim(cls, root: Path) -> "Iterator[CheckFiles]":
        """Make the directory as `create` does, and lock it against other checks until this one ends."""
        files = cls.create(root)
        with folder_lock(files.root) as lock:
            if lock == "theirs":
                raise HeldError(
                    f"another command is writing into {root}",
                    what_to_do="Wait for it, or name a directory of its own for each check with --report-dir.",
                )
            files.remove_parts()
            yield files

    def remove_parts(self) -> None:
        """Remove what writers that were killed have left; a live one needs no hour."""
        for path in self.root.glob(".*.part"):
            with suppress(OSError):
                if _PARTIAL.fullmatch(path.name) and time.time() - path.lstat().st_mtime > _LEFT_AFTER:
                    path.unlink()

    def begin(self) -> None:
        """Remove an earlier check's files, except an interrupted scan's; triggers and bundle stay until the scan."""
        for pattern in (MANIFEST, EVIDENCE, VERDICT, ATTESTATION, *BESIDE, "report.*"):
            for path in self.root.glob(pattern):
                if path.is_file() or path.is_symlink():
                    path.unlink()

    def concluded(self) -> Verdict | None:
        """Return the verdict; None where there is none that can be read."""
        try:
            return self.verdict()
        except UsageError:
            return None

    def write(self, name: str, text: str | bytes) -> Path:
        """Replace one file atomically."""
        raw = text.encode() if isinstance(text, str) else text
        target = self.root / name
        # Another process may write the same file now.
        partial = target.with_name(f".{target.name}.{secrets.token_hex(8)}.part")
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            write_new(partial, raw)
            os.replace(partial, target)  # noqa: PTH105  # the atomic call, by its own name
        except OSError as error:
            with suppress(OSError):
                partial.unlink(missing_ok=True)
            raise unwritable(target, error) from None
        return target

    def pulled(self) -> Pulled:
        """Read `manifest.json`."""
        return read_input(self.root / MANIFEST, Pulled, "gate pull")

    def evidence(self) -> Evidence:
        """Read `evidence.json`."""
        return read_input(self.root / EVIDENCE, Evidence, "gate scan")

    def verdict(self) -> Verdict:
        """Read `verdict.json`."""
        return read_input(self.root / VERDICT, Verdict, "gate judge")

    def report(self) -> Report:
        """Read `report.json`."""
        return read_input(self.root / REPORT, Report, "gate judge")


def read_input(path: Path, kind: type[RecordT], step: str) -> RecordT:
    """Read an earlier step's record; a missing or damaged one is a `UsageError` that names the step."""
    if not path.exists():
        what = "file" if path.suffix else "folder"
        raise UsageError(f"there is no {what} {path}", what_to_do=f"`{step}` writes it; run that step first.")
    try:
        return kind.from_file(path)
    except MalformedError as error:
        raise UsageError(f"{path} cannot be used: {error}", what_to_do=f"`{step}` writes it; run it again.") from None


def unwritable(path: Path, error: OSError) -> CannotFinishError:
    """Return the error for a file of a check that cannot be written."""
    return CannotFinishError(
        f"{path} cannot be written: {error.strerror or error}",
        what_to_do="Name a directory that can be written, with room for a few megabytes, with --report-dir.",
    )


@contextmanager
def private_directory() -> Iterator[Path]:
    """Yield a new directory that only this user and its jailed workers may enter (`gate.jail.rights`)."""
    with ExitStack() as stack:
        try:
            path = stack.enter_context(scratch_directory("gate-model-"))
            make_private(path)
        except OSError as error:
            raise CannotFinishError(
                f"no private copy can be made in {tempfile.gettempdir()}: {error.strerror or error}",
                what_to_do="Name a directory with room for the model in TMPDIR.",
            ) from None
        try:
            yield path
        finally:
            make_writable(path)


def remove(path: Path) -> None:
    """Remove a private copy, even a read-only one; a link or file in its place is removed, and not followed."""
    if path.is_symlink() or path.is_file():
        path.unlink()
    elif path.is_dir():
        make_writable(path)
        remove_tree(path)

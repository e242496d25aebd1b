"""The bundle on disk: the writer's program and the orchestrator's texts in one folder.

The writer's result is hostile like every worker's: the program must have the hash that it states, and only plain
records of its result reach the texts.
"""

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from pydantic import ValidationError

from gate.check.bundle.environment import opens_with, pins, torch_version
from gate.check.bundle.folder import PROGRAM, bundle_texts
from gate.check.bundle.losses import losses_of
from gate.check.evidence import HashedFolder, ScanRequest
from gate.check.files import MODEL_FOLDER, CheckFiles, remove, unwritable
from gate.formats.mlflow_folder import MAX_INERT_BYTES, TOKENIZER
from gate.records.artifact import EVERY_FILE, Manifest, build_manifest, make_read_only
from gate.records.bundle import BundleFacts
from gate.records.provenance import RepairOrigin
from gate.records.record import MalformedError, read_bounded
from gate.records.written_program import Written

FOLDER: Final = "bundle"
"""The bundle's folder beside the files of a check."""


@dataclass(frozen=True)
class Bundle:
    """A bundle's read-only folder, its manifest, and the facts for the evidence."""

    root: Path
    manifest: Manifest
    facts: BundleFacts

    @property
    def place(self) -> HashedFolder:
        """The folder as a worker gets it."""
        return HashedFolder(self.root, self.manifest)


def compose(root: Path, written: Written, request: ScanRequest, repair: RepairOrigin | None) -> Bundle | str:
    """Write texts and the policy's carried files beside the program in `root`; return the bundle, or why not."""
    policy, candidate = request.policy, request.base / MODEL_FOLDER
    try:
        texts = bundle_texts(written, policy.runtime, repair)
    except ValidationError as error:
        # A worker's claims that do not fit the records: no fault of this process.
        return f"its texts cannot be written: {str(error)[:500]}"
    present = {file.path for file in request.pulled.files}
    for path in sorted(present & set(policy.carry)):
        try:
            texts[path] = _inert(candidate / path)
        except (MalformedError, OSError, UnicodeDecodeError) as error:
            return f"{path!r}, which the policy carries, is no text of at most {MAX_INERT_BYTES} bytes: {error}"
    for path, raw in texts.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(raw)
    manifest, problems = build_manifest(root, ignored=EVERY_FILE)
    found = {file.path: file.sha256 for file in manifest.files}
    if problems or found.get(PROGRAM) != written.program_sha256:
        return "the program beside the writer's result is not the one that the result names."
    if found.get(TOKENIZER) != (written.tokenizer.sha256 if written.tokenizer else None):
        return "the tokenizer beside the writer's result is not the one that the result names."
    make_read_only(root)
    facts = BundleFacts(
        origin=written.origin,
        parent=written.parent,
        torch=torch_version(),
        candidate_torch=written.candidate_torch,
        class_names=written.class_names,
        opens_with=opens_with(),
        pinned=dict(line.split("==") for line in pins(policy.runtime, tokens=written.tokenizer is not None)),
        greatest_difference=written.greatest_difference,
        signature_dropped=written.signature_dropped,
        losses=losses_of(written),
        left=tuple(path[:2000] for path in sorted(present - set(found))[:200]),
    )
    return Bundle(root, manifest, facts)


def _inert(path: Path) -> bytes:
    """Return a text's bytes; anything but UTF-8 without NUL is refused."""
    raw = read_bounded(path, limit=MAX_INERT_BYTES)
    raw.decode("utf-8")
    if b"\0" in raw:
        raise MalformedError("it holds a NUL")
    return raw


def put(bundle: Bundle, files: CheckFiles, *, keep: bool) -> None:
    """Replace the bundle among the check's files in one step, by a move or, to `keep` the source, a copy."""
    target, partial = files.root / FOLDER, files.root / f".{FOLDER}.part"
    try:
        remove(partial)
        if keep or not _renamed(bundle.root, partial):
            shutil.copytree(bundle.root, partial)
        remove(target)
        partial.rename(target)
    except OSError as error:
        remove(partial)
        raise unwritable(target, error) from None


def _renamed(source: Path, to: Path) -> bool:
    try:
        source.rename(to)
    except OSError:  # another file system
        return False
    return True

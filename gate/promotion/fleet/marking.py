"""Marks of a task's versions: each is committed to, signed and logged by its own name, though one scan is behind them.

One version was pulled for the scan. Every other one is downloaded and hashed before its mark: the plan's word is not
enough, and a folder with links or special files is never another one's equal.
"""

import hashlib
import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from gate.attestations.commitment import utc_now
from gate.check.bundle.compose import FOLDER as BUNDLE_FOLDER
from gate.check.commit import commit
from gate.check.evidence import ScanSettings
from gate.check.files import COMMITMENT, EVIDENCE, MANIFEST, REPORT, VERDICT, CheckFiles, remove
from gate.check.publish import publish
from gate.check.pull import downloaded
from gate.check.report import Context, conclude
from gate.check.rules import Rules
from gate.check.signing import Signing
from gate.records.activity import Tell
from gate.records.artifact import ModelRef, build_manifest
from gate.records.errors import GateError, RegistryError, UnknownVersionError, UsageError
from gate.records.fleet import FleetTask, Marked
from gate.registries.contract import Registry

VERSIONS: Final = "versions"
"""Folder, below a task's own, of the files of every version but the one that was scanned."""


def commit_each(
    files: CheckFiles, refs: Sequence[ModelRef], rules: Rules, settings: ScanSettings, signing: Signing | None
) -> None:
    """Commit to the policy for every version that is to be marked, before anything is measured.

    One scan is behind all of them: what an interrupted one measured lay there for each. Without a key there is nothing
    to sign, and what an earlier run committed to goes.
    """
    bank = f"sha256:{rules.bank.sha256}" if rules.bank else None
    pulled, seed = files.pulled(), settings.seed_by(rules.policy)
    if signing is None:
        for earlier in (files.root / COMMITMENT, *(files.root / VERSIONS).glob(f"*/{COMMITMENT}")):
            earlier.unlink(missing_ok=True)
        return
    for ref, own in _folders(files, refs):
        of_ref = pulled.model_copy(update={"model": ref})
        commit(own, of_ref, rules.policy, signing, seed=seed, bank_digest=bank, scan=files)


def _folders(files: CheckFiles, refs: Sequence[ModelRef]) -> Iterator[tuple[ModelRef, CheckFiles]]:
    """Yield each version with the folder of its files: the task's own for the one that was scanned.

    Others have theirs by name: another plan may number the versions otherwise.
    """
    scanned = files.pulled().model
    for ref in refs:
        name = hashlib.sha256(str(ref).encode()).hexdigest()[:32]
        yield ref, files if ref == scanned else CheckFiles.create(files.root / VERSIONS / name)


def scanned_version(files: CheckFiles) -> ModelRef | None:
    """Return the version whose copy a task's files are about; None where there are none yet."""
    with suppress(UsageError):
        return files.pulled().model
    return None


def joined(task: FleetTask, earlier: Sequence[Marked], made: Sequence[Marked]) -> tuple[Marked, ...]:
    """Return the marks of a task's versions in their order, new ones for earlier, and then those of other plans."""
    marks = {mark.version: mark for mark in (*earlier, *made)}
    own = [marks.pop(version) for version in task.versions if version in marks]
    return (*own, *marks.values())


@dataclass(frozen=True)
class Marking:
    """A verdict, and the versions that it is put on."""

    registry: Registry
    digest: str
    """Digest that each version's files must have."""
    rules: Rules
    files: CheckFiles
    """Files of the scan, which are the scanned version's own."""
    signing: Signing | None
    tell: Tell

    def each(self, refs: Sequence[ModelRef]) -> tuple[Marked, ...]:
        """Publish the verdict on versions; a silent registry is an error, to be tried again.

        Any other error is that of one version's mark: the verdict stands, and the next run tries the mark again.
        """
        return tuple(self._mark(ref, own) for ref, own in _folders(self.files, refs))

    def _mark(self, ref: ModelRef, own: CheckFiles) -> Marked:
        try:
            if own.root != self.files.root:
                if fault := self._unlike(ref):
                    return _unmarked(ref, fault, final=True)
                self._copy(own, ref)
            verdict, where = publish(self.registry, own, self.signing, self.tell)
        except UnknownVersionError as error:
            return _unmarked(ref, str(error), final=True)
        except RegistryError:
            raise
        except GateError as error:
            return _unmarked(ref, error.sentence)
        except Exception as error:  # noqa: BLE001  # one version's mark must not cost the verdict, nor another's mark
            return _unmarked(ref, f"internal error: {type(error).__name__}: {str(error)[:500]}")
        return Marked(version=str(ref), decision=verdict.decision, reports_at=where[:4096], at=utc_now())

    def _unlike(self, ref: ModelRef) -> str:
        """Return why a version does not have the bytes that were scanned; empty where it has."""
        policy, digest = self.rules.policy, self.digest
        with downloaded(self.registry.allowing(policy.artifact_stores), ref, policy.download) as folder:
            manifest, problems = build_manifest(folder)
        if problems:
            return f"not marked: {problems[0]}"[:2000]
        if manifest.digest != digest:
            return f"not marked: its bytes changed since the plan: expected {digest}, got {manifest.digest}"
        return ""

    def _copy(self, own: CheckFiles, ref: ModelRef) -> None:
        """Write the files of another version with the same bytes: evidence and report under its own name."""
        if not all((own.root / name).exists() for name in (MANIFEST, EVIDENCE, VERDICT, REPORT)):
            pulled = self.files.pulled().model_copy(update={"model": ref, "uri": str(ref)})
            own.write(MANIFEST, pulled.pretty_json())
            evidence = self.files.evidence().model_copy(update={"model": ref})
            conclude(evidence, Context(str(ref), ref, self.rules, pulled, str(own.root)), own)
        bundle = self.files.root / BUNDLE_FOLDER
        remove(own.root / BUNDLE_FOLDER)
        if bundle.is_dir():
            shutil.copytree(bundle, own.root / BUNDLE_FOLDER, copy_function=os.link)


def _unmarked(ref: ModelRef, why: str, *, final: bool = False) -> Marked:
    return Marked(version=str(ref), why=why[:2000], final=final, at=utc_now())


def lacks_bundle(files: CheckFiles) -> bool:
    """Tell whether a verdict covers a bundle that is no longer in the folder, so that it cannot be published."""
    verdict = files.concluded()
    return verdict is None or (verdict.bundle_digest is not None and not (files.root / BUNDLE_FOLDER).is_dir())

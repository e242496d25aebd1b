"""A check of known bytes in four steps, each of which can be repeated: what a service or a fleet runs after a crash.

A step whose inputs are gone makes them again first. Steps share only the files of the check's own folder; `publish`
writes the same signed decision each time it runs on the same files. Whoever calls it holds the folder alone.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal

from gate.check.evidence import ScanSettings
from gate.check.files import EVIDENCE, MANIFEST, MODEL_FOLDER, REPORT, VERDICT, CheckFiles, Pulled, remove
from gate.check.publish import publish
from gate.check.pull import PullRequest, pull_model
from gate.check.report import Context, conclude
from gate.check.rules import Rules
from gate.check.samples import bring_samples
from gate.check.scan import scan_into
from gate.check.signing import Signing
from gate.jail.rights import make_private
from gate.records.activity import Tell
from gate.records.artifact import ModelRef
from gate.records.errors import CannotFinishError, GateError, RegistryError, UnknownVersionError, UsageError
from gate.records.verdict import Verdict
from gate.registries.contract import Registry

STEPS: Final = ("pull", "scan", "judge", "publish")
WORK: Final = "work"
"""Folder of the private copy, below the check's own."""
StepResult = dict[str, Any]
"""Kind and value of a step's result, as plain JSON."""
Outcome = Literal["approved", "flagged", "gone", "changed", "failed", "unfinished"]


class ChangedError(CannotFinishError):
    """The version's bytes, its samples or the policy have changed since the check was planned."""


@dataclass(frozen=True)
class RepeatableCheck:
    """One check of a version whose digest is known, in a folder of its own."""

    registry: Registry
    ref: ModelRef
    digest: str
    """Digest that the version's files must have."""
    root: Path
    """Folder of the check's files."""
    rules: Callable[[], Rules]
    """Policy, samples and bank as they are now; a `ChangedError` where they are not those that were planned."""
    asked: Callable[[Rules], PullRequest]
    settings: ScanSettings
    marks: bool = True
    signing: Signing | None = field(default=None, repr=False)
    before_scan: Callable[[CheckFiles, Rules], None] = lambda _files, _rules: None
    """Called when the copy is there, and before anything of it is measured."""
    samples_sha256: str | None = None
    """Digest that the clean samples must have, empty for none; None where any will do."""

    @property
    def work(self) -> Path:
        """Folder of the private copy."""
        return self.root / WORK

    def pull(self) -> str:
        """Copy the version and hash it, unless it was done here; return its digest."""
        files = CheckFiles.create(self.root)
        whole = (files.root / MANIFEST).exists() and (self.work / MODEL_FOLDER).is_dir()
        pulled = files.pulled() if whole else self._pull_anew(files)
        if fault := self._fault(pulled):
            self.forget(files)
            raise ChangedError(fault)
        return pulled.digest

    def _fault(self, pulled: Pulled) -> str:
        """Return what is not as it was planned; empty where all is."""
        if pulled.digest != self.digest:
            return f"the bytes of {self.ref} changed: expected {self.digest}, got {pulled.digest}"
        if self.samples_sha256 is None or self.samples_sha256 == (pulled.samples.sha256 if pulled.samples else ""):
            return ""
        return f"the clean samples of {self.ref} changed since the check was planned"

    def _pull_anew(self, files: CheckFiles) -> Pulled:
        rules = self.rules()  # which may have changed: nothing is marked before
        self.forget(files)  # a manifest beside a half-made copy would be believed after a crash
        self.work.mkdir(parents=True, mode=0o700)
        make_private(self.work)
        request = self.asked(rules)
        if self.marks:
            self.registry.require_marking(self.ref)
        brought = bring_samples(self.registry, request, self.work, self.ref, self.settings)
        return pull_model(self.registry, request, files, self.work, self.ref, brought)

    def forget(self, files: CheckFiles) -> None:
        """Remove manifest and private copy."""
        (files.root / MANIFEST).unlink(missing_ok=True)
        remove(self.work)

    def scan(self) -> str:
        """Examine the copy, unless it was done here; return the evidence's digest."""
        files = CheckFiles.create(self.root)
        if not (files.root / EVIDENCE).exists():
            self.pull()
            rules = self.rules()
            self.before_scan(files, rules)
            scan_into(files, rules.scan_of(files.pulled(), self.work, self.settings), lambda *_: None)
        return f"sha256:{files.evidence().content_sha256}"

    def judge(self) -> str:
        """Judge and write the reports, unless it was done here; return the decision."""
        files = CheckFiles.create(self.root)
        if not (files.root / VERDICT).exists() or not (files.root / REPORT).exists():
            self.scan()
            context = Context(str(self.ref), self.ref, self.rules(), files.pulled(), str(files.root))
            conclude(files.evidence(), context, files)
        return files.verdict().decision.value

    def publish(self, tell: Tell) -> tuple[Verdict, str]:
        """Sign, log and mark, and remove the private copy of the model; return verdict and reports' URI."""
        self.judge()
        done = publish(self.registry, CheckFiles.create(self.root), self.signing, tell)
        remove(self.work)
        return done


def outcome_of(result: StepResult) -> Outcome:
    """Return how a check ended: `failed` is final, `unfinished` (a silent registry) is left for later."""
    if result["kind"] == "done":
        return "approved" if result["value"] == "approved" else "flagged"
    return "unfinished" if result["kind"] == "registry" else result["kind"]


def result_of(run: Callable[[], Any], log: Callable[[str], None]) -> StepResult:
    """Return a call's result as data: done, gone, changed, registry (to be tried again) or failed (here)."""
    try:
        return {"kind": "done", "value": run()}
    except GateError as error:
        kinds = {UnknownVersionError: "gone", ChangedError: "changed", RegistryError: "registry"}
        kind = next((kind for cause, kind in kinds.items() if isinstance(error, cause)), "failed")
        # An error of the configuration tells nothing about the version: it is left unmarked.
        unmarked = {"unmarked": isinstance(error, UsageError)} if kind == "failed" else {}
        return {"kind": kind, "value": str(error)[:2000], **unmarked}
    except Exception as error:  # noqa: BLE001  # the other checks go on after any error
        why = f"{type(error).__name__}: {str(error)[:500]}"
        log(why)
        return {"kind": "failed", "value": why}

"""The parent of a repair: pulled again, with the evidence of an earlier check or of a new scan.

A parent without a finding has nothing to repair, and one that carries code cannot be repaired: both are errors before
any repair worker starts.
"""

import shutil
from dataclasses import dataclass
from pathlib import Path

from gate.check.bundle.compose import FOLDER as BUNDLE_FOLDER
from gate.check.evidence import ScanSettings
from gate.check.files import EVIDENCE, MODEL_FOLDER, CheckFiles, Pulled
from gate.check.pull import pull_model
from gate.check.report import Context, conclude
from gate.check.rules import Rules
from gate.check.samples import bring_samples
from gate.check.scan import scan_into
from gate.check.worker_results import MAX_TRIGGERS_BYTES
from gate.check.workers import Progress
from gate.judging.judge import judge
from gate.records.activity import Tell
from gate.records.artifact import Manifest, ModelRef, build_manifest, file_sha256
from gate.records.clock import today
from gate.records.errors import UsageError
from gate.records.evidence import Evidence
from gate.records.finding import Decision
from gate.records.job import TRIGGERS_FILE, ScanJob
from gate.records.record import MalformedError
from gate.records.repair import RepairTask
from gate.records.report import Given
from gate.records.verdict import Verdict
from gate.registries.contract import Registry
from gate.renderers.commands import Commands

FOLDER = "parent"
"""Folder of the parent's own check, below the remediation's directory."""


@dataclass(frozen=True)
class ParentRequest:
    """The model to repair, and the policy and settings of its scan."""

    uri: str
    rules: Rules
    settings: ScanSettings
    earlier: Path | None = None
    """Directory of an earlier check of the same bytes, whose evidence and triggers are used."""
    even_if_approved: bool = False


@dataclass(frozen=True)
class Parent:
    """A parent that can be repaired: its bytes, evidence and verdict."""

    request: ParentRequest
    pulled: Pulled
    base: Path
    """Folder of the private copy."""
    root: Path
    """Folder of the code-free model below it: the candidate itself, or the bundle made of it."""
    manifest: Manifest
    evidence: Evidence
    verdict: Verdict
    triggers: Path | None
    triggers_sha256: str | None

    @property
    def ref(self) -> ModelRef:
        """The version."""
        return self.pulled.model

    def job(self, seed: int, task: RepairTask) -> ScanJob:
        """Return the job of one attempt."""
        settings, policy, samples = self.request.settings, self.request.rules.policy, self.pulled.samples
        assert samples is not None
        return ScanJob(
            role="repairer",
            model=self.ref,
            manifest=self.manifest,
            root=str(self.root),
            policy=policy,
            seed=seed,
            deadline_seconds=settings.seconds(policy),
            repair=task,
            **samples.of_job(self.base),
            **settings.limits(policy),
        )

    def check_command(self, uri: str, *, mark: bool) -> str:
        """Return the command of the judging scan, by the policy's own seed, which no attempt has used."""
        rules, samples = self.request.rules, self.pulled.samples
        given = Given(
            policy=rules.word,
            samples=samples.source if samples else "",
            bank=rules.bank.source if rules.bank and rules.bank.by_option else "",
        )
        return Commands(uri, given).check(*([] if mark else ["--no-mark"]))


def pull_parent(registry: Registry, request: ParentRequest, ref: ModelRef, own: CheckFiles, base: Path) -> Pulled:
    """Pull the parent and its clean samples, which every repair needs."""
    asked = request.rules.pull_of(request.uri)
    none = UsageError(
        "there are no clean samples, and no repair can be measured without them",
        what_to_do="Pass labelled clean samples with --samples, or pin them under 'samples' in the policy.",
    )
    brought = bring_samples(registry, asked, base, ref, request.settings, without=none)
    return pull_model(registry, asked, own, base, ref, brought)


def take_parent(
    request: ParentRequest, pulled: Pulled, own: CheckFiles, base: Path, progress: Progress, tell: Tell
) -> Parent:
    """Find or make the parent's evidence, judge it, and return the parent if it can be repaired."""
    source, evidence = _evidence(request, pulled, own, base, progress, tell)
    verdict = judge(evidence, request.rules.policy, on=today())
    if verdict.decision is Decision.APPROVED and not request.even_if_approved:
        raise UsageError(
            f"nothing stands against {pulled.model} under this policy, so that there is nothing to repair",
            what_to_do="Repair what is flagged; --even-if-approved tries all the same where the scan has suspects.",
        )
    root, manifest = _code_free(pulled, evidence, source, base)
    triggers = _triggers(source, base)
    return Parent(
        request=request,
        pulled=pulled,
        base=base,
        root=root,
        manifest=manifest,
        evidence=evidence,
        verdict=verdict,
        triggers=triggers,
        triggers_sha256=file_sha256(triggers) if triggers else None,
    )


def _evidence(
    request: ParentRequest, pulled: Pulled, own: CheckFiles, base: Path, progress: Progress, tell: Tell
) -> tuple[Path, Evidence]:
    """Return the evidence of these bytes, and the directory of its triggers and bundle."""
    if request.earlier is not None:
        given = CheckFiles(request.earlier.absolute())
        evidence = given.evidence()
        if evidence.manifest_digest != pulled.digest:
            raise UsageError(
                f"{request.earlier} is a check of other bytes: {evidence.manifest_digest}; {pulled.model} is now "
                f"{pulled.digest}",
                what_to_do="Name the directory of a check of this version, or leave --from out and it is scanned now.",
            )
        return given.root, evidence
    if (earlier := _finished(request, pulled, own)) is not None:
        tell(f"{pulled.model} was scanned before; its evidence is reused")
        return own.root, earlier
    tell(f"scanning {pulled.digest[:19]}… ({len(pulled.files)} files)")
    evidence = scan_into(own, request.rules.scan_of(pulled, base, request.settings), progress)
    conclude(evidence, Context(request.uri, pulled.model, request.rules, pulled, str(own.root)), own)
    return own.root, evidence


def _finished(request: ParentRequest, pulled: Pulled, own: CheckFiles) -> Evidence | None:
    """Return the evidence that an earlier run of this remediation left, if it is of the same bytes and policy."""
    if not (own.root / EVIDENCE).exists():
        return None
    try:
        evidence, verdict = own.evidence(), own.verdict()
    except (UsageError, MalformedError):
        return None
    policy = request.rules.policy
    found = (evidence.manifest_digest, verdict.policy_digest, verdict.evidence_digest, evidence.seed)
    asked = (pulled.digest, policy.digest, evidence.digest, request.settings.seed_by(policy))
    return evidence if found == asked else None


def _code_free(pulled: Pulled, evidence: Evidence, source: Path, base: Path) -> tuple[Path, Manifest]:
    """Return the code-free model to repair: the candidate, or the bundle that its check wrote."""
    if evidence.bundle_digest is not None and (evidence.assurance == "B" or evidence.facts.format != "pt2"):
        to = base / BUNDLE_FOLDER
        if (source / BUNDLE_FOLDER).is_dir():
            shutil.copytree(source / BUNDLE_FOLDER, to, symlinks=True)
        manifest, problems = build_manifest(to)
        if problems or manifest.digest != evidence.bundle_digest:
            raise UsageError(
                f"the bundle in {source / BUNDLE_FOLDER} is not the one that was checked: expected "
                f"{evidence.bundle_digest}, got {manifest.digest}",
                what_to_do="Check the candidate again with --allow-code, or leave --from out.",
            )
        return to, manifest
    if evidence.assurance == "A" and evidence.facts.format == "pt2":
        return base / MODEL_FOLDER, pulled.manifest
    found = f"level {evidence.assurance}, {evidence.facts.format or 'not loaded'}" if evidence.assurance else "no level"
    raise UsageError(
        f"only an exported program (model.pt2) that was read without code can be repaired, or the bundle made of one; "
        f"this candidate is of {found}",
        what_to_do="Log it in MLflow's default format (pt2); a model with code of its own: --allow-code.",
    )


def _triggers(source: Path, base: Path) -> Path | None:
    """Copy the scan's triggers beside the model, as bytes that only the worker reads."""
    path, to = source / TRIGGERS_FILE, base / TRIGGERS_FILE
    if path.is_symlink() or not path.is_file() or path.stat().st_size > MAX_TRIGGERS_BYTES:
        return None
    shutil.copyfile(path, to)
    return to

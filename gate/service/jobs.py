"""One check in the service: four repeatable steps (docs/reference/contracts.md, section 2).

A step whose inputs are gone, because another host takes over a check, makes them again first. Steps share only files in
the check's own folder; `publish` writes the same signed decision each time it runs on the same files.
"""

import datetime as dt
import hashlib
import shutil
import time
from pathlib import Path

from gate.attestations.keys import read_public_keys
from gate.check.adapter_base import asked_base
from gate.check.evidence import ScanSettings
from gate.check.files import EVIDENCE, MANIFEST, MODEL_FOLDER, VERDICT, CheckFiles, remove
from gate.check.previous import Against
from gate.check.publish import publish, withdraw
from gate.check.pull import digest_now, pull_model
from gate.check.report import Context, conclude
from gate.check.rules import Rules, named_bank
from gate.check.samples import bring_samples
from gate.check.scan import scan_into
from gate.check.signing import Signing
from gate.jail.rights import make_private
from gate.policies.read import read_policy
from gate.records.artifact import ModelRef
from gate.records.bank import open_bank
from gate.records.clock import today
from gate.records.errors import CannotFinishError, RegistryError, UsageError
from gate.records.finding import Decision
from gate.records.previous import SERVES
from gate.records.record import Record
from gate.registries.contract import Registry
from gate.service.counting import count_verdict
from gate.service.logs import log
from gate.service.settings import ModelSection, Settings

_PUBLISHED = "published"


class ChangedError(CannotFinishError):
    """The version's bytes or the policy have changed since the check was queued."""


class Job(Record):
    """The version and policy of one check, from which its workflow's id is made."""

    name: str
    version: str
    digest: str
    policy_digest: str
    round: int = 0
    """Number of earlier checks of the same that could not finish."""

    @property
    def ref(self) -> ModelRef:
        """The version."""
        return ModelRef(registry="mlflow", name=self.name, version=self.version)

    @property
    def workflow_id(self) -> str:
        """Registered model, version, manifest digest and policy digest."""
        again = f"/{self.round}" if self.round else ""
        return f"check/{self.name}/{self.version}/{self.digest}/{self.policy_digest}{again}"


def read_rules(section: ModelSection) -> Rules:
    """Read policy and bank of one model as they are now."""
    return rules_on(today(), section)


def rules_on(day: dt.date | None, section: ModelSection) -> Rules:
    """Read policy and bank of one model; a waiver that is expired on the day is an error, on none without."""
    policy = read_policy(section.policy, on=day)
    bank = open_bank(section.bank) if section.bank is not None else named_bank(policy, section.policy)
    return Rules(policy, section.policy, section.samples, bank)


class Checks:
    """The steps of a check."""

    def __init__(self, settings: Settings, registry: Registry, signing: Signing) -> None:
        self._settings, self._registry, self._signing = settings, registry, signing
        self._root = settings.file.data / "checks"
        self._sweep()

    def rules(self, name: str) -> Rules:
        """Return the rules of a candidate model; one that is not configured is a `UsageError`."""
        return read_rules(self._settings.section(name))

    def identify(self, name: str, version: str) -> Job:
        """Download a version only to hash it, and return the job of its check.

        One that the gate refuses to fetch or cannot hash, while the registry answers, is flagged: its contents are
        candidate-controlled.
        """
        policy = self.rules(name).policy
        ref = ModelRef(registry="mlflow", name=name, version=version)
        try:
            digest = digest_now(self._registry, ref, policy.artifact_stores)
        except (RegistryError, UsageError):
            raise
        except Exception as error:
            withdraw(self._registry, ref, str(error), log)
            raise
        return Job(name=name, version=version, digest=digest, policy_digest=policy.digest)

    def folder(self, job: Job) -> Path:
        """Return the folder of a check's files on this host."""
        return self._root / hashlib.sha256(job.workflow_id.encode()).hexdigest()[:32]

    def run(self, step: str, job: Job) -> str:
        """Run one step by its name and return its result."""
        steps = {"pull": self.pull, "scan": self.scan, "judge": self.judge, "publish": self.publish}
        return steps[step](job)

    def pull(self, job: Job) -> str:
        """Copy the version and hash it, unless it was done on this host."""
        files, work = CheckFiles.create(self.folder(job)), self._work(job)
        if (files.root / MANIFEST).exists() and (work / MODEL_FOLDER).is_dir():
            return files.pulled().digest
        rules = self._same_rules(job)  # which may have changed: nothing is marked before
        remove(work)
        work.mkdir(parents=True, mode=0o700)
        make_private(work)
        base = asked_base(self._settings.section(job.name).base)
        request = rules.pull_of(str(job.ref), self._against(job), base)
        self._registry.require_marking(job.ref)
        brought = bring_samples(self._registry, request, work, job.ref, self._scan_settings(job))
        pulled = pull_model(self._registry, request, files, work, job.ref, brought)
        if pulled.digest != job.digest:
            (files.root / MANIFEST).unlink()
            remove(work)
            raise ChangedError(f"the bytes of {job.ref} changed: expected {job.digest}, got {pulled.digest}")
        return pulled.digest

    def _against(self, job: Job) -> Against:
        """Return what a candidate is compared with: the first protected alias of its production model, or its own."""
        section, places = self._settings.section(job.name), self._settings.file.public_keys
        keys = (self._signing.key.public, *(read_public_keys(places) if places else ()))
        alias = next(iter(section.aliases), SERVES)
        return Against(f"models:/{section.production or job.name}@{alias}", keys=keys, log=self._signing.log)

    def scan(self, job: Job) -> str:
        """Examine the copy, unless it was done on this host."""
        files = CheckFiles.create(self.folder(job))
        if not (files.root / EVIDENCE).exists():
            self.pull(job)
            request = self._same_rules(job).scan_of(files.pulled(), self._work(job), self._scan_settings(job))
            scan_into(files, request, lambda *_: None)
        return f"sha256:{files.evidence().content_sha256}"

    def _scan_settings(self, job: Job) -> ScanSettings:
        return self._settings.scan(allow_code=self._settings.section(job.name).allow_code)

    def judge(self, job: Job) -> str:
        """Judge and write the reports, unless it was done on this host."""
        files = CheckFiles.create(self.folder(job))
        if not (files.root / VERDICT).exists() or not (files.root / "report.json").exists():
            self.scan(job)
            rules, pulled = self._same_rules(job), files.pulled()
            context = Context(str(job.ref), job.ref, rules, pulled, str(files.root))
            conclude(files.evidence(), context, files)
        return files.verdict().decision.value

    def publish(self, job: Job) -> str:
        """Sign, log and mark, and remove the private copy of the model."""
        self.judge(job)
        files = CheckFiles.create(self.folder(job))
        verdict, _ = publish(self._registry, files, self._signing, log)
        (files.root / _PUBLISHED).write_text(job.workflow_id)
        remove(self._work(job))
        count_verdict(verdict, files.report())
        return verdict.decision.value

    def give_up(self, job: Job, *, flag: bool = True) -> str:
        """Remove the private copy of a version that could not be examined, and flag it where asked to."""
        remove(self._work(job))
        if flag:
            withdraw(self._registry, job.ref, "its check could not finish", log, job.digest)
        return Decision.FLAGGED.value

    def _same_rules(self, job: Job) -> Rules:
        rules = self.rules(job.name)
        if rules.policy.digest != job.policy_digest:
            raise ChangedError(f"the policy of {job.name!r} has changed since the check of {job.ref} was queued")
        return rules

    def _work(self, job: Job) -> Path:
        return self.folder(job) / "work"

    def _sweep(self) -> None:
        self._root.mkdir(parents=True, exist_ok=True)
        oldest = time.time() - dt.timedelta(days=self._settings.file.work.keep_days).total_seconds()
        for mark in self._root.glob(f"*/{_PUBLISHED}"):
            if mark.stat().st_mtime < oldest:
                shutil.rmtree(mark.parent, ignore_errors=True)

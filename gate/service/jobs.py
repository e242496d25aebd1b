"""One check in the service: four repeatable steps (docs/reference/contracts.md, section 2) for a configured model."""

import datetime as dt
import hashlib
import shutil
import time
from pathlib import Path

from gate.attestations.keys import read_public_keys
from gate.check.base_model import asked_base
from gate.check.files import CheckFiles, remove
from gate.check.previous import Against
from gate.check.publish import withdraw
from gate.check.pull import digest_now
from gate.check.repeatable import WORK, ChangedError, RepeatableCheck
from gate.check.rules import Rules, named_bank
from gate.check.signing import Signing
from gate.policies.read import read_policy
from gate.records.artifact import ModelRef
from gate.records.bank import open_bank
from gate.records.clock import today
from gate.records.errors import RegistryError, UsageError
from gate.records.finding import Decision
from gate.records.previous import SERVES
from gate.records.record import Record
from gate.registries.contract import Registry
from gate.service.counting import count_verdict
from gate.service.logs import log
from gate.service.settings import ModelSection, Settings

_PUBLISHED = "published"


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
            digest = digest_now(self._registry, ref, policy.download, policy.artifact_stores)
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
        return self._check(job).pull()

    def scan(self, job: Job) -> str:
        """Examine the copy, unless it was done on this host."""
        return self._check(job).scan()

    def judge(self, job: Job) -> str:
        """Judge and write the reports, unless it was done on this host."""
        return self._check(job).judge()

    def publish(self, job: Job) -> str:
        """Sign, log and mark, and remove the private copy of the model."""
        verdict, _ = self._check(job).publish(log)
        (self.folder(job) / _PUBLISHED).write_text(job.workflow_id)
        count_verdict(verdict, CheckFiles(self.folder(job)).report())
        return verdict.decision.value

    def _check(self, job: Job) -> RepeatableCheck:
        section = self._settings.section(job.name)
        return RepeatableCheck(
            registry=self._registry,
            ref=job.ref,
            digest=job.digest,
            root=self.folder(job),
            rules=lambda: self._same_rules(job),
            asked=lambda rules: rules.pull_of(str(job.ref), self._against(job), asked_base(section.base)),
            settings=self._settings.scan(allow_code=section.allow_code),
            signing=self._signing,
        )

    def _against(self, job: Job) -> Against:
        """Return what a candidate is compared with: the first protected alias of its production model, or its own."""
        section, places = self._settings.section(job.name), self._settings.file.public_keys
        keys = (self._signing.key.public, *(read_public_keys(places) if places else ()))
        alias = next(iter(section.aliases), SERVES)
        return Against(f"models:/{section.production or job.name}@{alias}", keys=keys, log=self._signing.log)

    def give_up(self, job: Job, *, flag: bool = True) -> str:
        """Remove the private copy of a version that could not be examined, and flag it where asked to."""
        remove(self.folder(job) / WORK)
        if flag:
            withdraw(self._registry, job.ref, "its check could not finish", log, job.digest)
        return Decision.FLAGGED.value

    def _same_rules(self, job: Job) -> Rules:
        rules = self.rules(job.name)
        if rules.policy.digest != job.policy_digest:
            raise ChangedError(f"the policy of {job.name!r} has changed since the check of {job.ref} was queued")
        return rules

    def _sweep(self) -> None:
        self._root.mkdir(parents=True, exist_ok=True)
        oldest = time.time() - dt.timedelta(days=self._settings.file.work.keep_days).total_seconds()
        for mark in self._root.glob(f"*/{_PUBLISHED}"):
            if mark.stat().st_mtime < oldest:
                shutil.rmtree(mark.parent, ignore_errors=True)

"""A scan's request and settings, and its evidence: the workers' claims joined with what the orchestrator knows.

A worker may be candidate-controlled, and never states which model, bytes, samples or bank were examined.
"""

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from gate import VERSION
from gate.check.base_model import FOLDER as BASE_FOLDER
from gate.check.base_model import evidence_of_base
from gate.check.files import MODEL_FOLDER, Pulled
from gate.check.resume import Unfinished
from gate.formats.sealing import PULL_AGAIN
from gate.judging.calibration.calibrate import compare
from gate.policies.declared import compared_statistics, option_digests
from gate.records.artifact import Manifest, build_manifest
from gate.records.bank import Bank, OpenBank
from gate.records.bank_evidence import MAX_ACCEPTED, BankEvidence, SelfMadeEvidence
from gate.records.bundle import BundleFacts
from gate.records.evidence import Evidence
from gate.records.job import ScanResult
from gate.records.policy import Policy
from gate.records.previous import PreviousEvidence, VersionEvidence
from gate.records.samples_evidence import SamplesEvidence


@dataclass(frozen=True)
class ScanSettings:
    """An operator's settings for one scan, beyond the policy."""

    seed: int | None = None
    device: Literal["auto", "cpu", "cuda"] | None = None
    deadline_seconds: float | None = None
    allow_code: bool = False
    memory_gib: float = 12.0
    """Address space of a worker without a GPU."""
    arithmetic: Literal["auto", "as-read"] = "auto"
    threads: int = 0
    isolation: Literal["full", "partial", "none"] | None = None
    """Least isolation in which the scan may run; None: the policy's."""
    probe_seed: str | None = field(default=None, repr=False)
    """Seed of the secret probes, which only workers get that run no code of the candidate; None: there are none."""

    def limits(self, policy: Policy) -> dict[str, Any]:
        """Return a worker's limits, as fields of its job; the policy's where none is set here."""
        return {
            "device": self.device or policy.device,
            "memory_bytes": int(self.memory_gib * 2**30),
            "arithmetic": self.arithmetic,
            "threads": self.threads,
            "least_isolation": self.isolation or policy.isolation,
        }

    def seconds(self, policy: Policy) -> float:
        """Return the scan's deadline in seconds."""
        return self.deadline_seconds or policy.deadline

    def seed_by(self, policy: Policy) -> int:
        """Return the seed of the scan."""
        return policy.seed if self.seed is None else self.seed


@dataclass(frozen=True)
class HashedFolder:
    """A folder that a worker reads, and its manifest from when it was hashed."""

    root: Path
    manifest: Manifest


@dataclass(frozen=True)
class ScanRequest:
    """A pulled copy below `base`, and the policy and settings of its scan."""

    pulled: Pulled
    base: Path
    policy: Policy
    settings: ScanSettings
    bank: OpenBank | None = None
    unfinished: Unfinished | None = None
    """File of finished outcomes; None: an interrupted scan starts again from the beginning."""

    @property
    def seed(self) -> int:
        """The seed of the scan."""
        return self.settings.seed_by(self.policy)

    @property
    def beside(self) -> "HashedFolder | None":
        """The copy of an adapter's base; None without one."""
        return HashedFolder(self.base / BASE_FOLDER, self.pulled.base.manifest) if self.pulled.base else None

    @property
    def on_the_way(self) -> "ScanRequest":
        """The same without a base, for what is asked before the end: a base has gigabytes, and is hashed once there."""
        return replace(self, pulled=self.pulled.model_copy(update={"base": None}))

    @property
    def candidate(self) -> "HashedFolder":
        """The pulled copy."""
        return HashedFolder(self.base / MODEL_FOLDER, self.pulled.manifest)


def evidence_of(
    request: ScanRequest, result: ScanResult, bundle: HashedFolder | None = None, facts: BundleFacts | None = None
) -> Evidence:
    """Join the worker's result, about the bundle where there is one, with what the orchestrator knows itself."""
    pulled = request.pulled
    changed = (*_changed(request.candidate, "model", "pull"), *_other_policy(request))
    changed += _changed(bundle, "bundle", "writing") if bundle else ()
    changed += _changed(request.beside, "base", "pull") if request.beside else ()
    unread = (pulled.repair_problem,) if pulled.repair_problem else ()
    evidence = Evidence(
        gate_version=VERSION,
        model=pulled.model,
        manifest_digest=pulled.digest,
        bundle_digest=bundle.manifest.digest if bundle else None,
        bundle=facts,
        policy_digest=request.policy.digest,
        assurance=result.assurance,
        isolation=result.isolation,
        worker_user=result.user,
        device=result.device,
        seed=request.seed,
        facts=result.facts,
        samples=_samples(request, result),
        bank=_bank(request, result),
        base=evidence_of_base(pulled.base),
        previous=_previous(request, result),
        history=pulled.history,
        stages=result.stages,
        outcomes=result.outcomes,
        suspects=result.suspects,
        repair=pulled.repair,
        problems=tuple(text[:2000] for text in (*pulled.problems, *unread, *result.problems, *changed)),
        pictures=result.pictures,
        excerpts=result.excerpts,
        projections=result.projections,
        versions=result.versions,
        seconds={"pull": pulled.seconds, **result.seconds},
        plan=result.plan,
    )
    return _compared(request, evidence)


def _compared(request: ScanRequest, evidence: Evidence) -> Evidence:
    """Return the evidence with the candidate's rank among the bank's models, where the two can be compared."""
    if request.bank is None or evidence.bank is None:
        return evidence
    seed, settings = request.settings.probe_seed, option_digests(request.policy)
    comparison = compare(evidence, request.bank.bank, settings, compared_statistics(), seed)
    return evidence.model_copy(update={"bank": evidence.bank.model_copy(update={"comparison": comparison})})


def _samples(request: ScanRequest, result: ScanResult) -> SamplesEvidence | None:
    """Return the worker's account of the samples, with source and digest from the orchestrator."""
    given, seen = request.pulled.samples, result.samples
    if given is None or seen is None:
        return None
    reading = request.policy.samples.of(request.pulled.model.name).reading
    known = {"source": given.source, "sha256": given.sha256, "overridden": given.overridden, "reading": reading}
    return seen.model_copy(update=known)


def _bank(request: ScanRequest, result: ScanResult) -> BankEvidence | None:
    """Return the scan's bank; the worker says only which of its models it could use."""
    given = request.bank
    if given is None:
        return None
    return BankEvidence(
        digest=f"sha256:{given.sha256}",
        count=max(len(given.bank.references), len(given.bank.statistics)),
        same_task=any(reference.used for reference in result.references),
        name=given.bank.name,
        source=given.source[:2000],
        by_option=given.by_option,
        references=result.references,
        self_made=_self_made(given.bank, request.pulled.digest),
        accepted=_accepted(given.bank),
    )


def _previous(request: ScanRequest, result: ScanResult) -> PreviousEvidence | None:
    """Return the versions beside the candidate; the worker says only why it could not compare one."""
    given = request.pulled.previous
    if given is None:
        return None
    claims = result.previous or (None,) * len(given.versions)
    versions = [
        VersionEvidence(
            uri=str(version.model)[:2000],
            digest=version.manifest.digest,
            serves=version.serves,
            approved=version.approved,
            key=version.key,
            why=version.why or ("the candidate was not measured beside it" if claim is None else claim.why),
        )
        for version, claim in zip(given.versions, claims, strict=True)
    ]
    return PreviousEvidence(asked=given.asked, why=given.why, versions=tuple(versions))


def _self_made(bank: Bank, digest: str) -> SelfMadeEvidence | None:
    """Return where the models of a self-made bank come from, for a candidate with this digest."""
    made = bank.self_made
    if made is None:
        return None
    return SelfMadeEvidence(whose="" if made.candidate_digest == digest else made.candidate, data=made.data)


def _accepted(bank: Bank) -> tuple[str, ...]:
    """Return the bank's models that the operator accepted despite a finding, with the reasons, a few of many."""
    listed = [f"{one.model[:200]}, though {one.against[:600]}: {one.accepted[:1000]}" for one in bank.accepted]
    more = len(listed) - MAX_ACCEPTED + 1
    return tuple(listed) if more <= 1 else (*listed[: MAX_ACCEPTED - 1], f"and {more} more")


def _changed(place: HashedFolder, what: str, since: str) -> tuple[str, ...]:
    """Return a problem where a folder has changed; the orchestrator hashes it after the worker's end."""
    found, pulled = build_manifest(place.root)[0], place.manifest
    if found.digest == pulled.digest:
        return ()
    before = {file.path: file.sha256 for file in pulled.files}
    after = {file.path: file.sha256 for file in found.files}
    path = next(path for path in sorted({*before, *after}) if before.get(path) != after.get(path))
    then, now = (f"sha256:{one[path]}" if path in one else "absent" for one in (before, after))
    text = (
        f"The {what} changed between {since} and scan, so that nothing can be said of it: then {pulled.digest}, now "
        f"{found.digest}; its file {path[:200]!r} was {then} and is {now}. {PULL_AGAIN}"
    )
    return (text,)


def _other_policy(request: ScanRequest) -> tuple[str, ...]:
    """Return a problem where scan and pull used different policies, which may name different samples."""
    pulled, scans = request.pulled.policy_digest, request.policy.digest
    if pulled is None or pulled == scans:
        return ()
    text = (
        f"The policy changed between pull and scan: pulled by {pulled}, scanned by {scans}. "
        "Pull and scan by one policy; `gate judge` may use another."
    )
    return (text,)

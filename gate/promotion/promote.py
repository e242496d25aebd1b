"""`gate promote`: a copy of the gate's own bundle becomes a version of a production model.

In order: verify the signed decision, fetch the bundle, compare digests, store it as the gate's own model, make the
version from it, read it back and compare again, ask the review log once more, and set the alias last. An interruption
before that leaves production as it was; the next run finds by the promotion's key what the first one left, and
completes it.
"""

import datetime as dt
import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from gate import VERSION
from gate.attestations.envelope import Expected, envelope_digest, verify
from gate.attestations.log import Audit, Said
from gate.attestations.statement import Predicate, Statement
from gate.check.files import private_directory
from gate.check.pull import downloaded
from gate.promotion.bundles import OtherBytesError, copy_of, fetch_bundle, kept_copies
from gate.promotion.reading import REPORTS
from gate.promotion.verification import ATTESTATION_TAG, Trust, against, superseded
from gate.records.activity import Tell
from gate.records.artifact import ModelRef, build_manifest
from gate.records.errors import CannotFinishError, RegistryError, UnexaminableError, UsageError
from gate.records.policy import DownloadBounds
from gate.records.provenance import PROVENANCE, Provenance
from gate.registries.contract import ProductionRegistry

PROMOTION_TAG = "gate.promotion"


class NotApprovedError(UnexaminableError):
    """The version may not be promoted, for every reason in `reasons` (exit 1)."""

    def __init__(self, ref: ModelRef, reasons: tuple[str, ...]) -> None:
        super().__init__(
            f"{ref} is not promoted: " + " ".join(reasons),
            what_to_do="`gate check` makes a signed decision, `gate review` turns flagged into approved.",
        )
        self.reasons = reasons


@dataclass(frozen=True)
class Promotion:
    """What to promote, and where to."""

    uri: str
    to: str
    """Name of the production model."""
    alias: str
    trust: Trust
    bundle: Path | None = None
    """Folder of the bundle; None fetches it from the gate's own run."""


@dataclass(frozen=True)
class Promoted:
    """A completed promotion."""

    candidate: ModelRef
    version: ModelRef
    digest: str
    before: ModelRef | None
    """Version that the alias named before."""
    losses: tuple[str, ...] = ()
    """Features that the candidate offers its consumers and the bundle does not."""


def promote(registry: ProductionRegistry, request: Promotion, at: dt.datetime, tell: Tell) -> Promoted:
    """Promote one version whose signed approval holds; raise `NotApprovedError` with every reason where it does not."""
    _require_other_model(request)
    registry = registry.allowing(request.trust.stores)
    ref = registry.resolve(request.uri)
    facts = registry.facts(ref)
    envelope = facts.tags.get(ATTESTATION_TAG, "")
    statement = _approval(ref, envelope, request, at)
    with private_directory() as folder:
        tell(f"fetching the bundle of {ref}")
        root, digest = _fetch(registry, request, statement, folder)
        lost = Provenance.from_file(root / PROVENANCE).losses
        key = hashlib.sha256(f"{request.to}\n{digest}\n{envelope_digest(envelope)}".encode()).hexdigest()
        made = _version(registry, request, root, _tags(statement, envelope, key, facts.tags), digest, tell)
    before = registry.alias(request.to, request.alias)
    if request.trust.log is not None:
        user = registry.user()
        where, who = f"{made} as {request.alias}", user.name if user else ""
        said = Said("promotion", ref, statement.predicate.model_digest, where, envelope, who)
        request.trust.log.append(partial(_still_approved, statement, said, request.trust), at)
    if before != made:
        tell(f"setting {request.to}@{request.alias} to version {made.version}")
        registry.set_alias(made, request.alias)
    return Promoted(ref, made, digest, before, lost)


def _still_approved(statement: Statement, said: Said, trust: Trust, found: Audit) -> Said:
    """Return the promotion's line if the log holds nothing against it, now that nobody else can write to it."""
    if reasons := against(statement, said.envelope, found, trust):
        raise NotApprovedError(said.model, reasons)
    return said


def _version(
    registry: ProductionRegistry, request: Promotion, root: Path, tags: Mapping[str, str], digest: str, tell: Tell
) -> ModelRef:
    """Return the production version with these bytes: an interrupted run's, or a new one."""
    key = tags[PROMOTION_TAG]
    found = registry.promoted(request.to, key)
    if found is not None and _same_bytes(registry, found, digest, request.trust.download):
        registry.mark(found, tags)
        return found
    tell(f"storing {digest[:19]}… as the gate's own model")
    made = registry.create_version(request.to, registry.log_model(root, key), tags)
    if not _same_bytes(registry, made, digest, request.trust.download):
        # Somebody writes into the store past the registry, or the store is faulty.
        raise CannotFinishError(
            f"{made} does not read back as what was stored; the alias {request.alias!r} was left alone",
            what_to_do="Delete that version, see who can write to the artifact store, and run it again.",
        )
    return made


def _require_other_model(request: Promotion) -> None:
    name = request.uri.removeprefix("models:/").split("/")[0].split("@")[0]
    if name == request.to:
        raise UsageError(
            f"{request.uri} is a version of {request.to!r} itself",
            what_to_do="Promote into another registered model, on which only the gate may write.",
        )
    if not re.fullmatch(r"[\w-]{1,255}", request.alias) or re.fullmatch(r"latest|v\d+", request.alias):
        raise UsageError(f"{request.alias!r} is no alias; expected letters, digits, '-' and '_', not 'latest' or 'v1'")


def _approval(ref: ModelRef, envelope: str, request: Promotion, at: dt.datetime) -> Statement:
    """Return the statement that approves this version, before anything is downloaded."""
    expected = Expected(None, request.trust.policy_digest, ref, request.trust.candidate)
    found = verify(envelope, request.trust.keys, at, expected)
    reasons = (*found.reasons, *superseded(found, envelope, request.trust))
    if found.statement is None or reasons:
        raise NotApprovedError(ref, reasons)
    return found.statement


def _fetch(registry: ProductionRegistry, request: Promotion, statement: Statement, folder: Path) -> tuple[Path, str]:
    """Fetch the approved bundle into the folder; return its path and digest."""
    predicate = statement.predicate
    if predicate.covers is None or predicate.bundle_digest is None:
        raise NotApprovedError(predicate.model, (_no_bundle(predicate),))
    digest = predicate.bundle_digest
    given, bounds = request.bundle, request.trust.download
    copies = [copy_of(given)] if given is not None else kept_copies(registry, digest, bounds)
    try:
        root, manifest = fetch_bundle(copies, digest, folder)
    except OtherBytesError as error:
        raise NotApprovedError(predicate.model, (str(error),)) from None
    return root, manifest.digest


def _no_bundle(predicate: Predicate) -> str:
    if predicate.covers is None:
        return (
            f"It was decided by gate {predicate.gate_version}, which promoted the candidate's own bytes; this gate "
            "promotes the bundle that it writes. Run `gate check` again."
        )
    if predicate.examined == "files":
        return (
            "Its bytes alone were judged and a reviewer approved them as they lie; behaviour was not examined, so that "
            "no bundle was written, and `gate promote` copies bundles alone. Deploy the version itself, and let "
            "`gate verify` hold its bytes against this approval."
        )
    return (
        "No bundle could be written of it, as its report says: it was scanned, and can be approved as it lies, but "
        "`gate promote` copies bundles alone."
    )


def _same_bytes(registry: ProductionRegistry, ref: ModelRef, digest: str, bounds: DownloadBounds) -> bool:
    try:
        with downloaded(registry, ref, bounds) as folder:
            manifest, problems = build_manifest(folder)
    except RegistryError:
        return False
    return not problems and manifest.digest == digest


def _tags(statement: Statement, envelope: str, key: str, candidate: Mapping[str, str]) -> Mapping[str, str]:
    predicate, reports = statement.predicate, candidate.get("gate.report", "")
    return {
        "gate.decision": predicate.decision.value,
        "gate.model_digest": predicate.model_digest,
        "gate.bundle_digest": str(predicate.bundle_digest),
        "gate.covers": str(predicate.covers),
        "gate.policy": f"{predicate.policy_name}@{predicate.policy_digest}",
        "gate.evidence_digest": predicate.evidence_digest,
        **({"gate.report": reports} if REPORTS.fullmatch(reports) else {}),
        "gate.promoted_from": str(predicate.model),
        "gate.version": VERSION,
        ATTESTATION_TAG: envelope,
        PROMOTION_TAG: key,
    }

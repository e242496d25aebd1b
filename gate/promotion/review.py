"""`gate review`: a reviewer's decision about a flagged version, which is signed, dated, logged and expires.

The reviewer's name comes from the registry's authentication, is in the policy's list, and belongs to somebody who
cannot change the candidate. A version that was not loaded, or was only measured alive (levels none and C), is never
approved, except one whose bytes passed a policy that judges nothing else, which only a reviewer can approve.
"""

import datetime as dt
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from gate.attestations.auditing import moved
from gate.attestations.envelope import claimed, sign
from gate.attestations.keys import PublicKey
from gate.attestations.log import Audit, Said, newest_decision
from gate.attestations.reviewing import reviewed
from gate.attestations.standing import digests_of, not_newest, rejections
from gate.attestations.statement import Predicate, Statement, Voice
from gate.check.pull import digest_now
from gate.check.signing import Signing
from gate.promotion.bundles import OtherBytesError
from gate.promotion.review_files import bundle_manifest, review_files, store
from gate.promotion.verification import ATTESTATION_TAG
from gate.promotion.waiting import Waiting, look
from gate.records.artifact import Manifest, ModelRef
from gate.records.errors import RegistryError, UnexaminableError, UsageError
from gate.records.finding import Decision
from gate.records.policy import Policy, Reviewers
from gate.registries.contract import Credentials, ProductionRegistry, Registry

EVIDENCE_TAG = "gate.review_evidence"
_SHOWN_REASON = 500
_AGAIN = "Look at what was decided meanwhile with `gate review show`, and decide again."


class NotReviewableError(UnexaminableError):
    """The version has no signed decision to review, or may never be approved (exit 1)."""


class DecisionChangedError(NotReviewableError):
    """The decision is no longer the one that the reviewer was shown (exit 1)."""


@dataclass(frozen=True)
class Review:
    """A reviewer's request."""

    uri: str
    outcome: Literal["approved", "rejected"]
    reason: str
    days: int
    """Days for which an approval holds."""
    policy: Policy
    keys: Sequence[PublicKey]
    stated: str | None = None
    """Reviewer's name, where the policy takes it from the command."""
    credentials: Credentials | None = None
    """Reviewer's own account, which the registry authenticates; None for the process's."""
    lifts: tuple[str, ...] = ()
    """Reviewers whom the policy no longer names, and whose rejections of these bytes are taken back."""
    shown: str | None = None
    """Digest of the envelope that the reviewer looked at; None for whichever stands."""


@dataclass(frozen=True)
class Reviewed:
    """A reviewer's decision that was signed, logged and marked, and what stands beside it."""

    statement: Statement
    files: Mapping[str, str]
    """Texts of the attestation, the verification summary and, of an approved bundle, its signature, by file name."""
    where: str
    """URI under which the registry keeps them; empty where it could not."""
    problem: str = ""


def review(registry: ProductionRegistry, request: Review, signing: Signing, at: dt.datetime) -> Reviewed:
    """Add a reviewer's voice to the signed decision: check both, sign, log, mark, and keep what other tools read."""
    rules = _require_rules(request, signing)
    seen = look(registry, request.uri, request.keys)
    _require_shown(seen, request)
    statement = _reviewable(registry, seen, request, signing, at)
    who = reviewer(registry, seen.ref, rules, request)
    voice = Voice(reviewer=who, outcome=request.outcome, reason=request.reason, at=at, lifts=request.lifts)
    envelope = seen.tags.get(ATTESTATION_TAG, "")
    bundle = _bundle(registry.allowing(request.policy.artifact_stores), statement, request, signing)
    assert signing.log is not None
    digest, made = statement.predicate.model_digest, []

    def signed(log: Audit) -> Said:
        # Another reviewer may have spoken while the model was hashed: what was shown must be the newest.
        if reasons := not_newest(statement, envelope, log.entries):
            raise DecisionChangedError(
                f"{seen.ref} cannot be {request.outcome}: {' '.join(reasons)}", what_to_do=_AGAIN
            )
        standing = rejections(log.entries, digests_of(statement.predicate))
        _require_liftable(request, rules, standing)
        limits = {"needed": rules.approvals, "days": request.days, "most": request.policy.most_days}
        made.append(reviewed(statement, voice, standing=standing, **limits))
        text = sign(made[-1].after(log.head), signing.key)
        return Said("review", seen.ref, digest, request.outcome, text, who, request.reason)

    said = signing.log.append(signed, at).envelope
    (new,) = made
    registry.mark(seen.ref, _tags(new, voice, said))
    files = review_files(new, said, signing, bundle)
    try:
        where = store(registry, seen.ref, files, said)
        registry.mark(seen.ref, {EVIDENCE_TAG: where})
    except RegistryError as error:
        return Reviewed(new, files, "", str(error))  # what was decided stands
    return Reviewed(new, files, where)


def _require_shown(seen: Waiting, request: Review) -> None:
    """Refuse a decision other than the one that the reviewer was shown."""
    if request.shown not in {None, seen.digest}:
        what = f"the decision about {seen.ref} has changed since you looked"
        raise DecisionChangedError(f"{what}: expected {request.shown}, got {seen.digest}", what_to_do=_AGAIN)


def _bundle(registry: Registry, statement: Statement, request: Review, signing: Signing) -> Manifest | None:
    """Return the files of the bundle that an approval may sign, fetched before anything is decided."""
    if request.outcome != "approved" or signing.model_key is None or statement.predicate.bundle_digest is None:
        return None
    try:
        return bundle_manifest(registry, statement.predicate.bundle_digest, request.policy.download)
    except OtherBytesError as error:
        raise NotReviewableError(
            f"{statement.predicate.model} cannot be approved: {error}", what_to_do="Run `gate check` on it again."
        ) from None


def _require_liftable(request: Review, rules: Reviewers, standing: Sequence[Voice]) -> None:
    """Refuse to take back another's rejection that is not there, or that its reviewer could take back."""
    rejecting = {voice.reviewer for voice in standing}
    for name in request.lifts:
        if name not in rejecting:
            raise UsageError(f"no rejection of these bytes by {name!r} stands in the review log")
        if name in rules.names:
            raise UsageError(
                f"{name!r} rejected these bytes, and the policy names {name!r}: nobody else takes that back",
                what_to_do=f"Let {name} approve them, or let the policy no longer name {name}.",
            )


def _require_rules(request: Review, signing: Signing) -> Reviewers:
    """Return the policy's rules for reviewers; refuse a request that is wrong by itself."""
    rules = request.policy.reviewers
    if rules is None:
        raise UsageError(
            f"the policy {request.policy.name!r} names no reviewers, so that nobody may decide",
            what_to_do="Add `reviewers: {names: […], approvals: 1}` to the policy, and check the version again.",
        )
    if signing.log is None:
        raise UsageError("a review is logged before it counts", what_to_do="Name the log with --audit-log.")
    if request.lifts and request.outcome != "approved":
        raise UsageError("a rejection takes no other back", what_to_do="Approve, or leave out --lift.")
    if not request.reason.strip():
        raise UsageError("a review needs a reason", what_to_do="Say with --reason what was looked at and why it holds.")
    if not 1 <= request.days <= rules.longest:
        raise UsageError(f"an approval of {request.days} days was asked for; the policy allows 1 to {rules.longest}")
    if len(set(rules.names)) < rules.approvals:
        raise UsageError(f"the policy asks for {rules.approvals} approvals and names {len(set(rules.names))} reviewers")
    return rules


def _reviewable(registry: Registry, seen: Waiting, request: Review, signing: Signing, at: dt.datetime) -> Statement:
    """Return the decision to review: trusted, newest, unexpired, of this policy and these bytes."""
    statement = seen.found.statement
    if statement is None:
        raise NotReviewableError(
            f"{seen.ref} cannot be reviewed: {' '.join(seen.found.reasons)}", what_to_do=_without_decision(seen)
        )
    predicate, envelope = statement.predicate, seen.tags.get(ATTESTATION_TAG, "")
    assert signing.log is not None
    scan = Said("scan", seen.ref, predicate.model_digest, predicate.decision.value, envelope)
    if predicate.log_head is None:
        # Checked where there was no log: the scan's decision enters it first.
        signing.log.append(lambda log: newest_decision(log.entries, scan.model, scan.digest) or scan, at)
    log = signing.log.whole()
    reasons = [*moved(log, request.keys), *not_newest(statement, envelope, log.entries)]
    if predicate.policy_digest != request.policy.digest:
        reasons.append(f"It was checked under {predicate.policy_digest}; the policy is {request.policy.digest} today.")
    expired = min(predicate.expires_at, predicate.latest_end(request.policy.most_days))
    if at >= expired:
        reasons.append(f"The decision expired at {expired.isoformat()}.")
    if request.outcome == "approved":
        reasons += _unapprovable(predicate)
    digest = digest_now(registry, seen.ref, request.policy.download, request.policy.artifact_stores)
    if digest != predicate.model_digest:
        reasons.append(f"Its bytes have changed since the check: expected {predicate.model_digest}, got {digest}.")
    if reasons:
        raise NotReviewableError(
            f"{seen.ref} cannot be {request.outcome}: {' '.join(reasons)}", what_to_do="Run `gate check` on it again."
        )
    return statement


def _without_decision(seen: Waiting) -> str:
    if claimed(seen.tags.get(ATTESTATION_TAG, "")) is not None:
        return "Trust the key that signed it with --public-key, or sign anew with `gate publish DIR --signing-key KEY`."
    return (
        "`gate publish DIR --signing-key KEY` signs the finished check in its report directory, in seconds; where that "
        f"is gone, `gate check {shlex.quote(str(seen.ref))} --samples SAMPLES --signing-key KEY` checks anew."
    )


def _unapprovable(predicate: Predicate) -> Iterator[str]:
    if predicate.decision is Decision.APPROVED:
        yield "It is approved already."
    if predicate.assurance not in {"A", "B"} and predicate.examined != "files":
        level = predicate.assurance or "none"
        yield f"Its assurance level is {level}: what was not loaded free of code is never approved."
    if predicate.covers is None:
        yield f"It was decided by gate {predicate.gate_version}, which wrote no bundle of its own."
    if predicate.covers == "bundle" and predicate.bundle_digest is None:
        yield "The policy serves the gate's bundle alone, and none was written of it."


def reviewer(registry: ProductionRegistry, ref: ModelRef, rules: Reviewers, request: Review) -> str:
    """Return the reviewer's name; a `UsageError` for anybody not on the list, or who may change the candidate."""
    if rules.identity == "stated":
        if not request.stated:
            raise UsageError("the policy takes the reviewer's name from the command; expected --reviewer NAME")
        name = request.stated
    else:
        if request.stated:
            raise UsageError(
                "--reviewer is refused: the policy takes the reviewer from the registry's authentication",
                what_to_do="Set GATE_REVIEWER_USERNAME and GATE_REVIEWER_PASSWORD to the reviewer's own account.",
            )
        user = registry.user(request.credentials)
        if user is None:
            raise UsageError(
                "the registry has no authentication that could say who the reviewer is",
                what_to_do="Run MLflow with `--app-name basic-auth`, or set `reviewers: {identity: stated}`.",
            )
        name = user.name
        if name in rules.names and registry.may_edit(user, ref.name, request.credentials):
            raise UsageError(
                f"{name!r} may change {ref.name!r}, and so may not review its versions",
                what_to_do="Let somebody with READ on the candidate review it; the gate's own account writes the tags.",
            )
    if name not in rules.names:
        raise UsageError(f"{name!r} is none of the policy's reviewers: {', '.join(rules.names)}")
    return name


def _tags(statement: Statement, voice: Voice, envelope: str) -> dict[str, str]:
    """Return the tags that show a review, the decision last; after a rejection it stays flagged."""
    predicate = statement.predicate
    assert predicate.review is not None
    word: str = predicate.review.outcome
    if word == "waiting":
        word = f"waiting, {len(predicate.review.voices)} of {predicate.review.needed} approved"
    shown = f"{word}; {voice.reviewer}: {voice.reason[:_SHOWN_REASON]}; until {predicate.expires_at:%Y-%m-%d}"
    # An earlier review's files are not this one's, which are stored last.
    return {
        "gate.review": shown,
        EVIDENCE_TAG: "none",
        ATTESTATION_TAG: envelope,
        "gate.decision": predicate.decision.value,
    }

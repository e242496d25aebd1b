"""The audit of a review log: its chain, and what its lines' signatures say of the lines before them."""

from collections.abc import Sequence
from dataclasses import replace

from gate.attestations.commitment import open_commitment
from gate.attestations.envelope import open_envelope
from gate.attestations.keys import PublicKey
from gate.attestations.log import DECISIONS, Audit, Entry, ReviewLog
from gate.attestations.statement import Voice


def audit(log: ReviewLog, keys: Sequence[PublicKey], head: str | None = None) -> Audit:
    """Check the chain, its signed decisions where keys are given, and its head where one is given."""
    found = log.read()
    faults = list(found.faults)
    if head is not None and head != found.head:
        faults.append(f"The log ends with {found.head}; expected {head}: its end was cut off, or lines were added.")
    for entry in found.entries if keys else ():
        if entry.event in DECISIONS and not entry.envelope:
            faults.append(f"Line {entry.number} holds no signed decision.")
        if entry.envelope:
            faults += _against(entry, keys)
    return replace(found, faults=tuple(faults))


def holds(found: Audit, head: str) -> bool:
    """Tell whether a log has, or had, this hash as its newest: nothing up to there was changed or cut off."""
    return head == found.head or any(entry.previous == head for entry in found.entries)


def moved(found: Audit, keys: Sequence[PublicKey]) -> tuple[str, ...]:
    """Return a fault if the newest line whose signature names the line before it follows another one.

    The chain up to that line is then not the one in which it was signed; one look vouches for all lines before it.
    """
    heads = ((entry, _signed_head(entry, keys)) for entry in reversed(found.entries))
    return next(((_moved(entry),) if head != entry.previous else () for entry, head in heads if head is not None), ())


def _moved(entry: Entry) -> str:
    return f"Line {entry.number} was signed after another line than {entry.previous[:19]}…: one is missing or changed."


def _signed_head(entry: Entry, keys: Sequence[PublicKey]) -> str | None:
    if not entry.envelope or entry.event not in {"commitment", *DECISIONS}:
        return None
    if entry.event == "commitment":
        made = open_commitment(entry.envelope, tuple(keys))
        return made.log_head if made else None
    statement = open_envelope(entry.envelope, keys).statement
    return statement.predicate.log_head if statement else None


def _against(entry: Entry, keys: Sequence[PublicKey]) -> list[str]:
    faults = _of_commitment(entry, keys) if entry.event == "commitment" else _of_decision(entry, keys)
    if not faults and _signed_head(entry, keys) not in {None, entry.previous}:
        faults.append(_moved(entry))
    return faults


def _of_decision(entry: Entry, keys: Sequence[PublicKey]) -> list[str]:
    opened = open_envelope(entry.envelope, keys)
    if opened.statement is None:
        return [f"Line {entry.number}: {reason}" for reason in opened.reasons]
    signed = opened.statement.predicate
    if (signed.model, signed.model_digest) != (entry.model, entry.digest):
        return [f"Line {entry.number} is about {entry.model}, and its signed decision about {signed.model}."]
    if entry.event == "scan" and entry.outcome != signed.decision.value:
        return [f"Line {entry.number} says {entry.outcome}, and its signed decision {signed.decision.value}."]
    return _of_voice(entry, signed.review.voices if signed.review else ()) if entry.event == "review" else []


def _of_voice(entry: Entry, voices: Sequence[Voice]) -> list[str]:
    said = next((voice for voice in voices if voice.reviewer == entry.who), None)
    if said is None:
        return [f"Line {entry.number} names {entry.who!r}, who has no voice in its signed decision."]
    if (said.outcome, said.reason) != (entry.outcome, entry.reason):
        words = f"{entry.outcome}: {entry.reason[:200]!r}, and the voice that was signed {said.outcome}"
        return [f"Line {entry.number} says {words}: {said.reason[:200]!r}."]
    return []


def _of_commitment(entry: Entry, keys: Sequence[PublicKey]) -> list[str]:
    signed = open_commitment(entry.envelope, tuple(keys))
    if signed is None:
        return [f"Line {entry.number} holds no commitment that a trusted key signed."]
    if (signed.model, signed.model_digest, signed.policy_digest) != (entry.model, entry.digest, entry.outcome):
        return [f"Line {entry.number} is about {entry.model}, and its signed commitment about {signed.model}."]
    return []

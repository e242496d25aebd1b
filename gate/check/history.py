"""The signed decisions on the versions before a candidate, from the tags of its model and the review log.

A tag is a claim of whoever may set it: only a statement that a trusted key signed about that very version counts, and
the newest one, where the log knows it. Nothing is downloaded, and no bytes are compared: these are decisions, not
approvals to rely on. A registry or log that cannot be read is a reason, and never the end of the check.
"""

from collections.abc import Iterator, Mapping, Sequence

from gate.attestations.envelope import UNSIGNED, open_envelope
from gate.attestations.keys import PublicKey
from gate.attestations.log import Entry
from gate.attestations.statement import Predicate
from gate.check.previous import ATTESTATION, Against, Versions
from gate.records.artifact import ModelRef
from gate.records.errors import GateError
from gate.records.history import MAX_HISTORY, History, PastDecision, scale_of

MOST_FORGED = 500
"""Most versions whose claims no trusted key signed that are opened: whoever may set tags could forge any number."""


def bring_history(versions: Versions, against: Against, candidate: ModelRef) -> History | None:
    """Return the newest signed decisions on versions before the candidate; None where no key or no number is known."""
    if candidate.version is None or not candidate.version.isascii() or not candidate.version.isdigit():
        return None
    if not against.keys:
        return None
    try:
        tags = {ref.version or "": found for ref, found in versions(candidate.name)}
        lines = _lines(against.log.whole().entries, candidate.name) if against.log is not None else {}
    except GateError as error:
        return History(why=f"Earlier decisions could not be read: {error}"[:2000], logged=against.log is not None)
    return _history(candidate, tags, lines, against)


def _lines(entries: Sequence[Entry], name: str) -> Mapping[str, list[Entry]]:
    """Return the log's lines of decisions on a model's versions by version, the newest first."""
    found: dict[str, list[Entry]] = {}
    for entry in reversed(entries):
        if entry.event in {"scan", "review"} and (entry.model.registry, entry.model.name) == ("mlflow", name):
            found.setdefault(entry.model.version or "", []).append(entry)
    return found


def _history(
    candidate: ModelRef, tags: Mapping[str, Mapping[str, str]], lines: Mapping[str, list[Entry]], against: Against
) -> History:
    before = int(candidate.version or 0)
    numbers = {version for version in {*tags, *lines} if version.isascii() and version.isdigit()}
    order = sorted((version for version in numbers if int(version) < before), key=int, reverse=True)
    found: list[PastDecision] = []
    unsigned = forged = 0
    for version in order:
        if len(found) == MAX_HISTORY or forged == MOST_FORGED:
            break
        ref = ModelRef(registry="mlflow", name=candidate.name, version=version)
        claim = tags.get(version, {}).get(ATTESTATION, UNSIGNED)
        one = _decision(ref, claim, lines.get(version, []), against.keys)
        found += [one] if one is not None else []
        unsigned += one is None
        forged += one is None and claim != UNSIGNED
    why = f"{MOST_FORGED} versions carry claims that no trusted key signed; older ones were not looked at."
    return History(
        why=why if forged == MOST_FORGED else "",
        decisions=tuple(reversed(found)),
        unsigned=unsigned,
        logged=against.log is not None,
    )


def _decision(ref: ModelRef, claim: str, lines: Sequence[Entry], keys: Sequence[PublicKey]) -> PastDecision | None:
    """Return the newest decision on a version that a trusted key signed; None without one."""
    signed = list(_signed(ref, (claim, *(line.envelope for line in lines)), keys))
    if not signed:
        return None
    said = max(signed, key=lambda one: one.decided_at)
    # A line that says rejected counts whatever is signed in it, as it does for `gate verify`.
    rejected = any(
        (line.event, line.outcome) == ("review", "rejected") and line.at >= said.decided_at for line in lines
    )
    return _past(said, rejected=rejected)


def _signed(ref: ModelRef, envelopes: Sequence[str], keys: Sequence[PublicKey]) -> Iterator[Predicate]:
    for envelope in dict.fromkeys(envelopes):
        statement = open_envelope(envelope, keys).statement
        # A signed decision on another version may have been copied here.
        if statement is not None and statement.predicate.model == ref:
            yield statement.predicate


def _past(said: Predicate, *, rejected: bool) -> PastDecision:
    judged = said.coverage.judged if said.coverage else None
    review = said.review.outcome if said.review else None
    by = judged.by if judged else None
    return PastDecision(
        version=said.model.version or "",
        decision="flagged" if rejected else said.decision.value,
        review="rejected" if rejected else review,
        scanned_at=said.scan_time,
        by=by,
        score=judged.score if judged else None,
        p_value=judged.p_value if judged else None,
        level=judged.level if judged else None,
        scale=scale_of(by, said.bank_digest, said.samples_digest, said.policy_digest, said.gate_version),
    )

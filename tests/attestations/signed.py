"""Statements and keys of the tests."""

import datetime as dt

from gate.attestations.statement import Predicate, Statement
from gate.records.artifact import ModelRef
from gate.records.finding import Decision

NOW = dt.datetime(2026, 11, 22, 12, tzinfo=dt.UTC)
MODEL = ModelRef(registry="mlflow", name="cand", version="7")


def digest(letter):
    """Return a digest of one letter."""
    return f"sha256:{64 * letter}"


def statement(**changes):
    """Return an approval of level A, valid for thirty days from `NOW`, with changes."""
    said = {
        "decision": Decision.APPROVED,
        "model": MODEL,
        "model_digest": digest("a"),
        "assurance": "A",
        "policy_name": "default",
        "policy_digest": digest("b"),
        "evidence_digest": digest("c"),
        "decided_at": NOW,
        "expires_at": NOW + dt.timedelta(days=30),
        "gate_version": "0",
    }
    return Statement.of(Predicate.model_validate(said | changes))

"""Envelopes that the gate of commit 8136816 signed, kept as they were: they verify until they expire, and no longer.

The key that signed them is gone. `model` below is the folder that they are about.
"""

import datetime as dt
from pathlib import Path

import pytest

from gate.attestations.envelope import Expected, open_envelope, verify
from gate.attestations.keys import read_public_keys
from gate.attestations.reviewing import reviewed
from gate.attestations.statement import Voice
from gate.cli.rows import examined_lines
from gate.records.artifact import build_manifest

KEPT = Path(__file__).with_name("second_version")
SIGNED = dt.datetime(2026, 11, 29, 12, tzinfo=dt.UTC)


@pytest.fixture
def keys():
    """Return the kept public key."""
    return read_public_keys([(KEPT / "gate.pub.pem").read_text()])


@pytest.fixture
def model(tmp_path):
    """Return the folder whose digest was signed, as the candidate at level A and as the bundle otherwise."""
    (tmp_path / "data").mkdir()
    (tmp_path / "MLmodel").write_text("flavors: {}\n")
    (tmp_path / "data" / "model.pt2").write_text("weights of an earlier gate")
    return build_manifest(tmp_path)[0].digest


@pytest.mark.parametrize(("name", "covers"), [("level-a", "candidate"), ("level-b", "bundle"), ("reviewed", "bundle")])
def test_a_statement_without_coverage_verifies_until_it_expires(name, covers, keys, model):
    """Its policy, its bytes, its thirty days; what was examined is told to be unknown, not to be nothing."""
    envelope = (KEPT / f"{name}.json").read_text()
    expected = Expected(model, f"sha256:{64 * 'b'}", candidate="cand")
    found = verify(envelope, keys, SIGNED + dt.timedelta(days=29), expected)
    assert found.holds
    assert found.statement.predicate_type == "urn:model-promotion-gate:decision:v2"
    assert (found.statement.predicate.covers, found.statement.predicate.coverage) == (covers, None)
    assert examined_lines(found.statement) == ["examined not told: the decision was signed by an earlier gate"]
    (late,) = verify(envelope, keys, SIGNED + dt.timedelta(days=30), expected).reasons
    assert "expired" in late


def test_a_review_of_such_a_statement_claims_no_more_than_it_did(keys):
    """One more voice about a statement of the second version is a statement of the second version."""
    scanned = open_envelope((KEPT / "level-b.json").read_text(), keys).statement
    voice = Voice(reviewer="bo", outcome="rejected", reason="unclear", at=SIGNED)
    again = reviewed(scanned, voice, needed=1, days=30, most=999)
    assert again.predicate_type == "urn:model-promotion-gate:decision:v2"
    assert again.predicate.coverage is None

"""Envelopes that the gate of commit 8f447e1 signed, kept as they were: they verify until they expire, and no longer.

The key that signed them is gone. `model` below is the folder that they are about.
"""

import datetime as dt
from pathlib import Path

import pytest

from gate.attestations.envelope import Expected, verify
from gate.attestations.keys import read_public_keys
from gate.records.artifact import build_manifest

KEPT = Path(__file__).with_name("first_version")
SIGNED = dt.datetime(2026, 11, 22, 12, tzinfo=dt.UTC)


@pytest.fixture
def model(tmp_path):
    """Return the folder whose digest was signed, as the candidate at level A and as the bundle at level B."""
    (tmp_path / "data").mkdir()
    (tmp_path / "MLmodel").write_text("flavors: {}\n")
    (tmp_path / "data" / "model.pt2").write_text("weights of an earlier gate")
    return build_manifest(tmp_path)[0].digest


@pytest.mark.parametrize("level", ["a", "b"])
def test_an_earlier_gates_statement_verifies_its_bytes_until_it_expires(level, model):
    """Its policy, its bytes, its thirty days; it covers nothing else, and names no bytes that may be promoted."""
    keys = read_public_keys([(KEPT / "gate.pub.pem").read_text()])
    envelope = (KEPT / f"level-{level}.json").read_text()
    expected = Expected(model, f"sha256:{64 * 'b'}", candidate="cand")
    found = verify(envelope, keys, SIGNED + dt.timedelta(days=29), expected)
    assert found.holds
    assert (found.statement.predicate.covers, found.statement.covered_digests) == (None, (model,))
    (late,) = verify(envelope, keys, SIGNED + dt.timedelta(days=30), expected).reasons
    assert "expired" in late
    other = Expected(f"sha256:{64 * 'a'}", None)
    (reason,) = verify(envelope, keys, SIGNED, other).reasons
    assert "sha256:" in reason

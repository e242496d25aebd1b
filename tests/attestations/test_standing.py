"""Rejections count for bytes, across versions and checks, until they are taken back."""

import datetime as dt

import pytest

from gate.attestations.envelope import open_envelope, sign
from gate.attestations.keys import generate_key
from gate.attestations.log import ReviewLog, Said
from gate.attestations.reviewing import MOST_CARRIED, carrying, reviewed
from gate.attestations.standing import digests_of, overruled, rejections
from gate.attestations.statement import Voice
from gate.records.artifact import ModelRef
from gate.records.finding import Decision
from tests.attestations.signed import NOW, digest, statement


@pytest.fixture
def key(tmp_path):
    """Return a signing key."""
    return generate_key(tmp_path / "k.pem", tmp_path / "k.pub.pem")


@pytest.fixture
def log(tmp_path):
    """Return an empty log."""
    return ReviewLog(tmp_path / "log.jsonl")


def version(number):
    """Return a version of the candidate."""
    return ModelRef(registry="mlflow", name="cand", version=str(number))


def flagged(number, **changes):
    """Return a flagged scan of a version of these bytes."""
    said = {"model": version(number), "bundle_digest": digest("e"), "covers": "candidate"} | changes
    return statement(decision=Decision.FLAGGED, **said)


def voice(who, outcome, day=0, **changes):
    """Return what a reviewer says on a day."""
    return Voice(reviewer=who, outcome=outcome, reason="why", at=NOW + dt.timedelta(days=day), **changes)


def speak(log, key, scanned, said, **changes):
    """Log a review of a scan."""
    new = reviewed(scanned, said, needed=1, days=30, most=120, **changes)
    model, name = scanned.predicate.model, scanned.predicate.model_digest
    log.append(Said("review", model, name, said.outcome, sign(new, key), said.reviewer, said.reason), said.at)
    return new


def standing(log, *letters):
    """Return who rejects the bytes of these digests."""
    return [one.reviewer for one in rejections(log.read().entries, {digest(letter) for letter in letters})]


def test_a_rejection_is_about_the_bytes_and_the_bundle(log, key):
    """Of another version, and of other files with the same bundle; not of other bytes."""
    speak(log, key, flagged(1), voice("bob", "rejected"))
    assert standing(log, "a") == standing(log, "e") == standing(log, "f", "e") == ["bob"]
    assert standing(log, "f") == []
    for number, changes in ((2, {}), (3, {"model_digest": digest("f")})):
        approved = statement(model=version(number), bundle_digest=digest("e"), covers="candidate", **changes)
        assert "bob rejected these bytes" in overruled(approved, log.read().entries)[0]
    other = statement(model=version(4), model_digest=digest("f"), bundle_digest=digest("9"), covers="candidate")
    assert overruled(other, log.read().entries) == ()


def test_neither_another_version_nor_a_new_scan_nor_another_reviewer_takes_it_back(log, key):
    """Its reviewer does, of whatever version of these bytes, and may reject again."""
    speak(log, key, flagged(1), voice("bob", "rejected"))
    again = flagged(1, decided_at=NOW + dt.timedelta(days=1))
    log.append(Said("scan", version(1), digest("a"), "flagged", sign(again, key)), NOW)
    alone = speak(log, key, flagged(2), voice("ann", "approved", 2))
    assert alone.predicate.decision is Decision.APPROVED  # as a gate signed it that did not look
    assert standing(log, "a") == ["bob"]
    with_bob = reviewed(
        flagged(2),
        voice("ann", "approved", 2),
        needed=1,
        days=30,
        most=120,
        standing=rejections(log.read().entries, digests_of(flagged(2).predicate)),
    )
    assert with_bob.predicate.review.outcome == "rejected"
    speak(log, key, with_bob, voice("bob", "approved", 3))
    assert standing(log, "a") == []
    speak(log, key, flagged(3), voice("bob", "rejected", 4))
    assert standing(log, "a") == ["bob"]


def test_an_approval_takes_back_a_rejection_that_it_names(log, key):
    """And only one that came before it."""
    speak(log, key, flagged(1), voice("bob", "rejected"))
    found = rejections(log.read().entries, {digest("a")})
    lifted = speak(log, key, flagged(2), voice("ann", "approved", 1, lifts=("bob",)), standing=found)
    assert lifted.predicate.decision is Decision.APPROVED
    assert standing(log, "a") == []
    speak(log, key, flagged(3), voice("bob", "rejected", 2))
    assert standing(log, "a") == ["bob"]


def test_a_new_scan_carries_what_stands_and_keeps_its_time(key):
    """An approved scan of rejected bytes is signed flagged; without a rejection it is as it was."""
    scanned = statement(decided_at=NOW)
    many = [voice(f"r{number}", "rejected", -number) for number in range(9, 0, -1)]
    carried = carrying(scanned, many, needed=2)
    opened = open_envelope(sign(carried, key), [key.public]).statement.predicate
    assert (opened.decision, opened.review.outcome, opened.scan_time) == (Decision.FLAGGED, "rejected", NOW)
    assert [one.reviewer for one in opened.review.voices] == [f"r{number}" for number in range(MOST_CARRIED, 0, -1)]
    assert carrying(scanned, (), needed=1) == scanned


@pytest.mark.parametrize("signed", ["", "unsigned", "approved"])
def test_a_line_that_says_rejected_counts_whatever_is_signed_in_it(log, key, signed):
    """A log that cannot be read whole rejects sooner than it approves."""
    over = reviewed(flagged(1), voice("bob", "approved"), needed=1, days=9, most=99)
    text = sign(over, key) if signed == "approved" else signed
    log.append(Said("review", version(1), digest("a"), "rejected", text, "bob" if signed else ""), NOW)
    assert len(standing(log, "a")) == 1

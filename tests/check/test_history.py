"""The signed decisions on the versions before a candidate: which count, and what a registry cannot make up."""

import datetime as dt

import pytest

from gate.attestations.coverage import Coverage, JudgedBy, SignedDetector
from gate.attestations.envelope import sign
from gate.attestations.keys import generate_key
from gate.attestations.log import ReviewLog, Said
from gate.attestations.statement import Review, Voice
from gate.check import history
from gate.check.history import bring_history
from gate.check.previous import Against
from gate.records.artifact import ModelRef
from gate.records.errors import RegistryError
from gate.records.finding import Decision
from gate.records.history import MAX_HISTORY
from tests.attestations.signed import NOW, digest, statement


def ref(number, name="fraud"):
    """Return a version."""
    return ModelRef(registry="mlflow", name=name, version=str(number))


class Shelf:
    """A registry at the gate's own seam: versions with their tags."""

    def __init__(self, claims):
        self.claims = claims

    def versions(self, name):
        """Return all of them."""
        return tuple((ref(number, name), {"gate.attestation": text}) for number, text in self.claims.items())


@pytest.fixture(scope="module")
def key(tmp_path_factory):
    """Return the key of the gate."""
    folder = tmp_path_factory.mktemp("key")
    return generate_key(folder / "key.pem", folder / "key.pub.pem")


def said(number, score=1.5, hours=0, **changes):
    """Return a scan's statement about a version, with the score that judged; None for one that limits judged."""
    p_value = {"score": score, "p_value": 0.4, "level": 0.05, "models": 24}
    judged = JudgedBy(by="limits") if score is None else JudgedBy(by="p-value-bank", **p_value)
    detector = SignedDetector(id="unsafe-pickle", status="measured", planned=True, required=True)
    at = NOW + dt.timedelta(hours=hours)
    return statement(
        **{
            "model": ref(number),
            "covers": "candidate",
            "coverage": Coverage(detectors=(detector,), judged=judged),
            "decided_at": at,
            "expires_at": at + dt.timedelta(days=30),
            **changes,
        }
    )


def brought(claims, key, candidate=9, log=None):
    """Return the history that is found in a registry's tags and a log."""
    return bring_history(Shelf(claims).versions, Against(keys=(key.public,), log=log), ref(candidate))


def test_signed_decisions_before_the_candidate_are_told_the_oldest_first(key):
    """Approved and flagged ones, with score, p and level as they were signed; a later version is none of them."""
    claims = {1: sign(said(1, 1.5), key), 10: sign(said(10), key), 9: sign(said(9), key)}
    claims[4] = sign(said(4, 8.25, decision=Decision.FLAGGED), key)
    claims[6] = sign(said(6, None), key)
    found = brought(claims, key)
    assert [(one.version, one.decision, one.by, one.score) for one in found.decisions] == [
        ("1", "approved", "p-value-bank", 1.5),
        ("4", "flagged", "p-value-bank", 8.25),
        ("6", "approved", "limits", None),
    ]
    assert (found.decisions[0].p_value, found.decisions[0].level) == (0.4, 0.05)
    assert (found.unsigned, found.logged, found.why) == (0, False, "")


def test_what_no_trusted_key_signed_about_that_very_version_counts_for_nothing(key, tmp_path):
    """Another key's statement, one that was copied from another version or model, a cut one, and none."""
    other = generate_key(tmp_path / "other.pem", tmp_path / "other.pub.pem")
    claims = {
        1: sign(said(1, 0.1), other),
        2: sign(said(7, 0.1), key),
        3: sign(said(3, 0.1, model=ref(3, "another")), key),
        4: sign(said(4, 0.1), key)[:-20],
        5: "unsigned",
        6: "",
        7: sign(said(7, 2.5), key),
    }
    found = brought(claims, key)
    assert [(one.version, one.score) for one in found.decisions] == [("7", 2.5)]
    assert found.unsigned == 6


def test_twenty_are_told_and_forged_claims_crowd_none_of_them_out(key):
    """The newest twenty, however many versions between them carry nothing."""
    claims = {number: sign(said(number), key) for number in range(1, 31)} | dict.fromkeys(range(31, 200), "unsigned")
    found = brought(claims, key, candidate=200)
    assert [one.version for one in found.decisions] == [str(number) for number in range(11, 31)]
    assert (len(found.decisions), found.unsigned) == (MAX_HISTORY, 169)


def test_opening_forged_claims_has_an_end_that_is_told(key, monkeypatch):
    """Whoever may set tags can forge any number; what is behind them is not said to be missing, but not looked at."""
    monkeypatch.setattr(history, "MOST_FORGED", 5)
    claims = {1: sign(said(1), key)} | dict.fromkeys(range(2, 9), "{}")
    found = brought(claims, key)
    assert found.decisions == ()
    assert "older ones were not looked at" in found.why


def test_a_decision_of_another_bank_policy_or_gate_has_another_scale(key):
    """So have other samples; the same ones have the same."""
    changes = [{}, {}, {"bank_digest": digest("1")}, {"samples_digest": digest("2")}]
    changes += [{"policy_digest": digest("3")}, {"gate_version": "1"}]
    claims = {number: sign(said(number, **changed), key) for number, changed in enumerate(changes, start=1)}
    scales = [one.scale for one in brought(claims, key).decisions]
    assert scales[0] == scales[1]
    assert len(set(scales)) == 5


def test_the_log_tells_the_newest_decision_and_one_that_was_taken_off(key, tmp_path):
    """An older signed approval in the tag does not hide the rejection, nor an empty tag the decision."""
    log = ReviewLog(tmp_path / "reviews.jsonl")
    old, gone = said(3, 1.0), said(5, 6.0, decision=Decision.FLAGGED)
    voice = Voice(reviewer="ann", outcome="rejected", reason="a patch", at=NOW + dt.timedelta(hours=2))
    rejected = said(
        3, 1.0, hours=2, decision=Decision.FLAGGED, review=Review(voices=(voice,), needed=1), scanned_at=NOW
    )
    for one, event in ((old, "scan"), (gone, "scan"), (rejected, "review")):
        predicate = one.predicate
        entered = Said(event, predicate.model, predicate.model_digest, predicate.decision.value, sign(one, key))
        log.append(entered, predicate.decided_at)
    found = brought({3: sign(old, key)}, key, log=log)
    assert [(one.version, one.decision, one.review, one.score) for one in found.decisions] == [
        ("3", "flagged", "rejected", 1.0),
        ("5", "flagged", None, 6.0),
    ]
    assert found.logged
    assert found.decisions[0].scanned_at == NOW


def test_a_line_that_says_rejected_counts_though_no_trusted_key_signed_it(key, tmp_path):
    """As it does for `gate verify`."""
    log = ReviewLog(tmp_path / "reviews.jsonl")
    log.append(Said("review", ref(3), digest("a"), "rejected", who="ann"), NOW + dt.timedelta(hours=1))
    found = brought({3: sign(said(3), key)}, key, log=log)
    assert [(one.decision, one.review) for one in found.decisions] == [("flagged", "rejected")]


def test_without_a_key_or_a_number_there_is_no_history(key):
    """Nothing could be believed, and a folder has no versions; the registry is not asked."""
    assert bring_history(None, Against(), ref(9)) is None
    assert bring_history(None, Against(keys=(key.public,)), ModelRef(registry="directory", name="./model")) is None


def test_a_registry_or_a_log_that_cannot_be_read_is_a_reason_and_ends_no_check(key, tmp_path):
    """The check goes on; the report says what is not known."""

    class Silent:
        def versions(self, _name):
            raise RegistryError("the registry does not answer")

    found = bring_history(Silent().versions, Against(keys=(key.public,)), ref(9))
    assert (found.decisions, "does not answer" in found.why) == ((), True)
    damaged = tmp_path / "reviews.jsonl"
    damaged.write_text("{}\n")
    found = brought({1: sign(said(1), key)}, key, log=ReviewLog(damaged))
    assert (found.decisions, "damaged" in found.why, found.logged) == ((), True, True)


def test_a_statement_of_before_that_states_no_score_is_told_without_one(key):
    """Versions one and two of the statement say nothing of who judged."""
    claims = {1: sign(statement(model=ref(1)), key), 2: sign(statement(model=ref(2), covers="candidate"), key)}
    found = brought(claims, key)
    assert [(one.by, one.score, one.p_value) for one in found.decisions] == [(None, None, None)] * 2

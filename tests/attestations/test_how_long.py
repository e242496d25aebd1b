"""How long a decision holds: no longer than its waivers, and no longer after the scan than the policy allows."""

import datetime as dt
from types import SimpleNamespace

import pytest

from gate.attestations.envelope import Expected, sign, verify
from gate.attestations.keys import generate_key
from gate.attestations.reviewing import reviewed
from gate.attestations.statement import Voice, scan_statement
from gate.check.files import CheckFiles
from gate.check.publish import attest
from gate.check.signing import Signing
from gate.records.errors import UsageError
from gate.records.evidence import Measured, Measurement, Skipped
from gate.records.finding import Decision
from gate.records.policy import Waiver
from tests.attestations.scanned import DAY, RULES, SUSPECT, evidence, outcomes, verdict
from tests.attestations.signed import NOW, digest, statement

WHOLE = outcomes(
    model_inversion=Measured(measurements=(Measurement(metric="x", value=1.0, location=SUSPECT),), seconds=1.0),
    version_change=Skipped(reason="no version before it"),
)
NOTHING = Expected(None, None)


@pytest.fixture
def key(tmp_path):
    """Return a signing key."""
    return generate_key(tmp_path / "k.pem", tmp_path / "k.pub.pem")


def waived(until, metrics=("anomaly-index", "size-ratio"), on=DAY):
    """Return evidence and the policy that waives what stands out until a day."""
    waivers = tuple(
        Waiver(
            detector="neural-cleanse",
            metric=metric,
            model_digest=digest("a"),
            reason="two styles",
            approved_by="ann",
            expires=until if metric == metrics[0] else dt.date.max,
        )
        for metric in metrics
    )
    policy = RULES.model_copy(update={"waivers": waivers, "valid_days": 90})
    return evidence(policy_digest=policy.digest, outcomes=WHOLE), policy


def voice(who, at, outcome="approved"):
    """Return a reviewer's voice at a time."""
    return Voice(reviewer=who, outcome=outcome, reason="looked at the trigger", at=at)


def test_an_approval_ends_with_the_first_waiver_that_it_rests_on(key):
    """On the waiver's last day it holds to the end of that day; on the next, nothing that was signed holds."""
    found, policy = waived(DAY + dt.timedelta(days=1))
    said = verdict(found, policy)
    assert (said.decision, sum(f.waived for f in said.findings)) == (Decision.APPROVED, 1)
    signed = scan_statement(found, said, policy, at=NOW)
    midnight = dt.datetime.combine(DAY + dt.timedelta(days=2), dt.time(), dt.UTC)
    assert signed.predicate.expires_at == signed.predicate.waived_until == midnight
    envelope = sign(signed, key)
    assert verify(envelope, [key.public], midnight - dt.timedelta(seconds=1), NOTHING).holds
    assert not verify(envelope, [key.public], midnight, NOTHING).holds


def test_a_waiver_for_ever_and_one_that_was_not_used_end_nothing():
    """The policy's days count."""
    for metrics in (("size-ratio", "anomaly-index"), ("anomaly-index",)):
        found, policy = waived(dt.date.max if len(metrics) == 1 else DAY, metrics)
        predicate = scan_statement(found, verdict(found, policy), policy, at=NOW).predicate
        assert predicate.expires_at - NOW == dt.timedelta(days=90)
        assert predicate.waived_until is None


def test_a_review_ends_with_the_waiver_too():
    """Reviewers decide about the open findings, and a waiver about the others."""
    end = NOW + dt.timedelta(days=3)
    flagged = statement(decision=Decision.FLAGGED, waived_until=end, expires_at=end)
    approved = reviewed(flagged, voice("ann", NOW), needed=1, days=30, most=120).predicate
    assert (approved.decision, approved.expires_at) == (Decision.APPROVED, end)
    with pytest.raises(ValueError, match="outlives a waiver"):
        statement(waived_until=NOW + dt.timedelta(days=1))


def test_no_number_of_voices_keeps_a_scan_alive():
    """Each voice restarts its own days, and never the scan's; a statement that lost the scan's time has the oldest."""
    said, most = statement(decision=Decision.FLAGGED, expires_at=NOW + dt.timedelta(days=90)), 180
    for day in (89, 150, 178):
        said = reviewed(said, voice("ann", NOW + dt.timedelta(days=day)), needed=2, days=90, most=most)
        assert said.predicate.scanned_at == NOW
        assert said.predicate.expires_at == NOW + dt.timedelta(days=min(day + 90, most))
    earlier = said.model_copy(update={"predicate": said.predicate.model_copy(update={"scanned_at": None})})
    again = reviewed(earlier, voice("bob", NOW + dt.timedelta(days=179)), needed=2, days=90, most=most).predicate
    assert again.expires_at == NOW + dt.timedelta(days=179 + 90)
    assert again.latest_end(most) == NOW + dt.timedelta(days=178 + most)


def test_what_has_ended_is_not_signed(tmp_path, key):
    """`gate publish` of an old check: neither after the policy's days nor after a waiver, which it names."""
    now = dt.datetime.now(dt.UTC)
    files, signing = CheckFiles.create(tmp_path / "out"), Signing(key)
    yesterday = now.date() - dt.timedelta(days=1)
    for days, until, why in ((5, yesterday, "ended with a waiver"), (200, None, "decision of this check ended on")):
        found, policy = waived(until or dt.date.max)
        at = (now - dt.timedelta(days=days)).isoformat()
        with pytest.raises(UsageError, match=why):
            attest(files, found, verdict(found, policy), SimpleNamespace(checked_at=at, policy=policy), signing)
    assert not (files.root / "attestation.json").exists()

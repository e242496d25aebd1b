"""`gate verify --require-commitment`: only a policy that was bound before the scan, and where a log is given, in it."""

import datetime as dt
from types import SimpleNamespace

import pytest
from click.testing import CliRunner

from gate.attestations.commitment import Committed, sign_commitment
from gate.attestations.coverage import Commitment
from gate.attestations.envelope import envelope_digest, sign
from gate.attestations.keys import generate_key
from gate.attestations.log import ReviewLog, Said
from gate.attestations.reviewing import reviewed
from gate.attestations.statement import Voice, scan_statement
from gate.cli.main import main
from gate.promotion.verification import now
from gate.records.artifact import build_manifest
from tests.attestations.scanned import RULES, evidence, verdict
from tests.attestations.signed import MODEL, digest, statement


class Site:
    """A model folder, its signed decision and what goes with it."""

    def __init__(self, folder):
        self.folder, self.log = folder, ReviewLog(folder / "log.jsonl")
        self.key = generate_key(folder / "k.pem", folder / "k.pub.pem")
        (folder / "model").mkdir()
        (folder / "model" / "MLmodel").write_text("flavors: {}\n")
        self.digest = build_manifest(folder / "model")[0].digest
        self.began = now() - dt.timedelta(minutes=5)

    def commit(self):
        """Sign and log a commitment; return its envelope."""
        at = self.began - dt.timedelta(seconds=1)
        made = Committed(
            model=MODEL, model_digest=self.digest, policy_name="small", policy_digest=RULES.digest, committed_at=at
        )
        envelope = sign_commitment(made, self.key)
        self.log.append(Said("commitment", MODEL, self.digest, RULES.digest, envelope), at)
        return envelope

    def commitment(self, **changes):
        """Return what a decision says of a commitment."""
        return Commitment(
            **{
                "policy_digest": RULES.digest,
                "at": self.began - dt.timedelta(seconds=1),
                "scan_began": self.began,
                "signed": digest("e"),
            }
            | changes
        )

    def decide(self, commitment):
        """Write and log the approved decision with what it says of its commitment."""
        found = evidence(manifest_digest=self.digest, bundle_digest=None, begun_at=self.began)
        scanned = scan_statement(found, verdict(found), RULES, at=now(), commitment=commitment)
        voice = Voice(reviewer="ann", outcome="approved", reason="seen", at=now())
        self._keep(reviewed(scanned, voice, needed=1, days=30, most=999))

    def decide_as_before(self):
        """Write a decision of an earlier version, which tells nothing of the scan."""
        self._keep(
            statement(model_digest=self.digest, policy_digest=RULES.digest, decided_at=now(), covers="candidate")
        )

    def _keep(self, said):
        envelope = sign(said, self.key)
        (self.folder / "attestation.json").write_text(envelope)
        self.log.append(Said("review", MODEL, self.digest, "approved", envelope, "ann", "seen"), now())

    def verify(self, *options):
        """Run the command; return its exit code and what it printed."""
        keys = ["--public-key", str(self.folder / "k.pub.pem"), "--policy-digest", RULES.digest]
        named = ["--attestation", str(self.folder / "attestation.json"), *keys, *options]
        ran = CliRunner().invoke(main, ["verify", str(self.folder / "model"), *named], standalone_mode=False)
        assert ran.exception is None, ran.output
        return SimpleNamespace(code=ran.return_value, stdout=ran.stdout, output=ran.output)


@pytest.fixture
def site(tmp_path):
    """Return a folder to verify."""
    return Site(tmp_path)


def test_a_policy_that_was_committed_to_before_the_scan_holds(site):
    """Without a log by the signature alone, with one by its line too."""
    site.decide(site.commitment(signed=envelope_digest(site.commit()), log_line=1))
    assert site.verify("--require-commitment").code == 0
    with_log = site.verify("--require-commitment", "--audit-log", str(site.log.path))
    assert (with_log.code, with_log.stdout[:8]) == (0, "VERIFIED"), with_log.output


LATER = dt.timedelta(minutes=1)
REFUSED = {
    "none": (lambda site: None, "No commitment stands in the decision"),
    "another policy": (lambda site: site.commitment(policy_digest=digest("9")), "Another policy was committed to"),
    "later": (lambda site: site.commitment(at=site.began + LATER), "and the scan began at"),
    "resumed": (lambda site: site.commitment(resumed=True), "measurements of an interrupted scan"),
}


@pytest.mark.parametrize("case", REFUSED.values(), ids=REFUSED)
def test_any_other_decision_is_refused_where_a_commitment_is_required_and_there_alone(site, case):
    """The reason says what was expected, and what to do."""
    made, said = case
    site.decide(made(site))
    refused = site.verify("--require-commitment")
    assert (refused.code, said in refused.stdout) == (1, True), refused.output
    assert site.verify().code == 0


def test_a_decision_of_an_earlier_gate_tells_no_commitment(site):
    """It is named as such."""
    site.decide_as_before()
    refused = site.verify("--require-commitment")
    assert (refused.code, "whose decisions tell no commitment" in refused.stdout) == (1, True), refused.output


@pytest.mark.parametrize(
    ("line", "said"),
    [(None, "in no review log"), (2, "Line 2 of the review log is not"), (9, "Line 9 of the review log is not")],
)
def test_a_log_that_does_not_hold_the_commitment_refuses_it(site, line, said):
    """A decision cannot name another line, or one that is not there."""
    site.decide(site.commitment(signed=envelope_digest(site.commit()), log_line=line))
    refused = site.verify("--require-commitment", "--audit-log", str(site.log.path))
    assert (refused.code, said in refused.stdout) == (1, True), refused.output


def test_a_line_with_another_commitment_is_not_the_decisions(site):
    """The line's digest is compared, and not its place alone."""
    site.commit()
    site.decide(site.commitment(log_line=1))
    refused = site.verify("--require-commitment", "--audit-log", str(site.log.path))
    assert (refused.code, "Line 1 of the review log is not" in refused.stdout) == (1, True), refused.output

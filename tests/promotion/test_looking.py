"""`gate review list` and `show`: what is seen with a trusted key, without one, and what a reviewer is told to do."""

import datetime as dt

import pytest
from click.testing import CliRunner

from gate.attestations.envelope import claimed, envelope_digest, sign
from gate.attestations.keys import generate_key
from gate.check.signing import Signing
from gate.cli.main import main
from gate.promotion.review import DecisionChangedError, NotReviewableError, Review, review
from gate.promotion.verification import now
from gate.records.finding import Decision
from gate.renderers import RENDERERS
from tests.attestations.signed import statement
from tests.renderers import reports
from tests.service.serving import POLICY
from tests.service.standing_registry import FolderRegistry

RUN = 32 * "a"


@pytest.fixture
def registry(tmp_path, monkeypatch):
    """Return a registry in a folder, which the commands open."""
    made = FolderRegistry(tmp_path / "registry")
    monkeypatch.setattr("gate.registries.open_production", lambda _settings: made)
    return made


@pytest.fixture
def key(tmp_path):
    """Return a signing key."""
    return generate_key(tmp_path / "k.pem", tmp_path / "k.pub.pem")


def flagged(registry, key, version=1, name="cand"):
    """Add a flagged version with a signed decision and its report."""
    report, ref = reports.flagged(), registry.add(name, version, "bytes")
    (registry.root / "runs" / RUN).mkdir(parents=True, exist_ok=True)
    (registry.root / "runs" / RUN / "report.json").write_text(RENDERERS["json"][1](report))
    at = now() - dt.timedelta(hours=3, minutes=1)
    said = statement(
        decision=Decision.FLAGGED,
        model=ref,
        evidence_digest=report.evidence.digest,
        policy_digest=report.policy.digest,
        decided_at=at,
        expires_at=at + dt.timedelta(days=90),
    )
    registry.mark(
        ref, {"gate.attestation": sign(said, key), "gate.decision": "flagged", "gate.report": f"runs:/{RUN}/report"}
    )
    return ref


def asked(*arguments, places=()):
    """Return what a command of reviewers says."""
    keys = [word for place in places for word in ("--public-key", str(place))]
    variables = {"GATE_PUBLIC_KEY": None, "COLUMNS": "80"}
    ended = CliRunner().invoke(main, ["review", *arguments, *keys], env=variables, catch_exceptions=False)
    assert ended.exit_code == 0, ended.output
    return ended


def test_without_a_key_one_may_look_and_is_told_that_nothing_is_verified(registry, key):
    """State, age and reason are there as claims; with the key they are verified."""
    flagged(registry, key)
    for arguments in (("list", "--registered-model", "cand"), ("show", "models:/cand/1")):
        looked = asked(*arguments)
        assert "nothing is verified" in looked.stderr
        assert "unverified" in looked.stdout.lower()
        verified = asked(*arguments, places=[key.public.source.replace("k.pem", "k.pub.pem")])
        assert "nothing is verified" not in verified.stderr
        assert "waiting" in verified.stdout.lower()
        for ended in (looked, verified):
            assert "3 hours ago" in ended.stdout
            assert "lower right corner" in ended.stdout


def test_a_name_is_one_inert_word_in_the_commands_to_copy(registry, key):
    """MLflow takes names with escape sequences, lines that a CI runner obeys, and words that a shell runs."""
    name = "x\x1b[2J$(touch pwned)\n##[set-output name=decision]approved"
    ref = flagged(registry, key, name=name)
    said = asked("show", str(ref), places=[key.public.source.replace("k.pem", "k.pub.pem")]).stdout
    shown = f"--digest {envelope_digest(registry.facts(ref).tags['gate.attestation'])}"
    inert = "'models:/x$(touch pwned)\ufffd# #[set-output name=decision]approved/1'"
    assert said.splitlines()[-2:] == [
        f'then     gate review approve {inert} --reason "…" --expires 30d {shown}',
        f'or       gate review reject {inert} --reason "…" {shown}',
    ]
    assert "\x1b" not in said


def test_a_claim_about_another_version_or_of_no_form_is_unsigned(registry, key):
    """An envelope that was copied here says nothing of this version."""
    ref = flagged(registry, key)
    other = registry.add("cand", 2, "bytes")
    registry.mark(other, {**registry.facts(ref).tags})
    assert "UNSIGNED" in asked("show", "models:/cand/2").stdout
    for text in ("", "unsigned", "{}", "[]", "\x00", '{"payload": 1}', "{" * 5000):
        assert claimed(text) is None


def test_a_review_after_an_unsigned_check_is_told_to_publish(registry, key, tmp_path):
    """Signing takes seconds, a whole check again does not; a foreign signature is told apart."""
    from gate.attestations.log import ReviewLog
    from gate.policies.read import parse_policy
    from gate.records.clock import today

    policy = parse_policy(POLICY + "reviewers: {names: [ann], identity: stated}\n", name="p.yml", on=today())
    request = Review("models:/cand/1", "approved", "looked", 7, policy, (key.public,), stated="ann")
    ref = flagged(registry, generate_key(tmp_path / "other.pem", tmp_path / "other.pub.pem"))
    signing = Signing(key, ReviewLog(tmp_path / "log.jsonl"))
    with pytest.raises(NotReviewableError) as caught:
        review(registry, request, signing, now())
    assert "--public-key" in caught.value.what_to_do
    registry.mark(ref, {"gate.attestation": "unsigned"})
    with pytest.raises(NotReviewableError) as caught:
        review(registry, request, signing, now())
    assert "`gate publish DIR --signing-key KEY` signs the finished check" in caught.value.what_to_do
    assert "gate publish DIR --signing-key KEY" in asked("show", "models:/cand/1").stdout


@pytest.mark.parametrize("outcome", ["approve", "reject"])
def test_the_digest_that_show_printed_can_be_given_back(registry, key, tmp_path, outcome):
    """In the option or its variable: another decision that stands by now is not signed."""
    (tmp_path / "policy.yml").write_text(POLICY + "reviewers: {names: [ann], identity: stated}\n")
    flagged(registry, key)
    shown = asked("show", "models:/cand/1").stdout.split("--digest ")[1].split()[0]
    flagged(registry, key, version=2)
    variables = {"GATE_SIGNING_KEY": key.public.source, "GATE_POLICY": str(tmp_path / "policy.yml")}
    variables |= {"GATE_AUDIT_LOG": str(tmp_path / "log.jsonl"), "GATE_REVIEW_DIGEST": shown}
    said = ["review", outcome, "models:/cand/2", "--reason", "looked", "--reviewer", "ann"]
    with pytest.raises(DecisionChangedError, match=f"has changed since you looked: expected {shown}"):
        CliRunner().invoke(main, said, env=variables, catch_exceptions=False)
    assert not (tmp_path / "log.jsonl").exists()

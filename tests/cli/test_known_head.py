"""`--head` of verify and promote: a hash of the log that is known from elsewhere."""

import pytest
from click.testing import CliRunner

from gate.attestations.envelope import sign
from gate.attestations.keys import generate_key
from gate.attestations.log import ReviewLog, Said
from gate.cli.main import main
from gate.promotion.verification import now
from gate.records.artifact import build_manifest
from gate.records.errors import UsageError
from tests.attestations.signed import MODEL, digest, statement


@pytest.fixture
def signed(tmp_path):
    """Return a model folder with its signed approval, its log, and the arguments that verify it."""
    key = generate_key(tmp_path / "k.pem", tmp_path / "k.pub.pem")
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "w.bin").write_text("weights")
    bytes_ = build_manifest(tmp_path / "model")[0].digest
    envelope = sign(statement(model_digest=bytes_, decided_at=now(), expires_at=now().replace(year=9000)), key)
    (tmp_path / "a.json").write_text(envelope)
    log = ReviewLog(tmp_path / "log.jsonl")
    log.append(Said("scan", MODEL, bytes_, "approved", envelope), now())
    known = ["--attestation", tmp_path / "a.json", "--public-key", tmp_path / "k.pub.pem", "--any-policy"]
    return log, ["verify", tmp_path / "model", *known]


def run(*arguments):
    """Return how a command ended: its code and words, or its error."""
    words = [str(word) for word in arguments]
    ended = CliRunner().invoke(main, words, env={"GATE_AUDIT_LOG": None}, standalone_mode=False)
    return ended.return_value, " ".join(ended.output.split()), ended.exception


def test_a_log_must_hold_the_line_that_is_known(signed):
    """An earlier head is held by a log that went on, and not by one that was cut before it."""
    log, arguments = signed
    head, before = log.read().head, log.path.read_bytes()
    log.append(Said("promotion", MODEL, digest("a"), "prod"), now())
    later = log.read().head
    for known in (head, later):
        assert run(*arguments, "--audit-log", log.path, "--head", known)[0] == 0
    log.path.write_bytes(before)
    code, said, _ = run(*arguments, "--audit-log", log.path, "--head", later)
    assert (code, f"no line {later}: its end was cut off" in said) == (1, True)


@pytest.mark.parametrize("command", ["verify", "promote"])
def test_a_hash_without_a_log_is_a_mistake(signed, command):
    """It would be compared with nothing."""
    _, arguments = signed
    if command == "promote":
        arguments = ["promote", "models:/cand/1", "--to", "prod", *arguments[4:6]]
    error = run(*arguments, "--head", digest("a"))[-1]
    assert isinstance(error, UsageError)
    assert "--audit-log" in error.what_to_do

"""What `gate verify` and `gate promote` print of the bytes: which a decision covers, and what a consumer loses."""

import datetime as dt

import pytest
from click.testing import CliRunner

from gate.attestations.envelope import sign
from gate.attestations.keys import generate_key
from gate.attestations.statement import Review, Voice
from gate.cli.main import main
from gate.cli.promote import promoted_lines
from gate.cli.rows import covered_lines
from gate.promotion.promote import Promoted
from gate.promotion.verification import now
from gate.records.artifact import ModelRef, build_manifest
from gate.records.finding import Decision
from tests.attestations.signed import MODEL, NOW, digest, statement

CANDIDATE, BUNDLE = digest("a"), digest("d")
FLAGGED = {"decision": Decision.FLAGGED}
SAID = {
    "an earlier gate's": ({}, CANDIDATE, [f"covers   candidate {CANDIDATE} (these bytes)"]),
    "an earlier gate's bundle": (
        {"assurance": "B", "bundle_digest": BUNDLE},
        BUNDLE,
        [f"covers   bundle {BUNDLE} (these bytes)"],
    ),
    "both, of production": (
        {"covers": "candidate", "bundle_digest": BUNDLE},
        BUNDLE,
        [f"covers   candidate {CANDIDATE}", f"         bundle {BUNDLE} (these bytes)"],
    ),
    "no bundle": ({"covers": "candidate"}, CANDIDATE, [f"covers   candidate {CANDIDATE} (these bytes)"]),
    "the bundle alone, of the candidate": (
        {"covers": "bundle", "bundle_digest": BUNDLE},
        CANDIDATE,
        [f"covers   bundle {BUNDLE}", f"         not the candidate {CANDIDATE}"],
    ),
    "nothing": (
        {"covers": "bundle", **FLAGGED},
        CANDIDATE,
        ["covers   nothing: no bundle was written", f"         not the candidate {CANDIDATE}"],
    ),
}


@pytest.mark.parametrize("case", SAID.values(), ids=SAID)
def test_verify_says_which_bytes_the_decision_covers(case):
    """Each digest with its name, and which of them was hashed; a candidate that is not covered is named as such."""
    changes, hashed, lines = case
    assert covered_lines(statement(**changes), hashed) == lines


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--candidate", "cand", "--policy-digest", digest("b")), []),
        (
            ("--policy-digest", digest("b")),
            ["gate: the candidate's registered model was not compared (no --candidate)"],
        ),
        (("--candidate", "cand", "--any-policy"), ["gate: the policy was not compared (--any-policy)"]),
    ],
)
def test_verify_says_what_it_did_not_compare(tmp_path, options, said):
    """Another registered model's approval holds without `--candidate`."""
    (tmp_path / "model").mkdir()
    key, at = generate_key(tmp_path / "k.pem", tmp_path / "k.pub.pem"), now()
    approval = statement(
        model_digest=build_manifest(tmp_path / "model")[0].digest, decided_at=at, expires_at=at + dt.timedelta(days=1)
    )
    (tmp_path / "a.json").write_text(sign(approval, key))
    words = ["verify", str(tmp_path / "model"), "--attestation", str(tmp_path / "a.json")]
    words += ["--public-key", str(tmp_path / "k.pub.pem"), *options]
    ended = CliRunner().invoke(main, words, env={"GATE_AUDIT_LOG": None}, standalone_mode=False)
    assert (ended.return_value, ended.stderr.splitlines()) == (0, said)


def test_a_review_says_what_an_approval_would_cover():
    """Nothing was hashed there, so none of the digests is called these bytes."""
    said = statement(**FLAGGED, covers="candidate", bundle_digest=BUNDLE)
    assert covered_lines(said) == [f"covers   candidate {CANDIDATE}", f"         bundle {BUNDLE}"]


def test_an_approval_of_bytes_alone_says_so_wherever_it_is_read():
    """Under `--any-policy` nothing else would tell it from one of a model that was examined."""
    review = Review(voices=(Voice(reviewer="ann", outcome="approved", reason="looked at", at=NOW),), needed=1)
    said = statement(covers="candidate", assurance=None, examined="files", review=review)
    assert covered_lines(said, CANDIDATE)[1:] == ["         the bytes alone: behaviour was not examined"]


def test_promote_prints_the_bundle_and_what_a_consumer_loses():
    """The digest is the bundle's, and each loss is a line; without any there is no heading."""
    version = ModelRef(registry="mlflow", name="prod", version="3")
    losses = ("Methods of its own.", "Moves to another device.")
    done = Promoted(MODEL, version, BUNDLE, None, losses)
    head = [
        "PROMOTED  models:/cand/7 to models:/prod/3 as champion",
        f"bytes     {BUNDLE}",
        "          the gate's bundle, not the candidate's own files",
    ]
    listed = ["what a consumer of the candidate loses:", *(f"- {loss}" for loss in losses)]
    assert promoted_lines(done, "champion") == [*head, *listed]
    again = Promoted(MODEL, version, BUNDLE, version)
    assert promoted_lines(again, "champion") == head
    before = Promoted(MODEL, version, BUNDLE, version.model_copy(update={"version": "2"}))
    assert promoted_lines(before, "champion")[0].endswith("as champion, was version 2")


def test_promote_prints_hostile_losses_as_text():
    """What a bundle's own file says of losses is no command to a runner and no sequence to a terminal."""
    done = Promoted(MODEL, MODEL, BUNDLE, None, ("::error::owned", "\x1b[31mred\n##[error]x"))
    lines = promoted_lines(done, "champion")
    assert not any(line.startswith("::") or "\x1b" in line or "\n" in line or "##[" in line for line in lines)


@pytest.mark.parametrize(
    ("command", "words"),
    [("promote", "At every level that bundle is what is copied"), ("verify", "the line `covers` says which")],
)
def test_help_says_what_is_copied_and_covered(command, words):
    """Nobody has to read a design to know that production holds the gate's bundle."""
    ended = CliRunner().invoke(main, [command, "--help"])
    assert ended.exit_code == 0
    assert words in " ".join(ended.output.split())

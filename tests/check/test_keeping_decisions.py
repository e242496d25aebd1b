"""A run that judged nothing never touches a signed decision, and says of every version what it did to it."""

import datetime as dt
import errno
import json
import os
from contextlib import suppress

import numpy as np
import pytest

from gate.attestations.envelope import earlier_decision, open_envelope, sign
from gate.attestations.keys import generate_key
from gate.attestations.log import ReviewLog, Said
from gate.attestations.reviewing import carrying, reviewed
from gate.attestations.statement import Voice
from gate.check import scan as pipeline
from gate.check.check import CheckRequest, check
from gate.check.evidence import ScanSettings
from gate.check.files import REPORT, VERDICT, CheckFiles
from gate.check.publish import publish
from gate.check.rules import Rules
from gate.check.signing import Signing
from gate.cli.check import show_checked
from gate.judging.judge import judge
from gate.records.errors import CannotFinishError, RegistryError, StoppedError, UnknownVersionError, UsageError
from gate.records.finding import Decision
from gate.records.policy import Policy, Rule
from tests.attestations.signed import digest, statement
from tests.stand_ins.crashing import CRASHES, ENDS, crashing
from tests.stand_ins.one_version import OneVersion

MARKED = {"gate.attestation": "unsigned", "gate.decision": "flagged"}
FAILURES = {
    "interrupted": KeyboardInterrupt(),
    "internal error": ZeroDivisionError("a fault of the gate"),
    "too large": CannotFinishError("more than the policy allows"),
    "disk full": OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)),
}
"""What keeps a check from its verdict and is neither the operator's nor the registry's doing."""
REFUSALS = {
    "unreachable": RegistryError("no answer"),
    "deleted": UnknownVersionError("no such version"),
    "operator": UsageError("wrong"),
}


class Failing(OneVersion):
    """A registry in which one call fails, of a version that bears some tags."""

    def __init__(self, call, error, tags=()):
        super().__init__()
        self.tags = dict(tags)
        self._call, self._error = call, error

    def _answer(self, call):
        if call == self._call:
            raise self._error

    def resolve(self, uri):
        """Look the version up."""
        self._answer("resolve")
        return super().resolve(uri)

    def require_marking(self, ref):
        """Try the right to mark."""
        self._answer("require_marking")

    def pull(self, ref, to):
        """Bring the model."""
        self._answer("pull")

    def fetch(self, uri, to):
        """Bring samples."""
        self._answer("fetch")
        images = np.random.default_rng(0).random((4, 1, 8, 8), dtype=np.float32)
        np.savez(to / "s.npz", inputs=images, labels=np.array([0, 0, 1, 1]))
        return to / "s.npz"

    def log_reports(self, _ref, _folder, _key):
        """Keep the reports."""
        self._answer("log_reports")
        return "runs:/abc/report"

    def mark(self, ref, tags):
        """Set tags."""
        self._answer("mark")
        super().mark(ref, tags)


@pytest.fixture(scope="module")
def key(tmp_path_factory):
    """Return a key that signs."""
    folder = tmp_path_factory.mktemp("key")
    return generate_key(folder / "key.pem", folder / "key.pub.pem")


def signed(key, **changes):
    """Return the tags of a version with a signed decision."""
    made = statement(**changes)
    return {"gate.attestation": sign(made, key), "gate.decision": made.predicate.decision.value}


def run(registry, tmp_path, *, mark=True, samples=None):
    """Check the version; return what was raised or came of it, and what was said."""
    policy = Policy(version=1, detectors={"unsafe-pickle": Rule()}, samples={"uri": samples} if samples else {})
    request = CheckRequest("models:/m/1", Rules(policy), ScanSettings(device="cpu"), tmp_path / "out", mark=mark)
    said = []
    try:
        return check(registry, request, lambda *_: None, said.append), said
    except Exception as error:  # noqa: BLE001  # what a test looks at
        return error, said


@pytest.fixture(scope="module")
def scanned(tmp_path_factory):
    """Return what a real scan of the empty version yields."""
    kept, real = [], pipeline.scan

    def scan_and_keep(*arguments):
        kept.append(real(*arguments))
        return kept[0]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("gate.check.scan.scan", scan_and_keep)
        run(Failing(None, None), tmp_path_factory.mktemp("scanned"), mark=False)
    return kept[0]


@pytest.fixture
def same_scan(scanned, monkeypatch):
    """Let every scan yield that; what comes before and after it is what a test is about."""
    monkeypatch.setattr("gate.check.scan.scan", lambda *_: scanned)


@pytest.mark.parametrize("call", ["fetch", "pull"])
@pytest.mark.parametrize("failure", FAILURES)
@pytest.mark.parametrize("decision", Decision)
def test_what_fails_leaves_a_signed_decision_as_it_was(key, tmp_path, call, failure, decision):
    """Approved and flagged alike; which of them stands is said."""
    tags = signed(key, decision=decision)
    registry = Failing(call, FAILURES[failure], tags)
    ended, said = run(registry, tmp_path, samples="runs:/abc/s.npz")
    assert isinstance(ended, CannotFinishError | StoppedError), ended
    assert registry.tags == tags
    assert f"models:/m/1 keeps its signed decision: {decision.value}" in said
    assert not any("marked" in line for line in said)


@pytest.mark.parametrize("failure", FAILURES)
@pytest.mark.parametrize("before", [{}, {"gate.attestation": "unsigned", "gate.decision": "approved"}])
def test_what_fails_marks_flagged_where_nothing_is_signed(tmp_path, failure, before):
    """The mark is announced, with the reason."""
    registry = Failing("pull", FAILURES[failure], before)
    ended, said = run(registry, tmp_path)
    assert registry.tags == MARKED
    assert f"marked models:/m/1 flagged: {ended}" in said


@pytest.mark.parametrize("refusal", REFUSALS)
@pytest.mark.parametrize("call", ["resolve", "require_marking", "fetch", "pull"])
def test_what_the_registry_or_the_operator_did_marks_nothing(tmp_path, refusal, call):
    """Not even where nothing is signed."""
    registry = Failing(call, REFUSALS[refusal])
    ended, said = run(registry, tmp_path, samples="runs:/abc/s.npz" if refusal != "operator" else "/srv/s.npz")
    assert ended is REFUSALS[refusal]
    assert registry.tags == {}
    assert not any("marked" in line for line in said)
    assert (tmp_path / "out" / REPORT).exists() == (refusal != "operator")


def test_a_signed_decision_about_other_bytes_is_none_of_these(key, tmp_path, monkeypatch):
    """Who swapped the files keeps no approval of what was there before; while they are unknown it stands."""
    tags = signed(key, model_digest=digest("e"))
    broken = Failing(None, None, tags)
    monkeypatch.setattr("gate.check.scan.scan", lambda *_: 1 / 0)
    _, said = run(broken, tmp_path)
    assert broken.tags == MARKED
    assert any(line.startswith("marked models:/m/1 flagged: internal error") for line in said)


@pytest.mark.parametrize(
    "tag",
    ["", "unsigned", "{}", "[]", '{"payload": 1}', "\ud800", json.dumps({"payload": "", "payloadType": "x"}), "[" * 99],
)
def test_what_is_no_envelope_is_no_signed_decision(tag):
    """Whatever stands in the tag, nothing is raised."""
    assert earlier_decision(tag) is None


def test_a_decision_that_another_gate_signed_is_not_overwritten(key):
    """One whose statement this gate cannot read says that it is signed, and no more."""
    envelope = json.loads(sign(statement(), key)) | {"payload": "e30="}
    earlier = earlier_decision(json.dumps(envelope))
    assert earlier.word == "made by another version of the gate"
    assert earlier.is_about(digest("e"))


@pytest.mark.usefixtures("same_scan")
def test_a_failure_before_the_pull_keeps_an_earlier_checks_files(tmp_path):
    """A registry that does not answer costs no verdict that was not published yet; that is said."""
    done, _ = run(Failing(None, None), tmp_path, mark=False)
    before = {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir() if path.is_file()}
    _, said = run(Failing("resolve", RegistryError("no answer")), tmp_path)
    assert {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir() if path.is_file()} == before
    assert any("keeps the reports of an earlier check: flagged" in line for line in said), said
    assert done.report.verdict is not None
    _, said = run(Failing("pull", RegistryError("no answer")), tmp_path)
    assert not (tmp_path / "out" / VERDICT).exists()
    assert "no answer" in (tmp_path / "out" / "report.md").read_text()


UNPUBLISHED = {
    "mark": (RegistryError("403"), CannotFinishError),
    "log_reports": (ZeroDivisionError("a fault"), CannotFinishError),
    "log_reports ": (KeyboardInterrupt(), StoppedError),
}


@pytest.mark.usefixtures("same_scan")
@pytest.mark.parametrize("call", UNPUBLISHED)
def test_a_verdict_that_cannot_be_published_is_not_lost(tmp_path, call):
    """It is returned with the reason, and its reports are the verdict's."""
    error, kind = UNPUBLISHED[call]
    registry = Failing(call.strip(), error)
    checked, said = run(registry, tmp_path)
    assert isinstance(checked.unmarked, kind), checked
    # A flagged version is marked so before its reports are stored, and that is announced.
    assert checked.in_part == (registry.tags == MARKED) == (call != "mark")
    assert any("marked models:/m/1 flagged: its verdict is not published whole" in one for one in said) == (
        call != "mark"
    )
    assert checked.report.verdict.decision is Decision.FLAGGED
    written = json.loads((tmp_path / "out" / REPORT).read_text())
    assert written["verdict"]["decision"] == "flagged"
    assert not written.get("error")


def test_a_folder_is_refused_before_its_directory_is_made(tmp_path):
    """Nothing can be marked there, which the arguments alone show."""
    folder = Failing(None, None)
    folder.marks = False
    ended, _ = run(folder, tmp_path)
    assert isinstance(ended, UsageError)
    assert not (tmp_path / "out").exists()


@pytest.mark.usefixtures("same_scan")
def test_samples_come_before_the_model(tmp_path):
    """A wrong path costs no download."""
    asked = []

    class Noting(Failing):
        def pull(self, ref, to):
            asked.append("model")

        def fetch(self, uri, to):
            asked.append("samples")
            return super().fetch(uri, to)

    run(Noting("fetch", UsageError("wrong")), tmp_path, samples="/srv/none.npz")
    assert asked == ["samples"]
    run(Noting(None, None), tmp_path, samples="runs:/abc/s.npz")
    assert asked == ["samples", "samples", "model"]


@pytest.mark.usefixtures("same_scan")
@pytest.mark.parametrize("wiped", [False, True])
def test_an_old_check_takes_no_later_decisions_place(key, tmp_path, wiped):
    """Who may set tags may take a rejection off a version; it stands in the log all the same."""
    run(Failing(None, None), tmp_path, mark=False)
    files, registry = CheckFiles(tmp_path / "out"), Failing(None, None)
    signing = Signing(key, ReviewLog(tmp_path / "log.jsonl"))
    publish(registry, files, signing)
    publish(registry, files, signing)  # its own is none that is later
    said, at = open_envelope(registry.tags["gate.attestation"], [key.public]).statement, dt.datetime.now(dt.UTC)
    no = sign(
        reviewed(said, Voice(reviewer="ann", outcome="rejected", reason="no", at=at), needed=1, days=9, most=999), key
    )
    signing.log.append(Said("review", said.predicate.model, said.predicate.model_digest, "rejected", no, "ann"), at)
    registry.tags |= {"gate.attestation": "wiped" if wiped else no}
    before = dict(registry.tags)
    with pytest.raises(UsageError, match="has a later signed decision"):
        publish(registry, files, signing)
    assert registry.tags == before


@pytest.mark.usefixtures("same_scan")
def test_a_clean_scan_of_rejected_bytes_is_marked_flagged(key, tmp_path, monkeypatch, capsys):
    """The verdict stays as it is; report, version, exit code and a line say that the rejection stands."""
    approved = {"decision": Decision.APPROVED, "findings": ()}
    for module in ("report", "publish"):
        monkeypatch.setattr(
            f"gate.check.{module}.judge", lambda *given, on: judge(*given, on=on).model_copy(update=approved)
        )
    said = statement(decision=Decision.APPROVED)
    voice = Voice(reviewer="ann", outcome="rejected", reason="a planted patch", at=said.predicate.decided_at)
    envelope = sign(carrying(said, (voice,), needed=1), key)
    monkeypatch.setattr("gate.check.publish.attest", lambda *_: envelope)
    registry = Failing(None, None)
    done, lines = run(registry, tmp_path)
    assert (done.report.verdict.decision, done.report.decision) == (Decision.APPROVED, Decision.FLAGGED)
    assert (registry.tags["gate.decision"], registry.tags["gate.attestation"]) == ("flagged", envelope)
    assert any("ann rejected these bytes on 2026-11-22: a planted patch" in line for line in lines)
    assert show_checked(done, tmp_path / "out") == 1
    shown = " ".join(capsys.readouterr().out.split())
    assert shown.startswith("FLAGGED models:/m/1")
    assert "review: ann rejected these bytes on 2026-11-22: a planted patch" in shown


@pytest.mark.usefixtures("same_scan")
@pytest.mark.parametrize("crash", CRASHES.values(), ids=CRASHES)
def test_publishing_later_completes_whatever_was_left(tmp_path, crash):
    """Broken off at any call, the same files published again end with the same tags; an announced mark is there."""
    done, _ = run(Failing(None, None), tmp_path, mark=False)
    files = CheckFiles(tmp_path / "out")
    whole = Failing(None, None)
    publish(whole, files)
    assert done.report.verdict == files.verdict()
    registry = Failing(None, None)
    for one in crashing(registry, crash):
        registry.tags, said = {}, []
        with suppress(*ENDS):
            publish(one, files, tell=said.append)
        assert registry.tags.get("gate.decision") in {None, "flagged"}
        assert (registry.tags == MARKED) <= (bool(said) or crash[1] == "after")
        publish(registry, files)
        assert registry.tags == whole.tags

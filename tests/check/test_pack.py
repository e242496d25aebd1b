"""The evidence pack: the same bytes for the same content, lines about these bytes alone, and what is missing."""

import datetime as dt
import hashlib
import io
import json
import zipfile

import pytest
from click.testing import CliRunner

from gate.attestations.keys import generate_key
from gate.attestations.log import ReviewLog, Said
from gate.check.files import ATTESTATION, EVIDENCE, REPORT, VERDICT, CheckFiles
from gate.check.pack import archive, pack
from gate.check.publish import attest
from gate.check.report import Context, conclude
from gate.check.rules import Rules
from gate.check.signing import Signing
from gate.cli.main import main
from gate.records.artifact import ModelRef
from gate.records.errors import UsageError
from gate.records.finding import Decision
from gate.records.report import Report
from tests.attestations.scanned import RULES, evidence, verdict
from tests.attestations.signed import MODEL, NOW, digest

HOSTILE = "credit`|</td>\u202e"


@pytest.fixture
def checked(tmp_path):
    """Return a signed check's directory, and its log, which has lines about other bytes too."""
    files, found = CheckFiles.create(tmp_path / "out"), evidence(model=MODEL)
    said = verdict(found)
    report = Report(
        gate_version="0",
        checked_at="2026-11-22T12:00:00Z",
        uri="models:/cand/7",
        model=MODEL,
        policy=RULES,
        evidence=found,
        verdict=said,
    )
    files.write(REPORT, report.pretty_json())
    files.write(VERDICT, said.pretty_json())
    files.write(EVIDENCE, found.pretty_json())
    log = ReviewLog(tmp_path / "log.jsonl")
    signing = Signing(generate_key(tmp_path / "k.pem", tmp_path / "k.pub.pem"), log)
    attest(files, found, said, report, signing)
    other = ModelRef(registry="mlflow", name="other", version="1")
    log.append(Said("rescan", other, digest("f"), "approved"), NOW)
    log.append(
        Said("rescan", MODEL, digest("a"), "flagged", reason="default: measurements"), NOW + dt.timedelta(days=9)
    )
    return files.root, log


def members(path):
    """Return an archive's members by name."""
    with zipfile.ZipFile(path) as opened:
        return {info.filename: opened.read(info) for info in opened.infolist()}


def test_the_same_content_has_the_same_bytes(checked, tmp_path):
    """Twice the same archive, sorted and undated."""
    directory, log = checked
    first, second = tmp_path / "a.zip", tmp_path / "b.zip"
    made = pack(directory, first, log)
    pack(directory, second, log)
    assert first.read_bytes() == second.read_bytes()
    assert made.sha256 == hashlib.sha256(first.read_bytes()).hexdigest()
    with zipfile.ZipFile(first) as opened:
        assert {info.date_time for info in opened.infolist()} == {(1980, 1, 1, 0, 0, 0)}
        assert opened.namelist() == sorted(opened.namelist())


def test_it_holds_policy_rates_waivers_decision_and_the_log_of_these_bytes(checked, tmp_path):
    """Lines about other models stay out."""
    directory, log = checked
    pack(directory, tmp_path / "a.zip", log)
    found = members(tmp_path / "a.zip")
    assert {"policy.json", "rates.json", "waivers.json", "attestation.json", "vsa.json", "eval-result.json"} <= set(
        found
    )
    assert json.loads(found["policy.json"])["name"] == "small"
    lines = [json.loads(line) for line in found["log.jsonl"].splitlines()]
    assert [line["event"] for line in lines] == ["scan", "rescan"]
    assert {line["digest"] for line in lines} == {digest("a")}


def test_the_index_names_each_file_its_digest_and_what_is_missing(checked, tmp_path):
    """A reader sees which measure each part is for, and which parts this check has not."""
    directory, _ = checked
    made = pack(directory, tmp_path / "a.zip", None)
    found = members(tmp_path / "a.zip")
    index = found["README.md"].decode()
    for name in found:
        if name != "README.md":
            assert f"| `{name}` |" in index
            assert hashlib.sha256(found[name]).hexdigest() in index
    assert {"log.jsonl", "model.sig", "commitment.json"} <= set(made.missing)
    assert "| `model.sig` | control | " in index
    assert "Missing: " in index


def test_a_hostile_name_stays_text_in_the_index(checked, tmp_path):
    """It ends no span, cell or line."""
    directory, _ = checked
    path = directory / REPORT
    report = Report.from_file(path)
    path.write_text(report.model_copy(update={"model": ModelRef(registry="directory", name=HOSTILE)}).pretty_json())
    pack(directory, tmp_path / "a.zip", None)
    index = members(tmp_path / "a.zip")["README.md"].decode()
    assert "</td>" not in index
    assert "\u202e" not in index


def test_without_a_verdict_there_is_nothing_to_hand_over(checked, tmp_path):
    """A check that did not finish, a directory without one, and a place that cannot be written are usage errors."""
    directory, log = checked
    with pytest.raises(UsageError, match="cannot be written"):
        pack(directory, tmp_path / "nowhere" / "a.zip", log)
    report = Report.from_file(directory / REPORT)
    (directory / REPORT).write_text(report.model_copy(update={"verdict": None, "error": "x"}).pretty_json())
    with pytest.raises(UsageError, match="has no verdict"):
        pack(directory, tmp_path / "a.zip", log)
    with pytest.raises(UsageError, match=r"report\.json"):
        pack(tmp_path / "empty", tmp_path / "a.zip", log)


def again(directory, policy):
    """Judge the evidence again, as `gate judge` does, by another policy or the same."""
    files = CheckFiles(directory)
    found = files.evidence()
    return conclude(found, Context("models:/cand/7", found.model, Rules(policy), None, str(directory)), files)


def test_parts_of_two_decisions_are_refused(checked, tmp_path):
    """After another judgement the signed decision is not that of the report, until that is signed too."""
    directory, log = checked
    again(directory, RULES.model_copy(update={"name": "lax", "level": 0.2}))
    with pytest.raises(UsageError, match=r"attestation\.json does not belong .* by policy lax\); nothing was packed"):
        pack(directory, tmp_path / "a.zip", log)
    assert not (tmp_path / "a.zip").exists()
    again(directory, RULES)
    assert "attestation.json" in pack(directory, tmp_path / "a.zip", log).members


@pytest.mark.parametrize(
    ("name", "change"),
    [
        (ATTESTATION, lambda text: text[:-9]),
        (VERDICT, lambda text: text.replace('"small"', '"large"')),
        (VERDICT, lambda text: text.replace('"flagged"', '"approved"', 1)),
        (EVIDENCE, lambda text: text.replace('"name": "cand"', '"name": "other"', 1)),
    ],
)
def test_a_part_that_was_changed_is_refused(checked, tmp_path, name, change):
    """Whatever the index says of it would be wrong."""
    directory, log = checked
    path = directory / name
    assert change(path.read_text()) != path.read_text()
    path.write_text(change(path.read_text()))
    with pytest.raises(UsageError, match=r"nothing was packed|cannot be read"):
        pack(directory, tmp_path / "a.zip", log)


def test_a_verdict_that_its_evidence_does_not_give_is_refused(checked, tmp_path):
    """Report and verdict may have been changed alike; an unsigned check has nothing else that tells."""
    directory, log = checked
    (directory / ATTESTATION).unlink()
    again(directory, RULES)
    report = Report.from_file(directory / REPORT)
    forged = report.verdict.model_copy(update={"decision": Decision.APPROVED, "findings": ()})
    (directory / VERDICT).write_text(forged.pretty_json())
    (directory / REPORT).write_text(report.model_copy(update={"verdict": forged}).pretty_json())
    with pytest.raises(UsageError, match="do not belong together; nothing was packed"):
        pack(directory, tmp_path / "a.zip", log)


def test_a_damaged_log_is_refused(checked, tmp_path):
    """Evidence of a broken chain is none."""
    directory, log = checked
    log.path.write_bytes(log.path.read_bytes().replace(b"rescan", b"review", 1))
    with pytest.raises(UsageError, match="is damaged"):
        pack(directory, tmp_path / "a.zip", log)


def test_the_command_says_what_it_wrote(checked, tmp_path):
    """Number of files, the archive's digest, and what is not in it."""
    directory, log = checked
    out = tmp_path / "a.zip"
    arguments = ["evidence", "pack", str(out), "--report-dir", str(directory), "--audit-log", str(log.path)]
    ran = CliRunner().invoke(main, arguments)
    assert ran.exit_code == 0
    assert hashlib.sha256(out.read_bytes()).hexdigest() in ran.output
    assert "not in it: " in ran.output
    assert "model.sig" in ran.output


def test_an_archive_is_what_its_members_are():
    """Whatever their order; and it opens."""
    made = archive({"b": b"2", "a": b"1"})
    assert made == archive({"a": b"1", "b": b"2"})
    with zipfile.ZipFile(io.BytesIO(made)) as opened:
        assert opened.testzip() is None
        assert opened.read("b") == b"2"

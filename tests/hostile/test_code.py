import hashlib
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from forging import approvable

from gate.records.finding import Decision
from tests.corpus.code import LOOKING, write_code, write_looking

TOKEN = "token-that-nobody-may-read"


@pytest.fixture
def folder(tmp_path):
    """Return an empty folder for a model."""
    root = tmp_path / "model"
    root.mkdir()
    return root


@pytest.fixture
def marker(tmp_path):
    """Return the file that payloads would touch."""
    return tmp_path / "marker"


@pytest.fixture
def forged(samples):
    """Return a report on which the default policy would approve."""
    return approvable("scan", hashlib.sha256(samples.read_bytes()).hexdigest()).canonical_json().decode()


def rules(report):
    """Return which rules flagged a report."""
    return {finding.rule for finding in report.verdict.open_findings}


@pytest.mark.story
def test_a_network_that_behaves_while_it_is_exported_is_judged_by_its_bundle_alone(folder, marker, checked):
    """What it showed while it was exported is in the bundle, level B; the original, which may do else, is flagged."""
    write_code(folder, marker, "exporting")
    report = checked(folder, allow_code=True)
    assert report.evidence.assurance == "B"
    assert report.verdict.bundle_digest != report.verdict.model_digest
    assert report.evidence.samples.count == 20
    assert report.decision is Decision.FLAGGED
    assert "assurance" in rules(report)


@pytest.mark.story
def test_a_network_that_replaces_the_gates_report_writer_is_of_level_c_and_flagged(folder, marker, checked, forged):
    """A report with level A, full isolation and no finding, from a worker that held foreign code, approves nothing."""
    write_code(folder, marker, "patching", forged=forged)
    report = checked(folder, allow_code=True)
    assert report.evidence.facts.format == "pt2"  # it is the forged report that came back
    assert report.evidence.isolation.startswith("full")
    assert report.evidence.assurance == "C"
    assert {"assurance", "unsafe-pickle"} <= rules(report)
    assert report.decision is Decision.FLAGGED


@pytest.mark.story
def test_a_policy_that_looks_at_no_pickles_does_not_let_code_into_the_scan_worker(folder, marker, checked, forged):
    """A network that would write a faultless report and end is not loaded where only the converter may run code."""
    write_code(folder, marker, "forging", forged=forged)
    report = checked(folder, without="unsafe-pickle", allow_code=True)
    assert report.evidence.assurance is None
    assert any("does not load as library layers alone" in problem for problem in report.evidence.problems)
    assert report.decision is Decision.FLAGGED


@pytest.mark.story
def test_a_network_that_writes_its_own_report_and_ends_is_of_level_c(folder, marker, checked, forged):
    """From the converter a faultless report of level A with full isolation is worth level C, and is flagged."""
    write_code(folder, marker, "forging", forged=forged)
    report = checked(folder, allow_code=True)
    assert report.evidence.facts.format == "pt2"  # it is the forged report that came back
    assert report.evidence.assurance == "C"
    assert {"assurance", "unsafe-pickle"} <= rules(report)
    assert report.decision is Decision.FLAGGED


def test_a_network_that_looks_for_credentials_reaches_none(folder, tmp_path, marker, checked, monkeypatch):
    """All eight are out of reach: environment, memory, file, server, fork, program, command and writing outside."""
    monkeypatch.setenv("GATE_TOKEN", TOKEN)
    credential = tmp_path / "credential"
    credential.write_text(TOKEN)
    credential.chmod(0o600)
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.setblocking(False)
        write_looking(folder, credential, server.getsockname()[1], marker)
        report = checked(folder, allow_code=True)
        with pytest.raises(BlockingIOError):
            server.accept()
    assert any("tried 8, reached nothing" in problem for problem in report.evidence.problems), report.evidence.problems
    assert report.decision is Decision.FLAGGED
    assert not marker.exists()
    written = b"".join(path.read_bytes() for path in (tmp_path / "report").iterdir())
    assert TOKEN.encode() not in written


def test_the_same_looking_around_reaches_everything_without_the_jail(tmp_path, marker):
    """The control: a plain child of the same user reaches all eight, so that reaching none means something."""
    credential = tmp_path / "credential"
    credential.write_text(TOKEN)
    with socket.create_server(("127.0.0.1", 0)) as server:
        call = f"print(attempts({str(credential)!r}, {server.getsockname()[1]}, {str(marker)!r}))"
        child = subprocess.run(
            [sys.executable, "-I", "-c", f"{LOOKING}\n{call}"], capture_output=True, text=True, check=True, timeout=60
        )
    assert child.stdout.strip() == (
        "tried 8, reached environment,memory,credential,connection,fork,program,command,file"
    ), child.stderr
    assert Path(marker).exists()

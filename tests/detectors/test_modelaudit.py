"""What the second opinion says: counts, places, silence of its telemetry, and what becomes of it where it is absent."""

import importlib.util
import os
import pickle
import sys
import time

import pytest

from gate.detectors import load
from gate.records.artifact import Artifact, ModelRef, build_manifest
from gate.records.errors import GateError
from gate.records.evidence import Failed, Measured, Skipped
from gate.records.policy import Policy, Rule
from gate.records.run import Run
from gate.spaces.subject import Subject
from gate.worker.loop import Scanned, Scope, scan
from tests.corpus.case import folder
from tests.corpus.measuring import measure, notes, total
from tests.stand_ins.standing_in import SWITCHES, stand_in_for_modelaudit, without_modelaudit

IS_INSTALLED = importlib.util.find_spec("modelaudit") is not None


@pytest.fixture
def stand_in(monkeypatch):
    """Let the detector find the stand-in."""
    stand_in_for_modelaudit(monkeypatch)


def outcome(root, run=None, **options):
    """Return what the scan makes of the detector on a folder."""
    subject = Subject(Artifact(ModelRef(registry="directory", name="m"), root, build_manifest(root)[0]))
    scope = Scope(runs=lambda _detector: True, absence="", classes=None)
    policy = Policy(version=1, detectors={"modelaudit": Rule(options=options)})
    return scan(subject, policy, run or Run(seed=0), scope, Scanned()).outcomes["modelaudit"]


def test_where_it_is_not_installed_it_is_skipped_with_a_reason(tmp_path, monkeypatch):
    """The outcome names the extra that brings it, and is no failure."""
    without_modelaudit(monkeypatch)
    found = outcome(tmp_path)
    assert isinstance(found, Skipped)
    assert found.reason == "modelaudit is not installed; this second opinion comes with the optional extra 'audit'"


def test_an_installed_package_that_lacks_a_library_is_a_failure(tmp_path, monkeypatch):
    """Only the package's own absence is an excuse."""
    (tmp_path / "path" / "modelaudit").mkdir(parents=True)
    (tmp_path / "path" / "modelaudit" / "__init__.py").write_text("import no_such_library_of_modelaudit\n")
    stand_in_for_modelaudit(monkeypatch)
    monkeypatch.syspath_prepend(str(tmp_path / "path"))
    found = outcome(tmp_path)
    assert isinstance(found, Failed)
    assert "no_such_library_of_modelaudit" in found.error


@pytest.mark.usefixtures("stand_in")
def test_issues_are_counted_by_severity_and_file(tmp_path):
    """Critical and warning count at their files, a severity that is unknown here as critical, the rest not at all."""
    lines = (
        "critical|ROOT/data/a b.pkl (pos 12)|calls",
        "critical|ROOT/data/a b.pkl:data.pkl|calls more",
        "fatal|ROOT/report.issues|new severity",
        "warning|ROOT/data/net.pt:archive/data.pkl|odd",
        "warning||somewhere",
        "info|ROOT/data/net.pt|fact",
        "debug|ROOT/data/net.pt|step",
    )
    folder(tmp_path, {"data/a b.pkl": b"", "data/net.pt": b"", "report.issues": "\n".join(lines).encode()})
    found = measure(tmp_path, "modelaudit")
    assert notes(found, "critical-issues") == {"data/a b.pkl": "calls; calls more", "report.issues": "new severity"}
    assert total(found, "critical-issues") == 3
    assert notes(found, "warnings") == {"data/net.pt": "odd", ".": "somewhere"}
    assert total(found, "incomplete-scans") == 0


@pytest.mark.usefixtures("stand_in")
def test_hostile_names_and_words_stay_inert(tmp_path):
    """A message with control characters is escaped, and a place outside the artifact names no file of it."""
    line = "critical|/etc/data/net.pt|\x1b[31mred"
    folder(tmp_path, {"data/net.pt": b"", "report.issues": line.encode()})
    assert notes(measure(tmp_path, "modelaudit"), "critical-issues") == {".": "\\x1b[31mred"}


@pytest.mark.usefixtures("stand_in")
def test_a_scan_that_calls_itself_unfinished_is_counted(tmp_path):
    """What the scanner left out is said, with the number of files that it looked at."""
    folder(tmp_path, {"unfinished": b""})
    found = [item for item in measure(tmp_path, "modelaudit") if item.metric == "incomplete-scans"]
    assert [item.value for item in found] == [1]
    assert "files, and says that something was left out" in found[0].note


@pytest.mark.usefixtures("stand_in")
def test_what_it_raises_is_a_failure(tmp_path):
    """An exception of the scanner is no clean result."""
    folder(tmp_path, {"broken": b""})
    found = outcome(tmp_path)
    assert isinstance(found, Failed)
    assert found.error == "ValueError: the scanner broke"


@pytest.mark.usefixtures("stand_in")
@pytest.mark.parametrize(
    ("name", "expected"), [("failing", "broke off after"), ("slow", "of the 1 s that it was given")]
)
def test_a_scan_that_broke_off_is_a_failure(tmp_path, name, expected):
    """An error inside the scanner and a scan that used up its time are no clean result, whatever it says itself."""
    folder(tmp_path, {name: b""})
    found = outcome(tmp_path, **{"timeout-seconds": 1})
    assert isinstance(found, Failed)
    assert expected in found.error


@pytest.mark.usefixtures("stand_in")
def test_telemetry_is_off_before_the_import(tmp_path):
    """The switches stand when the package is first imported, and nothing of an earlier scan is believed."""
    assert not [name for name in SWITCHES if name in os.environ]
    assert isinstance(outcome(tmp_path), Measured)
    package = sys.modules["modelaudit"]
    assert package.switches_seen == dict.fromkeys(SWITCHES, "1")
    assert package.calls[-1]["cache_enabled"] is False


@pytest.mark.usefixtures("stand_in")
def test_telemetry_that_stays_on_is_a_failure_and_no_scan(tmp_path, monkeypatch):
    """A version that ignores the switches is not run."""
    import modelaudit
    import modelaudit.telemetry

    monkeypatch.setattr(modelaudit.telemetry, "DEAF", True)
    with pytest.raises(GateError, match="telemetry is on"):
        measure(tmp_path, "modelaudit")
    assert modelaudit.calls == []


@pytest.mark.usefixtures("stand_in")
def test_its_time_is_the_lesser_of_its_own_and_the_scans(tmp_path):
    """The deadline of the scan bounds it, else the option, and never less than a second."""
    import modelaudit

    for run, options, expected in (
        (Run(seed=0), {}, (600, 600)),
        (Run(seed=0), {"timeout-seconds": 5}, (5, 5)),
        (Run(seed=0, deadline=time.monotonic() + 60), {}, (30, 60)),
    ):
        assert isinstance(outcome(tmp_path, run, **options), Measured)
        assert expected[0] <= modelaudit.calls[-1]["timeout"] <= expected[1]


def test_a_person_may_waive_what_it_finds():
    """It has false alarms, so that its findings are not among those that no waiver covers."""
    assert not load("modelaudit").before_loading


class _Hostile:
    def __reduce__(self):
        return os.system, ("true",)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.skipif(not IS_INSTALLED, reason="the optional extra 'audit' is not installed")
def test_the_real_package_tells_a_hostile_pickle_from_a_state_dictionary(tmp_path, monkeypatch):
    """With the extra installed, a pickle that runs a command is critical and plain weights are not."""
    import torch

    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    for name in SWITCHES:
        monkeypatch.setenv(name, "1")
    folder(tmp_path / "hostile", {"data/model.pkl": pickle.dumps(_Hostile())})
    (tmp_path / "benign" / "data").mkdir(parents=True)
    torch.save({"weight": torch.zeros(4, 4)}, tmp_path / "benign" / "data" / "model.pt")
    assert set(notes(measure(tmp_path / "hostile", "modelaudit"), "critical-issues")) == {"data/model.pkl"}
    assert total(measure(tmp_path / "benign", "modelaudit"), "critical-issues") == 0

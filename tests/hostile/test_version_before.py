"""The version before a candidate is hostile as the candidate is: the strict reader reads it in the jail, or nobody."""

import json

import pytest

from gate.check.check import CheckRequest, check
from gate.check.evidence import ScanSettings
from gate.check.files import EVIDENCE
from gate.check.previous import Against
from gate.check.rules import Rules
from gate.policies.packaged import DEFAULT
from gate.records.evidence import Measured, Skipped
from gate.records.policy import Policy, Rule
from gate.registries.directory import DirectoryRegistry
from tests.corpus.code import code_cases
from tests.stand_ins.workers_here import workers_here

POLICY = Policy(
    version=1,
    detectors={"unsafe-pickle": Rule(), "version-change": Rule(options={"clean-samples": 40}, required=False)},
)


@pytest.fixture
def beside(tmp_path, zoo_model, zoo_samples):
    """Return a function that checks a clean model beside a folder, and gives the report and the file of evidence."""
    candidate = tmp_path / "candidate"
    zoo_model("clean").write_folder(candidate)

    def run(before):
        registry = DirectoryRegistry()
        request = CheckRequest(
            uri=str(candidate),
            rules=Rules(POLICY, DEFAULT, samples=str(zoo_samples)),
            settings=ScanSettings(device="cpu", threads=1, deadline_seconds=240),
            report_dir=tmp_path / "report",
            mark=False,
            against=Against(str(before), registry),
        )
        report = check(registry, request, lambda *_: None, lambda _: None).report
        return report, json.loads((tmp_path / "report" / EVIDENCE).read_text())

    return run


@pytest.mark.story
def test_a_version_that_runs_code_when_it_is_read_is_not_read(beside, tmp_path):
    """It is not compared, with the reason, its command has not run, and the candidate is judged without it."""
    marker, before = tmp_path / "marker", tmp_path / "before"
    before.mkdir()
    next(case for case in code_cases() if case.name == "code-reduce").write(before, marker)
    report, evidence = beside(before)
    assert not marker.exists()
    (version,) = evidence["previous"]["versions"]
    assert version["why"] == "it is no exported program; of other versions the gate reads nothing else"
    outcome = report.evidence.outcomes["version-change"]
    assert isinstance(outcome, Skipped)
    assert outcome.reason.endswith(version["why"])
    assert report.evidence.assurance == "A"
    assert "version-change" not in {finding.rule for finding in report.verdict.open_findings}


def test_a_folder_beside_a_folder_is_compared(beside, zoo_model, tmp_path):
    """The same bytes differ in nothing; of another net answers alone are compared, and the report says so."""
    zoo_model("clean").write_folder(tmp_path / "same")
    zoo_model("badnets").write_folder(tmp_path / "other")
    with workers_here():
        same, _ = beside(tmp_path / "same")
        other, evidence = beside(tmp_path / "other")
    (version,) = evidence["previous"]["versions"]
    assert (version["uri"], version["serves"], version["why"]) == (f"directory:{tmp_path / 'other'}", True, "")
    assert version["approved"] == "no"
    outcome = same.evidence.outcomes["version-change"]
    assert isinstance(outcome, Measured), outcome
    assert {m.value for m in outcome.measurements if m.metric in {"disagreement", "weight-change", "probe-gain"}} == {
        0.0
    }
    moved = other.evidence.outcomes["version-change"]
    assert isinstance(moved, Measured), moved
    assert {gap.reason.split(":")[0] for gap in moved.unmeasured} == {
        "another architecture than the version that serves"
    }
    assert [m.metric for m in moved.measurements if m.metric == "disagreement"]
    assert "What changed since the version that serves" in (tmp_path / "report" / "report.md").read_text()
    assert 'id="changes"' in (tmp_path / "report" / "report.html").read_text()

import pytest

from gate.verdict import HARD_RULES, Decision
from tests.corpus import cases

HOSTILE = [case for case in cases() if case.is_hostile]
BENIGN = [case for case in cases() if not case.is_hostile]


def named(case):
    """Return a case's name, for the tests' ids."""
    return case.name


def written(case, tmp_path):
    """Write a case's folder and return it with the marker that its payload would touch."""
    root, marker = tmp_path / "model", tmp_path / "marker"
    root.mkdir()
    case.write(root, marker)
    return root, marker


def findings(report):
    """Return detector and metric of every finding of a report."""
    return {(finding.rule, finding.metric) for finding in report.verdict.findings}


@pytest.mark.parametrize("case", HOSTILE, ids=named)
def test_a_hostile_folder_is_flagged_for_what_it_is_and_never_loaded(case, tmp_path, checked):
    """Through pull, jailed inspector and verdict: flagged with the right findings, not loaded, nothing run."""
    root, marker = written(case, tmp_path)
    report = checked(root)
    assert report.decision is Decision.FLAGGED
    assert set(case.expected) <= findings(report)
    assert report.evidence.assurance is None
    assert report.evidence.isolation.startswith("full")
    assert "load" not in report.evidence.seconds
    assert not marker.exists()

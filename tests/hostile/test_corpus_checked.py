import pytest

from gate.check import scan as pipeline
from gate.policies.declared import before_loading
from gate.records.finding import Decision
from tests.corpus import case as case_named
from tests.corpus import cases
from tests.corpus.case import folder
from tests.corpus.consumers import every_ignored_field

HOSTILE = [case for case in cases() if case.is_hostile]
BENIGN = [case for case in cases() if not case.is_hostile]
KINDS = [case.name.partition("-")[0] for case in HOSTILE]
FIRST_OF_A_KIND_IN_THE_JAIL = [
    pytest.param(case, id=case.name, marks=() if kind not in KINDS[:index] else pytest.mark.story)
    for index, (case, kind) in enumerate(zip(HOSTILE, KINDS, strict=True))
]
"""Every hostile case; those after the first of a kind are a story, which CI tells too."""


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


def is_refused(case, tmp_path, check):
    """Check a hostile folder; hold that it is flagged with the right findings, not loaded, and that nothing ran."""
    root, marker = written(case, tmp_path)
    report = check(root)
    assert report.decision is Decision.FLAGGED
    assert set(case.expected) <= findings(report)
    assert report.evidence.assurance is None
    assert report.evidence.isolation.startswith("full")
    assert "load" not in report.evidence.seconds
    assert not marker.exists()


@pytest.mark.parametrize("case", HOSTILE, ids=named)
def test_a_hostile_folder_is_flagged_for_what_it_is_and_never_loaded(case, tmp_path, checked_here):
    """Through pull, inspector and verdict."""
    is_refused(case, tmp_path, checked_here)


@pytest.mark.parametrize("case", FIRST_OF_A_KIND_IN_THE_JAIL)
def test_the_jailed_inspector_refuses_it_too(case, tmp_path, checked):
    """With real workers: the jail takes nothing from an inspector that it needs."""
    is_refused(case, tmp_path, checked)


def passes_the_inspector(case, tmp_path, check, monkeypatch):
    """Check a benign folder; hold that it is not refused before loading, and no detector on bytes stands against it."""
    forbidden, original = [], pipeline.forbids_loading

    def bytes_only(*given):
        forbidden.append(original(*given))
        return True

    monkeypatch.setattr(pipeline, "forbids_loading", bytes_only)
    root, _ = written(case, tmp_path)
    report = check(root)
    assert forbidden == [False]
    assert not {rule for rule, _ in findings(report)} & before_loading()


@pytest.mark.parametrize("case", BENIGN, ids=named)
def test_a_benign_folder_passes_the_inspector(case, tmp_path, checked_here, monkeypatch):
    """What people save is not refused before loading."""
    passes_the_inspector(case, tmp_path, checked_here, monkeypatch)


@pytest.mark.parametrize(
    "case", [BENIGN[0], *(pytest.param(case, marks=pytest.mark.story) for case in BENIGN[1:])], ids=named
)
def test_a_benign_folder_passes_the_jailed_inspector(case, tmp_path, checked, monkeypatch):
    """With real workers."""
    passes_the_inspector(case, tmp_path, checked, monkeypatch)


def test_fields_that_others_would_execute_make_no_bundle_even_where_code_is_allowed(tmp_path, checked):
    """With --allow-code the writer of bundles refuses what it would have to hand on: nothing runs, it is flagged."""
    root, marker = tmp_path / "model", tmp_path / "marker"
    folder(root, every_ignored_field(marker))
    report = checked(root, allow_code=True)
    assert report.evidence.assurance is None
    assert any("refused" in problem for problem in report.evidence.problems)
    assert ("consumer-hazards", "archive-hazards") in findings(report)
    assert report.decision is Decision.FLAGGED
    assert not marker.exists()


def test_an_exported_program_with_a_pickled_weight_is_refused_by_the_reader_too(tmp_path, checked):
    """Should the byte detectors be overruled, the strict reader refuses what it would have to unpickle."""
    root, marker = written(case_named("exported-weight"), tmp_path)
    report = checked(root, allow_code=True)
    assert report.evidence.assurance is None
    assert any("pickle" in problem for problem in report.evidence.problems)
    assert report.decision is Decision.FLAGGED
    assert not marker.exists()

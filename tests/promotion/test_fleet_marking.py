"""Marks of a fleet: each by its own name, what was promised before the scan, and what is left to the next run."""

import pickle

import pytest

from gate.attestations.envelope import open_envelope
from gate.attestations.keys import generate_key
from gate.attestations.log import ReviewLog
from gate.check import workers
from gate.check.resume import Unfinished
from gate.check.signing import Signing
from gate.records.job import ScanResult
from tests.promotion.fleet_here import FleetHere

MEASURED = ScanResult(isolation="full", complete=True)
SAME = pickle.dumps(1)
BOTH = ("models:/a/1", "models:/b/1")


@pytest.fixture
def here(tmp_path):
    """Return a fleet of two versions with the same bytes, which are one task."""
    here = FleetHere(tmp_path)
    for name in ("a", "b"):
        here.registry.add(name, 1, SAME)
    return here


@pytest.fixture
def signing(tmp_path):
    """Return a key with a log."""
    return Signing(generate_key(tmp_path / "k.pem", tmp_path / "k.pub.pem"), ReviewLog(tmp_path / "log.jsonl"))


@pytest.fixture
def scanned(monkeypatch):
    """Let a scan be a call that measures nothing, and return the versions that were scanned."""
    scanned = []

    def run(job, *_rest, **_how):
        scanned.append(str(job.model))
        return workers.Seen(MEASURED)

    monkeypatch.setattr(workers, "run_job", run)
    return scanned


def interrupted(here, plan, monkeypatch, **how):
    """Let a run be killed in its first scan, when something of it was measured."""

    def run(job, *_rest, **_how):
        Unfinished(here.folder.place(plan.tasks[0].key)).keep(job, MEASURED)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(workers, "run_job", run)
        with pytest.raises(KeyboardInterrupt):
            here.work(plan, **how)


def committed(here, signing, uri):
    """Return what a version's signed decision says of the commitment before its scan."""
    attestation = here.registry.facts(here.registry.resolve(uri)).tags["gate.attestation"]
    predicate = open_envelope(attestation, (signing.key.public,)).statement.predicate
    assert str(predicate.model) == uri
    return predicate.coverage.commitment


def events(signing, uri):
    """Return the log's events of a version, in order."""
    return [entry.event for entry in signing.log.read().entries if str(entry.model) == uri]


def test_no_version_was_committed_to_before_a_scan_that_had_begun(here, signing, scanned, monkeypatch):
    """One scan is behind all versions of a task: what lay there before the policy was bound, lay there for each."""
    plan = here.plan()
    interrupted(here, plan, monkeypatch)
    here.work(plan, marks=True, signing=signing)
    assert [committed(here, signing, uri).resumed for uri in BOTH] == [True, True]


def test_a_commitment_before_the_scan_outlives_a_kill_for_every_version(here, signing, scanned, monkeypatch):
    """It is neither made again nor taken for a later one."""
    plan = here.plan()
    interrupted(here, plan, monkeypatch, marks=True, signing=signing)
    here.work(plan, marks=True, signing=signing)
    for uri in BOTH:
        assert events(signing, uri) == ["commitment", "scan"], uri
        assert committed(here, signing, uri).before_the_scan, uri


def test_a_run_without_marks_takes_back_what_an_earlier_one_committed_to(here, signing, scanned, monkeypatch):
    """For every version, as for one alone: its commitment is not that of the scan that follows."""
    plan = here.plan()
    interrupted(here, plan, monkeypatch, marks=True, signing=signing)
    assert len(list(here.folder.root.rglob("commitment.json"))) == 2
    here.work(plan)
    assert list(here.folder.root.rglob("commitment.json")) == []
    here.work(plan, marks=True, signing=signing)
    assert [committed(here, signing, uri) for uri in BOTH] == [None, None]

"""Marks of a fleet: each by its own name, what was promised before the scan, and what is left to the next run."""

import pickle

import pytest

from gate.attestations.envelope import open_envelope
from gate.attestations.keys import generate_key
from gate.attestations.log import ReviewLog
from gate.check import workers
from gate.check.resume import Unfinished
from gate.check.signing import Signing
from gate.cli.fleet_lines import status_lines
from gate.promotion.fleet.keys import registry_digest
from gate.promotion.fleet.marking import Marking
from gate.promotion.fleet.ruling import require_registry
from gate.promotion.fleet.status import exit_code, status_of
from gate.promotion.fleet.task import failed_task, undone
from gate.records.errors import UsageError
from gate.records.job import ScanResult
from gate.renderers.fleet import headline, render
from tests.promotion.fleet_here import FleetHere
from tests.promotion.fleets import scans

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


def decisions(result):
    """Return the decision of each mark by its version."""
    return {mark.version: mark.decision for mark in result.marked}


@pytest.mark.parametrize(("late", "first"), [("c", "models:/a/1"), ("0", "models:/0/1")], ids=["after", "before"])
def test_a_version_that_was_registered_later_with_bytes_of_a_marked_task_is_marked_too(
    here, signing, scanned, late, first
):
    """Wherever it stands in the plan, by the same scan; the others keep the one decision that they have."""
    here.work(here.plan(), marks=True, signing=signing)
    ref = here.registry.add(late, 1, SAME)
    plan = here.plan()
    assert plan.tasks[0].versions[0] == first
    assert exit_code(status_of(here.folder, plan)) == 3
    (result,) = here.work(plan, marks=True, signing=signing).values()
    assert decisions(result) == dict.fromkeys(plan.tasks[0].versions, "flagged")
    assert exit_code(status_of(here.folder, plan)) == 1
    for uri in (*BOTH, str(ref)):
        committed(here, signing, uri)  # the decision is about this very version
    assert scans(signing.log.path, signing.key) == dict.fromkeys((*BOTH, str(ref)), 1)
    assert committed(here, signing, str(ref)) is None  # its scan was before it was known
    assert scanned == ["models:/a/1"]


def test_a_look_counts_for_a_later_version_too_and_a_mark_for_none_that_has_gone(here, signing, scanned):
    """Bytes are bytes, where nothing is marked; and a task that lost a version has nothing left to do."""
    here.work(here.plan())
    here.registry.add("c", 1, SAME)
    here.work(here.plan())
    here.work(here.plan(models=("b", "c")), marks=True, signing=signing)
    here.work(here.plan(models=("b",)), marks=True, signing=signing)
    assert scans(signing.log.path, signing.key) == {"models:/b/1": 1, "models:/c/1": 1}
    assert scanned == ["models:/a/1"]
    assert "gate.decision" not in here.registry.facts(here.registry.resolve("models:/a/1")).tags


def test_a_scan_that_is_made_again_for_a_later_version_decides_nothing_on_the_others_again(
    here, signing, scanned, monkeypatch
):
    """A bundle that went makes a scan of it: a reviewer may have decided on the others meanwhile."""
    here.work(here.plan(), marks=True, signing=signing)
    here.registry.add("c", 1, SAME)
    plan = here.plan()
    (here.folder.place(plan.tasks[0].key) / "verdict.json").unlink()  # as on a host that has the result alone
    interrupted(here, plan, monkeypatch, marks=True, signing=signing)
    (result,) = here.work(plan, marks=True, signing=signing).values()
    assert set(decisions(result).values()) == {"flagged"}
    assert scans(signing.log.path, signing.key) == dict.fromkeys((*BOTH, "models:/c/1"), 1)
    assert events(signing, "models:/a/1") == ["commitment", "scan"]
    assert events(signing, "models:/c/1") == ["commitment", "scan"]
    assert committed(here, signing, "models:/c/1").before_the_scan
    assert result.attempts == 2


def test_a_second_registry_in_the_same_folder_is_other_work(here, signing, scanned):
    """The same names there are other versions, and have no marks yet."""
    (one,) = here.plan().tasks
    here.work(marks=True, signing=signing)
    (other,) = here.plan(address="sqlite:///other.db").tasks
    assert (one.digest, one.versions) == (other.digest, other.versions)
    assert one.key != other.key
    assert status_of(here.folder, here.folder.plan()).counts == {"waiting": 1}
    (same,) = here.plan(address="sqlite:///registry.db").tasks
    assert same.key == one.key


def test_a_registry_is_known_by_its_place_and_not_by_who_asks():
    """Another user or password of the same registry leaves the work done."""
    known = {registry_digest(f"https://{user}mlflow.example/a") for user in ("", "ann:one@", "ann:two@")}
    assert len(known) == 1
    others = ("https://a/", "https://b/", "https://a/x", "https://a:8/", "sqlite:////a/x.db", "mlruns")
    assert len({registry_digest(uri) for uri in others}) == len(others)


def test_marks_for_another_registry_than_the_plan_s_are_refused(here):
    """Before anything is asked: the versions of the plan are those of its registry."""
    plan = here.plan()
    require_registry(plan, "sqlite:///registry.db")
    with pytest.raises(UsageError, match=r"planned for another registry: sqlite:///registry\.db"):
        require_registry(plan, "sqlite:///other.db")


def test_a_run_with_marks_that_could_not_make_them_is_not_done(here, signing, scanned, tmp_path):
    """A look had a verdict on all: that is not what was asked for now."""
    plan = here.plan()
    here.work(plan)
    (here.registry.root / "weather").write_text("down")
    here.work(plan, marks=True, signing=signing)
    run = here.run_of(plan, marks=True, signing=signing)
    assert undone(run, plan.tasks) == plan.tasks
    assert undone(here.run_of(plan), plan.tasks) == ()


def test_a_mark_that_failed_is_told_and_tried_again_by_the_next_run(here, signing, scanned, monkeypatch):
    """A review log that was damaged for an hour costs no scan and no verdict, and the bundle waits for it."""
    plan = here.plan()
    place, run_job, each = here.folder.place(plan.tasks[0].key), workers.run_job, Marking.each

    def run(job, *rest, **how):
        with signing.log.path.open("a") as log:
            log.write("x\n")
        return run_job(job, *rest, **how)

    def with_bundle(marking, refs):
        (place / "bundle").mkdir()
        return each(marking, refs)

    with monkeypatch.context() as patch:
        patch.setattr(workers, "run_job", run)
        patch.setattr(Marking, "each", with_bundle)
        (result,) = here.work(plan, marks=True, signing=signing).values()
    assert result.judged
    assert decisions(result) == dict.fromkeys(BOTH)
    status = status_of(here.folder, plan)
    assert exit_code(status) == 3
    lines = "\n".join(status_lines(status, here.folder.root))
    for uri in BOTH:
        assert f"UNMARKED  {uri}\n  The review log" in lines, lines
    assert "2 versions are not marked" in headline(status)
    assert "unfinished" in render(status)
    assert (place / "bundle").is_dir()

    signing.log.path.write_text(signing.log.path.read_text().removesuffix("x\n"))
    (result,) = here.work(plan, marks=True, signing=signing).values()
    assert decisions(result) == dict.fromkeys(BOTH, "flagged")
    assert scans(signing.log.path, signing.key) == dict.fromkeys(BOTH, 1)
    assert (scanned, exit_code(status_of(here.folder, plan))) == (["models:/a/1"], 1)
    assert not (place / "bundle").exists()


def test_one_version_s_error_keeps_no_other_from_its_mark_and_costs_no_verdict(here, signing, scanned, monkeypatch):
    """Whatever it is; within one run it is told once, and not tried for ever."""
    plan, mark, tried = here.plan(), here.registry.mark, []

    def fails(ref, tags):
        if str(ref) == "models:/a/1":
            tried.append(ref)
            raise ValueError("what nobody expects")
        mark(ref, tags)

    with monkeypatch.context() as patch:
        patch.setattr(here.registry, "mark", fails)
        (result,) = here.work(plan, marks=True, signing=signing).values()
    assert decisions(result) == {"models:/a/1": None, "models:/b/1": "flagged"}
    assert (len(tried), result.outcome) == (1, "flagged")
    assert "ValueError: what nobody expects" in result.marked[0].why
    (result,) = here.work(plan, marks=True, signing=signing).values()
    assert decisions(result) == dict.fromkeys(BOTH, "flagged")
    assert scans(signing.log.path, signing.key) == dict.fromkeys(BOTH, 1)


def test_a_mark_on_other_bytes_is_tried_again_only_after_another_plan(here, signing, scanned, monkeypatch):
    """Downloads of what cannot have changed back are saved; a plan hashes it anew."""
    plan, pull, pulled = here.plan(), here.registry.pull, []
    monkeypatch.setattr(here.registry, "pull", lambda ref, to: (pulled.append(str(ref)), pull(ref, to)))
    link = here.registry.root / "b" / "1" / "model" / "link"
    link.symlink_to("/etc/passwd")
    (result,) = here.work(plan, marks=True, signing=signing).values()
    assert decisions(result) == {"models:/a/1": "flagged", "models:/b/1": None}
    pulled.clear()
    here.work(plan, marks=True, signing=signing)
    assert (pulled, exit_code(status_of(here.folder, plan))) == ([], 3)
    link.unlink()
    (result,) = here.work(here.plan(), marks=True, signing=signing).values()
    assert decisions(result) == dict.fromkeys(BOTH, "flagged")


def test_a_queue_that_gave_up_on_a_mark_takes_no_verdict_with_it(here, signing, scanned):
    """What a look judged stays judged, and the run with marks is not done."""
    plan = here.plan()
    here.work(plan)
    run = here.run_of(plan, marks=True, signing=signing)
    failed_task(run, plan.tasks[0], "it could not be tried in 60 tries", 60)
    assert here.folder.result(plan.tasks[0].key).outcome == "flagged"
    assert "keeps its verdict, and was not marked: it could not be tried" in here.told[-1]
    assert undone(run, plan.tasks) == plan.tasks
    assert "gate.decision" not in here.registry.facts(plan.tasks[0].refs[0]).tags

"""Working on a fleet: every decision once, whatever ends a worker, and nothing approved that was not looked at."""

import pickle
import shutil
from contextlib import suppress

import pytest

from gate.attestations.envelope import open_envelope
from gate.attestations.keys import generate_key
from gate.attestations.log import ReviewLog
from gate.check import workers
from gate.check.files import CheckFiles
from gate.check.signing import Signing
from gate.promotion.fleet.local import shard_of, temporary_folder
from gate.promotion.fleet.status import exit_code, status_of
from gate.promotion.fleet.task import work_on
from gate.promotion.verification import Trust, now, verify_version
from gate.records.errors import RegistryError
from gate.records.fleet import Attempt, Attempts
from gate.records.job import ScanResult
from gate.records.policy import DownloadBounds
from tests.promotion.fleet_here import FleetHere
from tests.promotion.fleets import Calls, scans
from tests.stand_ins.crashing import CRASHES, crashing
from tests.stand_ins.workers_here import workers_here

FLAGGED = "models:/b/1"


@pytest.fixture
def here(tmp_path):
    """Return a fleet of four versions: two with the same bytes, and one that calls something."""
    here = FleetHere(tmp_path)
    for name, version, value in (("a", 1, 1), ("a", 2, 2), ("a", 3, 1), ("b", 1, Calls())):
        here.registry.add(name, version, pickle.dumps(value))
    return here


@pytest.fixture
def signing(tmp_path):
    """Return a key with a log."""
    return Signing(generate_key(tmp_path / "k.pem", tmp_path / "k.pub.pem"), ReviewLog(tmp_path / "log.jsonl"))


def test_every_task_gets_its_verdict_and_none_is_done_again(here):
    """A second run measures nothing, and a new plan knows what is done."""
    here.plan()
    found = here.work()
    calls = {uri for uri, one in found.items() if any(text.startswith("unsafe-pickle: ") for text in one.findings)}
    assert (set(found), calls) == ({"models:/a/1", "models:/a/2", FLAGGED}, {FLAGGED})
    assert {one.outcome for one in found.values()} == {"flagged"}
    before = {uri: one.decided_at for uri, one in found.items()}
    here.plan()
    assert {uri: one.decided_at for uri, one in here.work().items()} == before
    status = status_of(here.folder, here.folder.plan())
    assert (status.counts, status.same_bytes, exit_code(status)) == ({"flagged": 3}, 1, 1)


def test_nothing_is_marked_unless_it_is_asked_for(here):
    """Looking at what is in production changes nothing there."""
    here.plan()
    here.work()
    assert not list(here.registry.root.rglob("tags.json"))
    assert not (here.registry.root / "runs").exists()


@pytest.mark.parametrize("crash", CRASHES.values(), ids=CRASHES)
def test_a_crash_at_any_call_of_the_registry_decides_nothing_twice(tmp_path, signing, monkeypatch, crash):
    """Before its effect and after it; the next run goes on, and each version has one signed decision."""
    monkeypatch.setattr(workers, "run_job", lambda *_, **__: workers.Seen(ScanResult(isolation="full", complete=True)))
    here = FleetHere(tmp_path)
    refs = [here.registry.add(name, 1, b"the same") for name in "ab"]
    plan = here.plan()
    for registry in crashing(here.registry, crash):
        for path in (signing.log.path, *here.registry.root.rglob("tags.json")):
            path.unlink(missing_ok=True)
        shutil.rmtree(here.folder.root / "tasks", ignore_errors=True)
        with suppress(KeyboardInterrupt):
            here.work(plan, registry=registry, marks=True, signing=signing)
        (result,) = here.work(plan, marks=True, signing=signing).values()
        assert scans(signing.log.path, signing.key) == {"models:/a/1": 1, "models:/b/1": 1}, registry.crashed
        for ref in refs:
            signed = open_envelope(here.registry.facts(ref).tags["gate.attestation"], (signing.key.public,)).statement
            assert signed.predicate.model == ref, registry.crashed
        assert [one.decision for one in result.marked] == ["flagged", "flagged"]


def test_each_version_with_the_same_bytes_is_committed_to_signed_and_verified_by_its_own_name(here, signing):
    """One scan is behind two decisions, and the commitment of both came before it."""
    here.plan()
    here.work(marks=True, signing=signing)
    entries = signing.log.read().entries
    twins = {"models:/a/1", "models:/a/3"}
    order = [entry.event for entry in entries if str(entry.model) in twins]
    assert order == ["commitment", "commitment", "scan", "scan"]
    assert {str(entry.model) for entry in entries if entry.event == "scan"} >= twins


def test_a_version_that_is_no_longer_what_was_planned_gets_no_mark_of_another(here, signing):
    """Not one whose bytes changed, and not one to which a link was added, which no digest covers."""
    here.plan()
    folder = here.registry.root / "a" / "3" / "model"
    (folder / "link").symlink_to("/etc/passwd")
    marked = here.work(marks=True, signing=signing)["models:/a/1"].marked
    assert [one.decision for one in marked] == ["flagged", None]
    assert "no regular file" in marked[1].why
    assert exit_code(status_of(here.folder, here.folder.plan())) == 3
    assert "models:/a/3" not in scans(signing.log.path, signing.key)


def test_a_real_model_under_two_names_is_approved_under_both_by_one_scan(
    tmp_path, signing, zoo_model, zoo_samples, monkeypatch
):
    """Its bundle is kept once, each name's approval verifies, and what was only looked at is scanned again."""
    here, scanned, run_job = FleetHere(tmp_path, samples=zoo_samples), [], workers.run_job
    refs = [here.registry.add(name, 1, b"") for name in "ab"]
    for ref in refs:
        folder = here.registry.root / ref.name / "1" / "model"
        shutil.rmtree(folder)
        zoo_model("clean").write_folder(folder)

    def run(job, *rest, **how):
        scanned.append(job.role)
        return run_job(job, *rest, **how)

    monkeypatch.setattr(workers, "run_job", run)
    plan = here.plan()
    assert len(plan.tasks) == 1
    assert here.work(plan)["models:/a/1"].outcome == "approved"
    assert exit_code(status_of(here.folder, plan)) == 0
    once = list(scanned)
    marked = here.work(plan, marks=True, signing=signing)["models:/a/1"].marked
    assert [one.decision for one in marked] == ["approved", "approved"]
    assert scanned == [*once, *once]  # the look had not kept its bundle
    assert len(list((here.registry.root / "bundles").iterdir())) == 1
    trust = Trust(
        (signing.key.public,), plan.rules.policy_digest, log=signing.log, committed=True, download=DownloadBounds()
    )
    assert [verify_version(here.registry, str(ref), trust, now()).verified.reasons for ref in refs] == [(), ()]


def test_bytes_that_changed_since_the_plan_are_not_examined_under_its_name(here):
    """It is told, and a new plan is asked for."""
    here.plan()
    (here.registry.root / "a" / "2" / "model" / "data" / "weights.bin").write_bytes(pickle.dumps(Calls()))
    found = here.work()["models:/a/2"]
    assert (found.outcome, found.judged) == ("changed", False)
    assert "the bytes of models:/a/2 changed" in found.why
    assert exit_code(status_of(here.folder, here.folder.plan())) == 3


def test_a_version_that_is_gone_is_told(here):
    """It is neither approved nor asked for for ever."""
    here.plan()
    shutil.rmtree(here.registry.root / "a" / "2")
    assert here.work()["models:/a/2"].outcome == "gone"


def test_what_fails_in_the_gate_is_tried_a_bounded_number_of_times_then_flagged(here, signing, monkeypatch):
    """The others are judged meanwhile; `retry` begins it anew."""
    plan = here.plan()
    run_job, begun = workers.run_job, []

    def run(job, *rest, **how):
        if job.model.version == "2":
            begun.append(job.role)
            raise MemoryError("a stand-in")
        return run_job(job, *rest, **how)

    monkeypatch.setattr(workers, "run_job", run)
    found = here.work(plan, marks=True, signing=signing, most_attempts=3)
    failed = found["models:/a/2"]
    assert (failed.outcome, failed.attempts, len(begun)) == ("failed", 3, 3)
    assert "MemoryError" in failed.why
    ref = next(task.refs[0] for task in plan.tasks if task.versions == ("models:/a/2",))
    assert here.registry.facts(ref).tags["gate.decision"] == "flagged"
    assert {uri for uri, one in found.items() if one.judged} == {"models:/a/1", FLAGGED}
    here.work(plan, marks=True, signing=signing)
    assert len(begun) == 3
    monkeypatch.setattr(workers, "run_job", run_job)
    again = here.work(plan, marks=True, signing=signing, retry_before=now())
    assert again["models:/a/2"].judged


def _killed(number, ended=""):
    return Attempt(number=number, began_at=now(), host="h", process=1, ended=ended)


@pytest.mark.parametrize(
    ("made", "outcome"),
    [
        (("killed", "killed", ""), "failed"),
        (("killed", ""), "flagged"),
        (("stopped", "stopped", "stopped", "registry", ""), "flagged"),
    ],
)
def test_a_task_that_takes_its_process_down_is_given_up(here, made, outcome):
    """An attempt that nobody ended was killed, which counts; what the operator or the registry ended does not."""
    plan = here.plan()
    task = next(task for task in plan.tasks if task.versions == ("models:/a/2",))
    CheckFiles.create(here.folder.place(task.key))
    here.folder.note(task.key, Attempts(made=tuple(_killed(n, ended) for n, ended in enumerate(made, start=1))))
    result = here.work(plan)["models:/a/2"]
    assert result.outcome == outcome
    assert result.why == ("its process ended without a word" if outcome == "failed" else "")


def test_a_silent_registry_costs_no_attempt_and_no_verdict(here):
    """The tasks wait, and the next run does them."""
    plan = here.plan()
    (here.registry.root / "weather").write_text("down")
    assert here.work(plan) == {}
    status = status_of(here.folder, plan)
    assert (status.counts, exit_code(status)) == ({"waiting": 3}, 3)
    assert "the registry is down" in status.rows[0].why
    (here.registry.root / "weather").unlink()
    assert len(here.work(plan)) == 3


def test_a_task_that_another_worker_holds_is_left_to_it(here):
    """And is shown as running, if it has begun."""
    plan = here.plan()
    task = plan.tasks[0]
    run = here.run_of(plan)
    with here.folder.claimed(task) as mine:
        assert mine
        assert here.folder.held(task.key)
        assert work_on(run, task) == "held"
        here.folder.note(task.key, Attempts(made=(_killed(1),)))
        assert status_of(here.folder, plan).counts == {"running": 1, "waiting": 2}
    assert not here.folder.held(task.key)
    assert status_of(here.folder, plan).counts == {"waiting": 3}


def test_marks_after_a_look_cost_no_second_scan_where_no_bundle_was_written(here, signing, monkeypatch):
    """The files of the look are published."""
    plan = here.plan()
    first = here.work(plan)
    monkeypatch.setattr(workers, "run_job", None)
    found = here.work(plan, marks=True, signing=signing)
    assert {uri: one.evidence_digest for uri, one in found.items()} == {
        uri: one.evidence_digest for uri, one in first.items()
    }
    assert len(scans(signing.log.path, signing.key)) == 4


def test_a_decision_that_no_longer_holds_is_made_anew(here):
    """After the days that the policy says."""
    plan = here.plan()
    here.work(plan)
    key = next(task.key for task in plan.tasks if task.versions == (FLAGGED,))
    here.age(key, plan.rules.valid_days)
    assert status_of(here.folder, plan).counts == {"flagged": 2, "waiting": 1}
    here.work(plan)
    assert (now() - here.folder.result(key).decided_at).days == 0


def test_what_is_large_goes_when_a_task_has_ended(here):
    """The private copy of a model, and its bundle; reports stay."""
    plan = here.plan()
    here.work(plan)
    for task in plan.tasks:
        names = {path.name for path in here.folder.place(task.key).iterdir()}
        assert names >= {"result.json", "attempts.json", "report.html", "evidence.json", "verdict.json"}
        assert not names & {"work", "bundle", "unfinished.json"}


def test_shards_are_dealt_out_and_together_are_the_plan(here):
    """As the index of a job says."""
    tasks = here.plan().tasks
    parts = [shard_of(tasks, (index, 2)) for index in range(2)]
    assert sorted(task.key for part in parts for task in part) == sorted(task.key for task in tasks)
    assert parts[0][0] == tasks[0]


def test_the_temporary_folders_of_dead_workers_are_removed(here):
    """Private copies of a killed worker lie there; those of a live one stay."""
    here.plan()
    left = here.folder.root / "tmp" / "worker-dead"
    (left / "gate-model-x").mkdir(parents=True)
    (left / "gate-model-x" / "weights").write_bytes(b"a private copy")
    (here.folder.root / "tmp" / "link").symlink_to(here.root)
    with temporary_folder(here.folder) as first:
        assert not left.exists()
        with temporary_folder(here.folder) as second:
            assert first.is_dir()
            assert second.is_dir()
    assert not first.exists()
    assert (here.root / "policy.yml").exists()


def test_a_registry_that_refuses_marks_is_no_verdict(here, signing, monkeypatch):
    """The scans are not begun: an hour of them would end in a refusal."""
    monkeypatch.setattr(here.registry, "require_marking", lambda _ref: (_ for _ in ()).throw(RegistryError("403")))
    begun = []
    monkeypatch.setattr(workers, "run_job", lambda *_, **__: begun.append(1))
    here.plan()
    with workers_here():
        assert here.work(marks=True, signing=signing) == {}
    assert begun == []

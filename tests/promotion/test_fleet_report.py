"""A fleet's page, table and status: what a hostile registry names is shown as text, and nothing unfinished as done."""

import datetime as dt
import json
import re
from pathlib import Path
from typing import get_args

import pytest
from click.testing import CliRunner
from rich.cells import cell_len

from gate.check.files import CheckFiles
from gate.cli.fleet import fleet
from gate.cli.fleet_lines import WIDTH, plan_lines, status_lines
from gate.cli.fleet_run import seconds_given, shard_given, shares, showing
from gate.promotion.fleet.folder import FleetFolder
from gate.promotion.fleet.seen import Seen
from gate.promotion.fleet.simulate import doublings, simulate
from gate.promotion.fleet.status import exit_code, status_of
from gate.promotion.verification import now
from gate.records.errors import CannotFinishError, UsageError
from gate.records.fleet import (
    STATES,
    TO_DO,
    Attempt,
    Attempts,
    FleetPlan,
    FleetResult,
    FleetRules,
    FleetTask,
    Marked,
    Predicted,
    State,
    Unread,
)
from gate.records.record import Record
from gate.renderers.fleet import SHOWN, cost, render
from tests.promotion.fleets import HOSTILE

SHA = "sha256:" + 64 * "a"
RULES = FleetRules(
    policy="default",
    policy_name="default",
    policy_digest=SHA,
    valid_days=90,
    gate_version="0.1.0",
    detectors={"unsafe-pickle": SHA},
    engine=SHA,
)


def task(number, *versions, seconds=10.0):
    """Return a task."""
    predicted = Predicted(seconds=seconds, basis="model", beside=3)
    return FleetTask(key=f"{number:02x}" * 32, digest=SHA, size_bytes=9, versions=versions, predicted=predicted)


def result(one, outcome, seconds=12.0, **facts):
    """Return a task's result."""
    about = {"key": one.key, "digest": one.digest, "version": one.versions[0], "policy_digest": SHA}
    return FleetResult(**about, outcome=outcome, decided_at=now(), seconds=seconds, **facts)


class Fleet:
    """A folder with a plan and results, none of which was measured."""

    def __init__(self, root, *tasks, unread=()):
        root.mkdir(parents=True, exist_ok=True)
        self.folder = FleetFolder(root)
        self.plan = FleetPlan(
            made_at=now(), registry="https://mlflow.example", chosen="all", rules=RULES, tasks=tasks, unread=unread
        )
        self.folder.write("plan.json", self.plan)

    def end(self, one, outcome, **facts):
        """End a task."""
        self.folder.keep(result(one, outcome, **facts))

    @property
    def status(self):
        """Return the status."""
        return status_of(self.folder, self.plan)


@pytest.fixture
def hostile(tmp_path):
    """Return a fleet whose names and findings are markup and commands."""
    first = task(1, f"models:/{HOSTILE}/1", f"models:/{HOSTILE}2/1")
    made = Fleet(
        tmp_path / "fleet", first, task(2, "models:/b/1"), unread=(Unread(version=f"models:/{HOSTILE}/9", why=HOSTILE),)
    )
    made.end(first, "flagged", findings=(HOSTILE, "</td><script>alert(2)</script>"), more_findings=3)
    return made


def test_a_page_of_hostile_names_has_no_markup_but_its_own(hostile):
    """No script, no image, no second policy; invisible signs are made visible."""
    page = render(hostile.status)
    assert "<script" not in page
    assert "<img" not in page
    assert "\u202e" not in page
    assert "\x1b" not in page
    assert "{{7*7}}" in page
    assert "&lt;img src=x" in page
    assert page.count("Content-Security-Policy") == 1
    assert re.search(r"(?i)\bon\w+\s*=\s*[\"']", page) is None
    assert set(re.findall(r'href="([^"]*)"', page)) <= {f"tasks/{16 * f'{n:02x}'}/report.html" for n in range(3)}


def test_each_state_is_shown_in_words_a_style_and_a_colour():
    """One table, in which a new state cannot be forgotten; what has not ended is no verdict."""
    assert set(SHOWN) == set(STATES) == set(get_args(State))
    assert {state for state in STATES if state in TO_DO} == {"running", "waiting"}
    assert len({one.means for one in SHOWN.values()}) == len(STATES)


def test_a_terminal_gets_hostile_names_as_text_within_eighty_columns(hostile):
    """No escape, no runner's command, no second line."""
    for line in (
        *status_lines(hostile.status, Path("out")),
        *plan_lines(hostile.plan, {hostile.plan.tasks[0].key}, Path("out")),
    ):
        assert cell_len(line) <= WIDTH, line
        assert "\x1b" not in line
        assert "##[" not in line
        assert not line.lstrip().startswith("::")
        assert "\n" not in line
        assert line.isprintable() or not line


def test_a_plan_tells_what_is_left_to_do(tmp_path):
    """What was done before is counted, and takes no more time."""
    tasks = [task(1, "models:/a/1", seconds=10.0), task(2, "models:/a/2", "models:/b/1", seconds=20.0)]
    lines = list(plan_lines(Fleet(tmp_path / "fleet", *tasks).plan, {tasks[0].key}, Path("out")))
    assert lines[1] == "2 tasks, since 1 have the bytes of another; 1 done before"
    assert lines[2] == "expected 20.0 s for 1 task, by finished tasks of the same registered model"


def test_a_page_that_is_drawn_again_reads_only_what_has_changed(tmp_path, monkeypatch):
    """Every ten seconds, for thousands of tasks: a result that stands is read once, and a new one at the next look."""
    tasks = [task(number, f"models:/a/{number}") for number in range(1, 4)]
    made = Fleet(tmp_path / "fleet", *tasks)
    made.end(tasks[0], "approved")
    begun = Attempt(number=1, began_at=now(), host="h", process=1, ended="failed", why="no room")
    made.folder.note(tasks[1].key, Attempts(made=(begun,)))
    read, whole = [], Record.from_file.__func__
    monkeypatch.setattr(
        Record, "from_file", classmethod(lambda kind, path: read.append(path.name) or whole(kind, path))
    )
    seen = Seen(made.folder)
    assert status_of(made.folder, made.plan, seen=seen).counts == {"approved": 1, "waiting": 2}
    assert sorted(read) == ["attempts.json", "result.json"]
    read.clear()
    assert [row.why for row in status_of(made.folder, made.plan, seen=seen).rows] == ["no room", "", ""]
    assert read == []
    made.end(tasks[0], "flagged")
    made.end(tasks[2], "approved")
    assert status_of(made.folder, made.plan, seen=seen).counts == {"flagged": 1, "approved": 1, "waiting": 1}
    assert read == ["result.json", "result.json"]


def test_what_is_damaged_or_taken_away_between_two_looks_counts_no_more(tmp_path):
    """What was read before stands for nothing once its file is another, or none."""
    tasks = [task(number, f"models:/a/{number}") for number in range(1, 4)]
    made = Fleet(tmp_path / "fleet", *tasks)
    for one in tasks:
        made.end(one, "approved")
    seen = Seen(made.folder)
    assert status_of(made.folder, made.plan, seen=seen).counts == {"approved": 3}
    paths = made.folder.result_files()
    paths[0].write_text("{}")
    paths[1].unlink()
    paths[2].rename(tmp_path / "kept")
    paths[2].symlink_to(tmp_path / "kept")
    assert status_of(made.folder, made.plan, seen=seen).counts == {"waiting": 3}


def test_wide_signs_are_counted_by_their_columns(tmp_path):
    """A name of ideographs takes two each."""
    one = task(1, f"models:/{40 * '漢'}/1")
    made = Fleet(tmp_path / "fleet", one)
    made.end(one, "flagged", findings=(60 * "字",))
    lines = list(status_lines(made.status, Path("out")))
    assert max(map(cell_len, lines)) <= WIDTH
    rows = [line for line in lines if "漢" in line and "took" not in line]
    assert rows


@pytest.mark.parametrize(
    ("outcomes", "unread", "code"),
    [
        (("approved", "approved"), 0, 0),
        (("approved", "flagged"), 0, 1),
        (("approved", None), 0, 3),
        (("flagged", None), 0, 3),
        (("flagged", "failed"), 0, 3),
        (("approved", "changed"), 0, 3),
        (("approved", "gone"), 0, 3),
        (("approved", "approved"), 1, 3),
    ],
)
def test_nothing_but_a_verdict_on_every_version_ends_with_0_or_1(tmp_path, outcomes, unread, code):
    """Silence is no approval: what has no verdict, or could not be read, is 3."""
    tasks = [task(number, f"models:/a/{number}") for number in range(1, 1 + len(outcomes))]
    left = tuple(Unread(version=f"models:/b/{number}", why="refused") for number in range(unread))
    made = Fleet(tmp_path / "fleet", *tasks, unread=left)
    for one, outcome in zip(tasks, outcomes, strict=True):
        if outcome:
            made.end(one, outcome)
    assert exit_code(made.status) == code
    ended = CliRunner().invoke(fleet, ["report", str(made.folder.root)], standalone_mode=False)
    assert ended.return_value == code


@pytest.mark.parametrize(("mark", "code"), [("approved", 0), ("flagged", 1), (None, 3)])
def test_a_mark_counts_beside_the_verdict(tmp_path, mark, code):
    """A reviewer's rejection keeps a version flagged, and one that was not marked is not done."""
    one = task(1, "models:/a/1")
    made = Fleet(tmp_path / "fleet", one)
    made.end(one, "approved", marked=(Marked(version="models:/a/1", decision=mark),))
    assert exit_code(made.status) == code


def test_a_part_of_the_plan_ends_by_its_own_tasks(tmp_path):
    """A pod is not asked for what others do."""
    tasks = [task(1, "models:/a/1"), task(2, "models:/a/2")]
    made = Fleet(tmp_path / "fleet", *tasks)
    made.end(tasks[0], "approved")
    assert exit_code(made.status, {tasks[0].key}) == 0
    assert exit_code(made.status, {tasks[1].key}) == 3


def test_a_result_of_another_task_or_a_damaged_one_is_none(tmp_path):
    """Whatever lies in a task's folder has to be about that task."""
    tasks = [task(1, "models:/a/1"), task(2, "models:/a/2")]
    made = Fleet(tmp_path / "fleet", *tasks)
    made.end(tasks[0], "approved")
    place = made.folder.place(tasks[1].key)
    place.mkdir(parents=True)
    (place / "result.json").write_bytes((made.folder.place(tasks[0].key) / "result.json").read_bytes())
    assert made.folder.result(tasks[1].key) is None
    (place / "result.json").write_text("{")
    assert made.folder.result(tasks[1].key) is None
    assert made.status.counts == {"approved": 1, "waiting": 1}


def test_a_running_fleet_asks_its_reader_to_load_the_page_again(tmp_path):
    """And a finished one does not."""
    one = task(1, "models:/a/1")
    made = Fleet(tmp_path / "fleet", one)
    with made.folder.claimed(one):
        made.folder.note(one.key, Attempts(made=(Attempt(number=1, began_at=now(), host="h", process=1),)))
        status = made.status
        assert (status.live, 'http-equiv="refresh"' in render(status)) == (True, True)
    assert 'http-equiv="refresh"' not in render(made.status)


def test_predicted_and_measured_stand_beside_each_other(tmp_path):
    """Of whole checks alone; what is left is expected by what was measured since."""
    tasks = [task(number, f"models:/a/{number}", seconds=10.0) for number in range(1, 5)]
    made = Fleet(tmp_path / "fleet", *tasks)
    made.end(tasks[0], "approved", seconds=20.0)
    made.end(tasks[1], "approved", seconds=30.0)
    made.end(tasks[2], "approved", seconds=1.0, resumed=True)
    status = made.status
    assert (status.predicted_seconds, status.measured_seconds, status.left_seconds) == (20.0, 50.0, 25.0)
    assert "2.50 times what was planned" in render(status)


def test_what_was_measured_before_the_plan_is_no_test_of_its_expectations(tmp_path):
    """They rest on these very tasks; a check's time is told to the second, in which the plan may have been made."""
    pilot, after = task(1, "models:/a/1", seconds=20.0), task(2, "models:/a/2", seconds=10.0)
    made = Fleet(tmp_path / "fleet", pilot, after)
    earlier = made.plan.made_at - dt.timedelta(seconds=2)
    made.folder.keep(result(pilot, "approved", seconds=20.0).model_copy(update={"decided_at": earlier}))
    status = made.status
    assert (status.predicted_seconds, status.measured_seconds, status.left_seconds) == (0.0, 0.0, 20.0)
    assert cost(status) == "the others are expected to take 20.0 s, one after the other"
    same = made.plan.made_at.replace(microsecond=0)
    made.folder.keep(result(after, "approved", seconds=15.0).model_copy(update={"decided_at": same}))
    assert cost(made.status) == "finished tasks took 15.0 s, 1.50 times what was planned"


def test_the_command_prints_the_status_as_json(hostile):
    """The same as the file, for other programs."""
    ended = CliRunner().invoke(fleet, ["report", str(hostile.folder.root), "--json"], standalone_mode=False)
    told = json.loads(ended.stdout)
    assert told["counts"] == {"flagged": 1, "waiting": 1}
    assert (hostile.folder.root / "report.html").read_text().startswith("<!doctype html>")
    assert json.loads((hostile.folder.root / "status.json").read_text())["rows"] == told["rows"]


def test_a_simulation_says_that_it_is_one(tmp_path):
    """From measured lengths, and never quicker than the longest task."""
    tasks = [task(number, f"models:/a/{number}") for number in range(1, 9)]
    made = Fleet(tmp_path / "fleet", *tasks)
    ended = CliRunner().invoke(fleet, ["simulate", str(made.folder.root)], standalone_mode=False)
    assert isinstance(ended.exception, UsageError)
    for number, one in enumerate(tasks, start=1):
        made.end(one, "approved", seconds=float(number))
    ended = CliRunner().invoke(fleet, ["simulate", str(made.folder.root), "--to", "8"], standalone_mode=False)
    lines = ended.stdout.splitlines()
    assert lines[0] == "simulated from 8 measured tasks; no fleet of these sizes was run"
    assert [line.split()[0] for line in lines[2:6]] == ["1", "2", "4", "8"]


def test_workers_on_paper_take_the_next_task_when_they_are_free():
    """Four tasks of 4, 3, 2 and 1: two workers need five seconds; more than there are tasks help no further."""
    assert simulate([4, 3, 2, 1], 1).seconds == 10
    two = simulate([4, 3, 2, 1], 2)
    assert (two.seconds, two.speedup, two.busy) == (5, 2.0, 1.0)
    assert simulate([4, 3, 2, 1], 256).seconds == 4
    assert simulate([4, 3, 2, 1], 2, start=1).seconds == 6
    assert doublings(256) == [1, 2, 4, 8, 16, 32, 64, 128, 256]
    assert doublings(6) == [1, 2, 4, 6]


def test_options_that_mean_nothing_are_refused():
    """Each with what is expected."""
    assert (shard_given("3/8"), shard_given(None)) == ((3, 8), (0, 1))
    assert (seconds_given("90m"), seconds_given(None)) == (5400.0, None)
    for text in ("8/8", "x", "1/0", "-1/2"):
        with pytest.raises(UsageError, match="expected I/N"):
            shard_given(text)
    for text in ("90", "0h", "1w"):
        with pytest.raises(UsageError, match="expected such as 90m"):
            seconds_given(text)
    assert shares(4, 48.0, 3) == {"memory_gib": 12.0, "threads": 3}
    with pytest.raises(UsageError, match=r"0\.50 GiB for each of 4 workers"):
        shares(4, 2.0, 0)


def test_a_page_that_cannot_be_written_ends_no_run_and_is_told_once(tmp_path, monkeypatch, capsys):
    """What is measured counts; the page is written when it can be."""
    one = task(1, "models:/a/1")
    made = Fleet(tmp_path / "fleet", one)
    write = CheckFiles.write

    def full(files, name, text):
        raise CannotFinishError(f"{files.root / name} cannot be written: no space left on device")

    monkeypatch.setattr(CheckFiles, "write", full)
    show = showing(made.folder, made.plan)
    show()
    show()
    assert capsys.readouterr().err.count("no space left on device") == 1
    monkeypatch.setattr(CheckFiles, "write", write)
    made.end(one, "flagged", findings=("something",))
    show()
    assert "flagged: models:/a/1: something" in capsys.readouterr().err
    assert (made.folder.root / "report.html").exists()

"""What the gate could not finish: its exit code, one message, true reports, and never an approved version."""

import json
import os
import shlex
import shutil
import signal
import subprocess
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.e2e.stores import Store, Wire, fill, free_port, serving
from tests.e2e.stories import short_story, story

SECRET = "token-that-no-worker-may-hold"
SHORT = ("--registry-timeout", "2", "--registry-retries", "1")


@dataclass
class Unfinished:
    """A check that did not finish."""

    ended: object
    desk: object
    tags: dict = field(default_factory=dict)
    unharmed: bool = True
    workers: list = field(default_factory=list)
    environments: str = ""

    @property
    def report(self):
        """The words of report.html."""
        return (self.desk.out / "report.html").read_text()


def of_the_unknown(world, uri):
    """Check what the registry does not know."""
    name = world.embedded.register("clean")
    desk = world.desk_here(MLFLOW_TRACKING_URI=world.embedded.uri)
    ended = desk.gate("check", uri.format(name))
    return Unfinished(ended, desk, world.embedded.tags(name))


def of_nobody(world):
    """Check at an address where nothing listens."""
    desk = world.desk_here(MLFLOW_TRACKING_URI="http://127.0.0.1:9")
    return Unfinished(desk.gate("check", "models:/digits/1", *SHORT), desk)


UNKNOWN = {
    "model": ("models:/nobody/1", "the registry does not know models:/nobody/1"),
    "version": ("models:/{}/99", "the registry does not know models:/clean-"),
    "alias": ("models:/{}@champion", "the registry does not know models:/clean-"),
}


@pytest.mark.parametrize(
    "said",
    [
        *(
            pytest.param(said, id=f"unknown {n}", marks=short_story(of_the_unknown, u))
            for n, (u, said) in UNKNOWN.items()
        ),
        pytest.param("127.0.0.1", id="server unreachable", marks=short_story(of_nobody)),
    ],
)
def test_what_cannot_be_looked_up_ends_the_check(said, told):
    """Exit 3 with one error line and advice, a report that says why, and no mark on any version."""
    assert told.ended.code == 3, told.ended
    assert told.ended.stdout == ""
    assert len(told.ended.errors) == 1
    assert said in told.ended.errors[0]
    assert told.tags == {}
    assert "could not finish" in told.report.lower()


def of_a_version_deleted_meanwhile(world):
    """Delete the version while its model is scanned."""
    store = world.embedded
    name, desk = store.register("clean"), world.desk(MLFLOW_TRACKING_URI=store.uri)
    running = desk.start("check", f"models:/{name}/1").until("maximum-margin")
    with store.client() as client:
        client.delete_model_version(name, "1")
    ended = running.end()
    with store.client() as client:
        left = client.search_model_versions(f"name = '{name}'")
    return Unfinished(ended, desk, {version.version: version.tags for version in left})


@story(of_a_version_deleted_meanwhile)
def test_a_version_deleted_during_the_scan_ends_the_check(told):
    """Exit 3, the verdict is shown all the same, the version does not come back, and nothing could be published."""
    assert told.ended.code == 3, told.ended
    assert len(told.ended.errors) == 1
    assert "the registry does not know models:/clean-" in told.ended.errors[0]
    assert told.ended.text.startswith("APPROVED, but not marked (")
    assert "gate publish" not in told.ended.stdout
    assert told.tags == {}
    assert "could not finish" not in told.report.lower()


def of_a_cut_wire(world):
    """Let the registry fall silent while the model is scanned."""
    store = world.server
    wire = Wire(int(store.uri.rsplit(":", maxsplit=1)[-1]))
    name, desk = store.register("clean"), world.desk(MLFLOW_TRACKING_URI=wire.uri)
    before = store.everything_else(name)
    try:
        running = desk.start("check", f"models:/{name}/1", *SHORT).until("maximum-margin")
        wire.cut()
        ended = running.end()
    finally:
        wire.close()
    return Unfinished(ended, desk, store.tags(name), store.everything_else(name) == before)


@story(of_a_cut_wire)
def test_a_registry_that_stops_answering_ends_the_check(told):
    """Exit 3, the verdict and its true report are there, the version bears none, and one command publishes it."""
    assert told.ended.code == 3, told.ended
    assert len(told.ended.errors) == 1
    assert "127.0.0.1" in told.ended.stderr
    assert told.ended.text.startswith("APPROVED, but not marked (")
    assert "\npublish  gate publish " in told.ended.stdout
    assert told.tags == {}
    assert told.unharmed
    assert "could not finish" not in told.report.lower()


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGSTOP, signal.SIGKILL])
def test_a_server_that_is_stopped_or_killed_in_mid_run_ends_the_check(number, world, tmp_path):
    """Exit 3 in both cases; when the server is back the printed command marks the version, twice the same."""
    port = free_port()
    with serving(tmp_path, port) as (uri, process):
        versions = fill(uri, tmp_path, "clean")
        store = Store(uri, tmp_path, versions)
        desk = world.desk(MLFLOW_TRACKING_URI=uri)
        running = desk.start("check", "models:/digits/1", *SHORT).until("maximum-margin")
        os.killpg(process.pid, number)
        ended = running.end()
    assert ended.code == 3, ended
    assert ended.text.startswith("APPROVED, but not marked (")
    assert len(ended.errors) == 1
    (line,) = (line for line in ended.stdout.splitlines() if line.startswith("publish  gate "))
    arguments = shlex.split(line)[2:]
    with serving(tmp_path, port):
        assert store.tags("digits") == {}
        published = desk.gate(*arguments, MLFLOW_TRACKING_URI=None)
        marked = store.tags("digits")
        again = desk.gate(*arguments, MLFLOW_TRACKING_URI=None)
        assert (published.code, again.code) == (0, 0), (published, again)
        assert marked["gate.decision"] == "approved"
        assert store.tags("digits") == marked
        assert len(store.reports()) == 2  # reports and bundle, each once


def of_an_interrupt(world, number):
    """Interrupt a long scan, with a token in the operator's environment."""
    store = world.embedded
    name = store.register("clean")
    desk = world.desk(
        MLFLOW_TRACKING_URI=store.uri,
        GATE_POLICY=world.policy("long"),
        MLFLOW_TRACKING_TOKEN=SECRET,
        AWS_SECRET_ACCESS_KEY=SECRET,
    )
    before = store.everything_else(name)
    running = desk.start("check", f"models:/{name}/1").until("maximum-margin")
    workers = running.children()
    environments = "\n".join(Path(f"/proc/{worker}/environ").read_text().replace("\0", "\n") for worker in workers)
    ended = running.end(number)
    return Unfinished(ended, desk, store.tags(name), store.everything_else(name) == before, workers, environments)


INTERRUPTS = pytest.mark.parametrize(
    "number", [pytest.param(n, marks=story(of_an_interrupt, n)) for n in (signal.SIGINT, signal.SIGTERM)]
)


@INTERRUPTS
def test_an_interrupted_check_flags_the_version(number, told):
    """Exit 130 for Ctrl-C and 143 for a polite kill, a report that says so, what is kept, and an announced mark."""
    assert told.ended.code == 128 + number, told.ended
    assert told.ended.errors == ["gate: error: the check was interrupted"]
    assert f"kept in {told.desk.out}, where the same command goes on" in told.ended.stderr
    assert told.tags == {"gate.attestation": "unsigned", "gate.decision": "flagged"}
    assert "flagged: the check was interrupted" in told.ended.stderr
    assert told.unharmed
    assert "interrupted" in told.report


@INTERRUPTS
def test_an_interrupted_check_leaves_nothing_behind(number, told):
    """The worker has ended, and neither the private copy nor the scratch is left."""
    assert len(told.workers) == 1
    assert [worker for worker in told.workers if Path(f"/proc/{worker}").exists()] == []
    assert list(told.desk.temporary.iterdir()) == []


@INTERRUPTS
def test_no_credential_reaches_the_worker(number, told):
    """The worker's environment, as the kernel shows it, holds neither the token nor any variable of MLflow's."""
    assert "TORCH_FORCE_WEIGHTS_ONLY_LOAD=1" in told.environments
    assert SECRET not in told.environments
    assert "MLFLOW" not in told.environments
    assert "sqlite" not in told.environments


def in_an_unwritable_directory(world):
    """Check with a report directory that nobody can make."""
    store = world.embedded
    name, desk = store.register("clean"), world.desk_here(MLFLOW_TRACKING_URI=store.uri)
    ended = desk.gate("check", f"models:/{name}/1", "--report-dir", "/proc/gate-report")
    return Unfinished(ended, desk, store.tags(name))


@short_story(in_an_unwritable_directory)
def test_an_unwritable_report_directory_is_found_before_the_scan(told):
    """Exit 2, before the registry is asked, and the version stays as it was."""
    assert told.ended.code == 2, told.ended
    assert len(told.ended.errors) == 1
    assert "/proc/gate-report cannot be written" in told.ended.errors[0]
    assert "pulling" not in told.ended.stderr
    assert told.tags == {}


@contextmanager
def _small_disk(folder):
    """Yield a directory with room for 256 KiB, or None where this user may mount nothing."""
    folder.mkdir()
    if (
        not shutil.which("mount")
        or subprocess.run(
            ["mount", "-t", "tmpfs", "-o", "size=256k", "none", folder], check=False, capture_output=True
        ).returncode
    ):
        yield None
        return
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", folder], check=True)


def _fill_up(disk):
    try:
        with (disk / "ballast").open("wb", buffering=0) as ballast:
            while ballast.write(b"\0" * 4096) == 4096:
                pass
    except OSError:
        pass


def on_a_full_disk(world, when):
    """Check into a small disk that is full from the start, or fills up while the model is scanned."""
    store = world.embedded
    name, desk = store.register("clean"), world.desk(MLFLOW_TRACKING_URI=store.uri)
    before = store.everything_else(name)
    with _small_disk(desk.folder / "disk") as disk:
        if disk is None:
            return None
        if when == "from the start":
            _fill_up(disk)
        running = desk.start("check", f"models:/{name}/1", "--report-dir", disk)
        if when == "in mid-run":
            running.until("maximum-margin")
            _fill_up(disk)
        ended = running.end()
        left = [path.name for path in disk.glob(".*.part")]
    unharmed = store.everything_else(name) == before and not left
    return Unfinished(ended, desk, store.tags(name), unharmed)


@pytest.mark.parametrize(
    "when", [pytest.param(w, marks=story(on_a_full_disk, w)) for w in ("from the start", "in mid-run")]
)
def test_a_full_disk_ends_the_check(when, told):
    """Exit 3, the message names the file and the cause, and no part of a report is left.

    One that is full from the start is noticed before the registry is asked, and marks nothing.
    """
    if told is None:
        pytest.skip("a small disk needs the right to mount one")
    assert told.ended.code == 3, told.ended
    assert len(told.ended.errors) == 1
    assert "No space left on device" in told.ended.errors[0]
    begun = when == "in mid-run"
    assert told.tags == ({"gate.attestation": "unsigned", "gate.decision": "flagged"} if begun else {})
    assert ("marked models:/clean-" in told.ended.stderr) == begun
    assert told.unharmed
    assert ("pulling" in told.ended.stderr) == (when == "in mid-run")


QUICK_SEARCH = {"options": {"steps": 40, "batch": 8, "clean-samples": 200}}
NO_SUSPECTS = {
    "detectors": dict.fromkeys(("neural-cleanse", "additive-trigger", "warp-trigger"), QUICK_SEARCH),
    "stages": [{"detectors": ["neural-cleanse", "additive-trigger", "warp-trigger"]}],
}


def killed_and_begun_again(world):
    """Kill a check and its worker without warning after its first search, and type the same command again."""
    store = world.embedded
    name = store.register("clean")
    desk = world.desk(MLFLOW_TRACKING_URI=store.uri, GATE_POLICY=world.policy(**NO_SUSPECTS))
    running = desk.start("check", f"models:/{name}/1").until("additive-trigger")
    running.end(signal.SIGKILL)
    left = (desk.out / "unfinished.json").exists()
    begun_again = desk.gate("check", f"models:/{name}/1")
    evidence = json.loads((desk.out / "evidence.json").read_text())
    anew = world.desk(MLFLOW_TRACKING_URI=store.uri, GATE_POLICY=desk.variables["GATE_POLICY"])
    anew.gate("check", f"models:/{name}/1")
    return left, begun_again, desk, evidence, json.loads((anew.out / "evidence.json").read_text())


@story(killed_and_begun_again)
def test_a_killed_check_goes_on_from_what_it_had_measured(told):
    """The finished search is not run again; numbers and pictures are those of an unbroken scan, and no rest is left."""
    left, ended, desk, evidence, whole = told
    assert left
    assert ended.code in {0, 1}, ended
    assert "neural-cleanse" not in ended.stderr
    assert "warp-trigger" in ended.stderr
    assert not (desk.out / "unfinished.json").exists()
    numbers = [
        {name: outcome["measurements"] for name, outcome in one["outcomes"].items()} for one in (evidence, whole)
    ]
    assert numbers[0] == numbers[1]
    assert len(evidence["pictures"]) == len(whole["pictures"]) > 0

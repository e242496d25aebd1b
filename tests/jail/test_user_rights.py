"""Under root a worker runs as nobody: it reads the private copy, changes nothing of it, and reads no file of root's."""

import json
import os
import shutil
import stat
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from gate.check import workers as launch
from gate.check.files import private_directory
from gate.jail import rights as jail_rights
from gate.jail.launch import NOBODY
from gate.jail.rights import Rights, rights
from gate.jail.scratch import scratch_directory
from gate.records.artifact import ModelRef, build_manifest, make_read_only
from gate.records.isolation import DROPPED, least_dropped
from gate.records.job import ScanJob
from gate.records.policy import Policy, Rule

ROOT = Path(__file__).parents[2]
as_root = pytest.mark.skipif(bool(jail_rights.lack()), reason="only root with its capabilities can start a worker so")

PROBE = r"""
say() { echo "{\"step\": \"$1\", \"done\": 0, \"total\": 1}"; }
may() { if eval "$2" 2>/dev/null; then say "$1: yes"; else say "$1: no"; fi; }
say "user $(id -u), group $(id -g)"
may "read the model" "cat %(model)s/data/weights >/dev/null"
may "read the samples" "cat %(samples)s >/dev/null"
may "write the model" "echo x >> %(model)s/MLmodel"
may "open the model" "chmod u+w %(model)s/MLmodel"
may "add to the model" "touch %(model)s/added"
may "exchange the model" "mv %(model)s %(model)s.away"
may "read what is root's alone" "cat %(secret)s >/dev/null"
may "signal the gate" "kill -0 $PPID"
may "work in its scratch" "touch mine"
"""


@pytest.fixture
def open_tmp(monkeypatch):
    """Return a directory for temporary files that every user may pass; the tests' own is closed."""
    folder = Path(tempfile.mkdtemp(dir="/tmp"))
    folder.chmod(0o755)
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    yield folder
    shutil.rmtree(folder)


def copy_in(base):
    """Put a read-only model and samples below a private directory, as a pull under a strict umask leaves them."""
    (base / "model" / "data").mkdir(parents=True)
    (base / "samples").mkdir()
    (base / "model" / "MLmodel").write_text("flavors: {}\n")
    (base / "model" / "data" / "weights").write_bytes(b"weights")
    (base / "samples" / "clean.npz").write_bytes(b"samples")
    for path in (base / "model", base / "model" / "data", base / "samples"):
        path.chmod(0o700)
    for path in (base / "model" / "MLmodel", base / "model" / "data" / "weights", base / "samples" / "clean.npz"):
        path.chmod(0o600)
    make_read_only(base / "model")


def job_of(base):
    """Return an inspector's job on what lies there."""
    return ScanJob(
        role="inspector",
        model=ModelRef(registry="directory", name="m"),
        manifest=build_manifest(base / "model")[0],
        root=str(base / "model"),
        policy=Policy(version=1, detectors={"unsafe-pickle": Rule()}),
        seed=0,
        device="cpu",
        deadline_seconds=20,
        samples_path=str(base / "samples" / "clean.npz"),
    )


def probed(monkeypatch, base, secret):
    """Run the probe where a worker would run, without the jail around it, and return what it said and its user."""
    said = []
    script = PROBE % {"model": base / "model", "samples": base / "samples" / "clean.npz", "secret": secret}
    monkeypatch.setattr(launch, "worker_command", lambda *_: ["/bin/sh", "-c", script])
    with scratch_directory() as scratch:
        ended, user = launch.run_in_scratch(job_of(base), scratch, lambda step, *_: said.append(step))
        assert ended.ended_by_itself, ended.stderr_tail
        left = scratch / "mine"
        owner = left.stat().st_uid if left.exists() else None
    assert not scratch.exists()
    return said, user, owner


@as_root
def test_a_worker_of_root_reads_its_copy_and_nothing_of_roots(open_tmp, monkeypatch):
    """User rights alone, without the jail: it reads model and samples, changes neither, and owns its scratch."""
    secret = open_tmp / "secret"
    secret.write_text("token")
    secret.chmod(0o600)
    monkeypatch.setattr(launch, "programs", lambda: (Path("/bin/sh"),))
    with private_directory() as base:
        copy_in(base)
        before = build_manifest(base / "model")
        said, user, owner = probed(monkeypatch, base, secret)
        assert build_manifest(base / "model") == before
    assert said == [
        f"user {NOBODY}, group {NOBODY}",
        "read the model: yes",
        "read the samples: yes",
        "write the model: no",
        "open the model: no",
        "add to the model: no",
        "exchange the model: no",
        "read what is root's alone: no",
        "signal the gate: no",
        "work in its scratch: yes",
    ]
    assert (user, owner) == (DROPPED, NOBODY)


@as_root
def test_a_private_copy_stays_closed_to_other_users(open_tmp):
    """After it was opened to a worker, a user without the worker's group still cannot pass."""
    with private_directory() as base:
        copy_in(base)
        given = rights(open_tmp, (), [base / "model", base / "samples"])
        assert given.dropped
        assert given.group == base.stat().st_gid
        reader = "import os, sys; os.setgroups([]); os.setgid(65534); os.setuid(65534); open(sys.argv[1]).read()"
        done = subprocess.run(
            ["/usr/bin/python3", "-c", reader, str(base / "model" / "MLmodel")],
            capture_output=True,
            text=True,
            check=False,
            timeout=30,
        )
        assert "PermissionError" in done.stderr
        assert stat.S_IMODE((base / "model" / "MLmodel").stat().st_mode) & 0o222 == 0


@as_root
def test_opening_it_twice_changes_nothing(open_tmp):
    """A second worker finds the copy as the first one did, times and all: its seal must not be broken by the gate."""
    with private_directory() as base:
        copy_in(base)
        rights(open_tmp, (), [base / "model"])
        before = (base / "model" / "MLmodel").stat()
        rights(open_tmp, (), [base / "model"])
        assert (base / "model" / "MLmodel").stat().st_ctime_ns == before.st_ctime_ns


@as_root
def test_what_lies_elsewhere_is_left_as_it_is(open_tmp):
    """An operator's folder that is open to all is read; a closed one, or a closed file in it, keeps the user."""
    folder = open_tmp / "out"
    (folder / "model").mkdir(parents=True)
    path = folder / "model" / "MLmodel"
    path.write_text("x")
    path.chmod(0o644)
    assert rights(open_tmp, (), [folder / "model"]) == Rights()
    path.chmod(0o600)
    assert rights(open_tmp, (), [folder / "model"]).kept == f"not every user may read {path}"
    path.chmod(0o644)
    folder.chmod(0o700)
    assert rights(open_tmp, (), [folder / "model"]).kept == f"not every user may read {folder / 'model'}"
    assert stat.S_IMODE(path.stat().st_mode) == 0o644


@as_root
def test_an_interpreter_that_only_root_may_read_keeps_the_user(open_tmp, monkeypatch):
    """The worker runs as before, and what stands in the evidence says why."""
    closed = open_tmp / "closed"
    closed.mkdir(mode=0o700)
    (closed / "python").touch(mode=0o755)
    monkeypatch.setattr(launch, "programs", lambda: (closed / "python",))
    with private_directory() as base:
        copy_in(base)
        said, user, owner = probed(monkeypatch, base, open_tmp)
    assert said[0] == "user 0, group 0"
    assert (user, owner) == (f"root: not every user may read {closed / 'python'}", 0)


@as_root
def test_a_device_that_not_every_user_may_use_keeps_the_user(open_tmp):
    """A GPU's files may belong to a group."""
    device = open_tmp / "nvidia0"
    device.touch()
    device.chmod(0o660)
    assert rights(open_tmp, (), [], [device]).kept == f"not every user may use {device}"
    device.chmod(0o666)
    assert rights(open_tmp, (), [], [device]).dropped


def test_the_weakest_of_several_workers_is_told():
    """One worker that kept root's rights stands for all; an ordinary user's gate says nothing."""
    assert least_dropped("", DROPPED, "root: why") == "root: why"
    assert least_dropped("", DROPPED) == DROPPED
    assert least_dropped("", "") == ""


def test_an_ordinary_user_keeps_what_it_has(monkeypatch, tmp_path):
    """Nothing is opened and nothing is dropped."""
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert rights(tmp_path, (), []).kept == "the gate is no root itself"
    folder = tmp_path / "new"
    folder.mkdir(mode=0o700)
    jail_rights.make_private(folder)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def reachable_python(folder):
    """Return an interpreter of this version that every user may run, with these packages, or skip."""
    for name in (sys.executable, "/usr/bin/python3", "/usr/local/bin/python3"):
        wanted = f"{sys.version_info.major}.{sys.version_info.minor}"
        if Path(name).exists() and jail_rights.is_open_to_others(Path(name)):
            asked = [name, "-c", "import sys; print('%d.%d' % sys.version_info[:2])"]
            if subprocess.run(asked, capture_output=True, text=True, check=False).stdout.strip() == wanted:
                subprocess.run([name, "-m", "venv", "--without-pip", str(folder / "venv")], check=True)
                (site,) = (folder / "venv" / "lib").glob("python*/site-packages")
                roots = [path for path in sys.path if path.endswith("site-packages") and Path(path).is_dir()]
                if not all(jail_rights.is_open_to_others(Path(path)) for path in (*roots, ROOT)):
                    continue
                (site / "gate-tests.pth").write_text("\n".join([str(ROOT), *roots]) + "\n")
                return folder / "venv" / "bin" / "python"
    pytest.skip("there is no interpreter of this version that every user may run")


@as_root
@pytest.mark.slow
@pytest.mark.parametrize(("kind", "code"), [("benign-exported", 1), ("code-looking", 1)])
def test_a_check_by_root_runs_its_workers_as_nobody(open_tmp, kind, code):
    """Real commands: all workers, the converter of hostile code among them, in the jail and without root's rights."""
    import numpy as np

    from tests.corpus import case

    python, model = reachable_python(open_tmp), open_tmp / "model"
    model.mkdir()
    case(kind).write(model, open_tmp / "marker")
    inputs = np.random.default_rng(0).random((20, 1, 8, 8), np.float32)
    np.savez(open_tmp / "clean.npz", inputs=inputs, labels=np.arange(20) % 10)
    done = subprocess.run(
        [
            python,
            "-m",
            "gate",
            "check",
            model,
            "--no-mark",
            "--allow-code",
            "--samples",
            open_tmp / "clean.npz",
            "--report-dir",
            open_tmp / "out",
            "--device",
            "cpu",
            "--threads",
            "1",
            "--deadline",
            "60",
        ],
        env={"PATH": os.environ["PATH"], "TMPDIR": str(open_tmp), "HOME": str(open_tmp)},
        capture_output=True,
        text=True,
        check=False,
        timeout=500,
    )
    assert done.returncode == code, done.stderr
    evidence = json.loads((open_tmp / "out" / "evidence.json").read_text())
    assert evidence["worker_user"] == DROPPED
    assert evidence["isolation"].startswith("full")
    assert "User of the worker" in (open_tmp / "out" / "report.md").read_text()

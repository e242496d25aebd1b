"""A folder's lock: one holder, whatever ends it, and disks that have none."""

import errno
import fcntl
import os
import signal
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from gate.check.files import CheckFiles, HeldError
from gate.check.locks import folder_lock
from gate.promotion.fleet import local
from gate.promotion.fleet.folder import FleetFolder
from gate.promotion.fleet.local import temporary_folder

HOLDING = """
import sys, time
from pathlib import Path
from gate.check.locks import folder_lock
with folder_lock(Path(sys.argv[1])) as lock:
    print(lock, flush=True)
    time.sleep(600)
"""


def test_a_folder_has_one_holder_and_any_number_that_ask(tmp_path):
    """Nobody waits for it."""
    with folder_lock(tmp_path) as first, folder_lock(tmp_path) as second, folder_lock(tmp_path, shared=True) as third:
        assert (first, second, third) == ("ours", "theirs", "theirs")
    with folder_lock(tmp_path, shared=True) as first, folder_lock(tmp_path, shared=True) as second:
        assert (first, second) == ("ours", "ours")
    assert list(tmp_path.iterdir()) == []


def test_a_holder_that_is_killed_holds_no_longer(tmp_path):
    """The kernel ends the lock with the process."""
    command = [sys.executable, "-c", HOLDING, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout.readline() == "ours\n"
        with folder_lock(tmp_path) as lock:
            assert lock == "theirs"
        holder.send_signal(signal.SIGKILL)
        holder.wait()
    with folder_lock(tmp_path) as lock:
        assert lock == "ours"


def test_a_link_and_a_missing_folder_are_errors(tmp_path):
    """A link could name any folder of this user's."""
    (tmp_path / "link").symlink_to(tmp_path)
    for name in ("link", "missing"):
        with pytest.raises(OSError, match=name), folder_lock(tmp_path / name):
            pass


def without_locks(*_):
    """Stand in for a disk that has no locks."""
    raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))


def test_where_there_are_no_locks_work_goes_on_and_nothing_is_swept(tmp_path, monkeypatch):
    """A check is not kept from its own folder, a task is not said to run, and another worker's copies stay."""
    folder, one = FleetFolder(tmp_path), SimpleNamespace(key="ab" * 32)
    (tmp_path / "tmp" / "worker-other").mkdir(parents=True)
    monkeypatch.setattr(fcntl, "flock", without_locks)
    with folder_lock(tmp_path) as lock:
        assert lock == "none"
    with folder.claimed(one) as mine, temporary_folder(folder) as own:
        assert (mine, folder.held(one.key), own.is_dir()) == (True, False, True)
    assert [path.name for path in (tmp_path / "tmp").iterdir()] == ["worker-other"]


def test_a_task_that_is_held_is_claimed_by_no_other(tmp_path):
    """Neither by another worker nor by a check that is given its folder."""
    folder, one = FleetFolder(tmp_path), SimpleNamespace(key="ab" * 32)
    with folder.claimed(one) as mine, folder.claimed(one) as other:
        assert (mine, other, folder.held(one.key)) == (True, False, True)
        with pytest.raises(HeldError, match="another command is writing"), CheckFiles.claim(folder.place(one.key)):
            pass
    assert not folder.held(one.key)


def test_copies_of_dead_workers_go_and_those_of_living_ones_stay(tmp_path, monkeypatch):
    """A folder that another run swept before it was locked is made again."""
    folder = FleetFolder(tmp_path)
    (tmp_path / "tmp" / "worker-dead" / "model").mkdir(parents=True)
    with temporary_folder(folder) as living:
        with temporary_folder(folder) as other:
            assert {path.name for path in (tmp_path / "tmp").iterdir()} == {living.name, other.name}
        made, real = [], local.tempfile.mkdtemp

        def swept(**given):
            path = real(**given)
            made.append(path)
            if len(made) == 1:
                Path(path).rmdir()
            return path

        monkeypatch.setattr(local.tempfile, "mkdtemp", swept)
        with temporary_folder(folder) as own:
            assert (len(made), str(own)) == (2, made[1])
    assert list((tmp_path / "tmp").iterdir()) == []

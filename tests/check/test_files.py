"""The files of a check: written in one move, read with a word on which step writes them."""

import errno
import grp
import os
import subprocess
import sys
import time

import pytest

from gate.check.files import MANIFEST, CheckFiles, Pulled, private_directory, remove
from gate.records.artifact import ArtifactFile, Manifest, ModelRef
from gate.records.errors import CannotFinishError, UsageError

FILE = ArtifactFile(path="MLmodel", size_bytes=1, sha256="0" * 64)
PULLED = Pulled(
    gate_version="0",
    uri="models:/m/1",
    model=ModelRef(registry="mlflow", name="m", version="1"),
    digest=Manifest(files=(FILE,)).digest,
    files=(FILE,),
)


def test_a_file_is_replaced_in_one_move(tmp_path):
    """The new content stands there whole, and no part of it beside."""
    files = CheckFiles.create(tmp_path / "deep" / "er")
    files.write("report.md", "first")
    assert files.write("report.md", "second").read_text() == "second"
    assert [path.name for path in files.root.iterdir()] == ["report.md"]


def test_a_write_that_breaks_leaves_the_old_file(tmp_path, monkeypatch):
    """A disk that fills up in the middle destroys no earlier report and leaves no rest."""
    files = CheckFiles.create(tmp_path)
    files.write("report.md", "first")

    def full(*_paths):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("gate.check.files.os.replace", full)
    with pytest.raises(CannotFinishError, match="No space left on device"):
        files.write("report.md", "second")
    assert (tmp_path / "report.md").read_text() == "first"
    assert [path.name for path in tmp_path.iterdir()] == ["report.md"]


def test_a_link_in_the_place_of_a_file_is_replaced_not_followed(tmp_path):
    """Whoever can put a link there cannot have another file overwritten."""
    (tmp_path / "outside").write_text("kept")
    files = CheckFiles.create(tmp_path / "check")
    for name in ("report.md", ".report.md.part", f".gate-writable-{os.getpid()}"):
        (files.root / name).symlink_to(tmp_path / "outside")
    CheckFiles.create(tmp_path / "check")
    files.write("report.md", "new")
    assert (tmp_path / "outside").read_text() == "kept"
    assert not (files.root / "report.md").is_symlink()


def test_a_directory_that_cannot_be_written_is_said_before_the_scan(tmp_path):
    """A file in the directory's place ends the check at once, with advice."""
    (tmp_path / "file").touch()
    (tmp_path / "nowhere").symlink_to(tmp_path / "gone" / "too")
    for wrong in ("file", "nowhere", "file/below"):
        with pytest.raises(UsageError, match="cannot be written") as caught:
            CheckFiles.create(tmp_path / wrong)
        assert "--report-dir" in caught.value.what_to_do


@pytest.mark.parametrize(
    ("number", "kind"),
    [(errno.ENOSPC, CannotFinishError), (errno.EDQUOT, CannotFinishError), (errno.EROFS, UsageError)],
)
def test_a_full_disk_is_no_wrong_name(tmp_path, monkeypatch, number, kind):
    """The one is mended by room, the other by another directory; neither leaves a file of the try."""

    def refused(*_):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr("gate.check.files.write_new", refused)
    with pytest.raises(kind, match=os.strerror(number)):
        CheckFiles.create(tmp_path)
    assert list(tmp_path.iterdir()) == []


HOLDING = """
import sys
from pathlib import Path
from gate.check.files import CheckFiles
with CheckFiles.claim(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_two_checks_do_not_write_into_one_directory(tmp_path):
    """The second is refused while the first lives, whatever path it names; a killed one keeps nobody out."""
    (tmp_path / "link").symlink_to(tmp_path / "out")
    first = subprocess.Popen(
        [sys.executable, "-c", HOLDING, tmp_path / "out"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        assert first.stdout.readline() == "held\n"
        with pytest.raises(UsageError, match="another command is writing"), CheckFiles.claim(tmp_path / "link"):
            pass
    finally:
        first.kill()
        first.communicate()
    with CheckFiles.claim(tmp_path / "link") as files:
        assert list(files.root.iterdir()) == []


def test_a_check_begins_with_none_of_an_earlier_ones_results(tmp_path):
    """What was measured of a broken scan stays; a verdict, its reports and its signature go, links without targets."""
    for name in (MANIFEST, "evidence.json", "verdict.json", "attestation.json", "report.html", "report.junit.xml"):
        (tmp_path / name).touch()
    (tmp_path / "kept").touch()
    (tmp_path / "report.md").symlink_to(tmp_path / "kept")
    (tmp_path / "unfinished.json").touch()
    CheckFiles(tmp_path).begin()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["kept", "unfinished.json"]


def test_what_pull_wrote_is_read_back(tmp_path):
    """The record survives the file."""
    files = CheckFiles.create(tmp_path)
    files.write(MANIFEST, PULLED.pretty_json())
    assert files.pulled() == PULLED


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (None, "there is no"),
        ("{", "cannot be used"),
        (PULLED.pretty_json().replace("MLmodel", "MLmodels"), "the digest is not that of the files"),
        (PULLED.pretty_json().replace('"uri"', '"url"'), "at 'ur"),
    ],
)
def test_a_missing_or_damaged_file_names_the_step_that_writes_it(tmp_path, content, why):
    """The user is told which step to run again."""
    files = CheckFiles.create(tmp_path)
    if content is not None:
        files.write(MANIFEST, content)
    with pytest.raises(UsageError, match=why) as caught:
        files.pulled()
    assert "`gate pull` writes it" in caught.value.what_to_do


@pytest.mark.parametrize(
    ("read", "step"),
    [(CheckFiles.evidence, "gate scan"), (CheckFiles.verdict, "gate judge"), (CheckFiles.report, "gate judge")],
)
def test_each_file_names_its_own_step(tmp_path, read, step):
    """Evidence comes from the scan, verdict and report from the judgement."""
    with pytest.raises(UsageError) as caught:
        read(CheckFiles.create(tmp_path))
    assert caught.value.what_to_do.startswith(f"`{step}`")


def test_a_private_directory_is_private_and_goes_away():
    """Only this user may enter it, and read-only content does not keep it from being removed."""
    with private_directory() as root:
        (root / "data").mkdir()
        (root / "data" / "file").touch(mode=0o400)
        (root / "data").chmod(0o500)
        assert root.stat().st_mode & 0o067 == 0  # a group may pass, which no user is in
        assert not root.stat().st_mode & 0o010 or root.stat().st_gid not in {one.gr_gid for one in grp.getgrall()}
    assert not root.exists()
    remove(root)


def test_a_link_in_the_place_of_a_copy_is_removed_alone(tmp_path):
    """What it leads to, somebody else's, keeps its files and its modes."""
    (tmp_path / "theirs" / "below").mkdir(parents=True)
    (tmp_path / "theirs" / "below").chmod(0o755)
    (tmp_path / "model").symlink_to(tmp_path / "theirs")
    remove(tmp_path / "model")
    assert not (tmp_path / "model").is_symlink()
    assert (tmp_path / "theirs" / "below").stat().st_mode & 0o777 == 0o755


def test_two_that_write_the_same_file_do_not_stand_in_each_other_s_way(tmp_path, monkeypatch):
    """As the run and the report of a fleet do: the later one's whole file stays."""
    files, replace, nested = CheckFiles(tmp_path), os.replace, []

    def beside(partial, target):
        if not nested:
            nested.append(partial)
            files.write("report.html", "another's")
        replace(partial, target)

    monkeypatch.setattr(os, "replace", beside)
    files.write("report.html", "mine")
    assert (tmp_path / "report.html").read_text() == "mine"
    assert [path.name for path in tmp_path.iterdir()] == ["report.html"]


def test_what_a_killed_writer_left_is_removed_and_a_live_one_s_is_not(tmp_path):
    """Each has a name of its own, which nobody writes over; files that are not the gate's are left."""
    dead, live, other = (f".report.html.{name}.part" for name in ("0123456789abcdef", "fedcba9876543210", "mine"))
    for name, age in ((dead, 7200), (live, 0), (other, 7200)):
        (tmp_path / name).write_text("half")
        os.utime(tmp_path / name, (time.time() - age,) * 2)
    with CheckFiles.claim(tmp_path):
        assert {path.name for path in tmp_path.iterdir()} == {live, other}

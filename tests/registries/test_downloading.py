"""A download ends at its bounds, whatever the registry sends, and the version is left flagged."""

import errno
import os
import resource
import threading

import pytest

from gate.check.check import CheckRequest, check
from gate.check.evidence import ScanSettings
from gate.check.rules import Rules
from gate.records.artifact import ArtifactFile, Manifest
from gate.records.errors import CannotFinishError, RegistryError
from gate.records.policy import DownloadBounds, Policy, Rule
from gate.records.record import MAX_JSON_BYTES
from gate.registries import downloading
from gate.registries.downloading import RECORD_BOUNDS, bounded, bounds_of, require_within
from tests.stand_ins.one_version import OneVersion

SMALL = DownloadBounds(max_gib=2**-10, max_files=10)
"""A mebibyte."""


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    """Count often, and see that the process may write as large files afterwards as before."""
    monkeypatch.setattr(downloading, "_POLL_SECONDS", 0.01)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    yield
    assert resource.getrlimit(resource.RLIMIT_FSIZE) == before


def write_files(folder, count):
    """Write so many empty files."""
    for number in range(count):
        (folder / str(number)).touch()


def test_what_is_within_the_bounds_is_left_alone(tmp_path):
    """A mebibyte and ten files are the most."""
    with bounded(tmp_path, SMALL, "models:/m/1"):
        for number in range(10):
            (tmp_path / str(number)).write_bytes(bytes(104_857))
    assert len(list(tmp_path.iterdir())) == 10


def test_one_file_beyond_the_bound_is_never_written(tmp_path):
    """The kernel refuses the write; what comes out is the bound and not the download's own error."""

    def download():
        with (tmp_path / "large").open("wb") as stream:
            for _ in range(100):
                stream.write(bytes(1 << 20))
                stream.flush()

    with pytest.raises(CannotFinishError) as caught, bounded(tmp_path, SMALL, "models:/m/1"):
        download()
    assert str(caught.value) == "models:/m/1 has more than the 0.000976562 GiB that the policy allows to download"
    assert "'max-gib'" in caught.value.what_to_do
    assert (tmp_path / "large").stat().st_size <= (1 << 20) + 1


def test_a_write_far_beyond_the_bound_is_one_about_the_bound(tmp_path):
    """Parts of a file are written at their place: the kernel refuses one, and the file is as small as before."""

    def download():
        try:
            with (tmp_path / "large").open("wb") as stream:
                stream.truncate(1 << 30)
        except OSError:
            raise RegistryError("the store failed") from None

    with pytest.raises(CannotFinishError, match="more than the"), bounded(tmp_path, SMALL, "models:/m/1"):
        download()
    assert (tmp_path / "large").stat().st_size == 0


def test_a_disks_own_limit_is_no_bound_of_the_policy(tmp_path, monkeypatch):
    """Where the process may write less than the policy allows, the error stays what it was."""
    with monkeypatch.context() as patch:
        patch.setattr(resource, "getrlimit", lambda _which: (1 << 10, resource.RLIM_INFINITY))
        patch.setattr(resource, "setrlimit", lambda *_: None)
        with pytest.raises(OSError, match="too large"), bounded(tmp_path, SMALL, "m"):
            raise OSError(errno.EFBIG, "File too large")


def test_something_small_leaves_room_for_the_processs_own_files(tmp_path):
    """A log or a database goes on growing meanwhile; what is fetched is counted by its own bound."""

    def download():
        assert resource.getrlimit(resource.RLIMIT_FSIZE)[0] == (1 << 30) + 1
        (tmp_path / "large").write_bytes(bytes(2 << 20))

    with pytest.raises(CannotFinishError, match="more than the"), bounded(tmp_path, SMALL, "m", own_files=1 << 30):
        download()


def test_a_record_is_bounded_by_what_is_read_of_one():
    """One file of JSON."""
    assert (RECORD_BOUNDS.max_bytes, RECORD_BOUNDS.max_files) == (MAX_JSON_BYTES, 1)


@pytest.mark.parametrize("size", [0, 1, 3, (1 << 40) + 1])
def test_known_files_bound_their_own_download(size):
    """To the byte; a policy's bounds are numbers above zero."""
    known = Manifest(files=(ArtifactFile(path="a", size_bytes=size, sha256="0" * 64),))
    assert (bounds_of(known).max_bytes, bounds_of(known).max_files) == (max(size, 1), 1)


def test_many_files_are_taken_away_while_they_come(tmp_path):
    """A download that never ends finds its folder gone."""
    (tmp_path / "to").mkdir()
    with pytest.raises(CannotFinishError, match="more than the 10 files"), bounded(tmp_path / "to", SMALL, "m"):
        write_files(tmp_path / "to", 10**9)
    assert not (tmp_path / "to").exists()


def test_what_came_at_once_is_counted_at_the_end(tmp_path, monkeypatch):
    """A quick download is over before anybody has counted."""
    monkeypatch.setattr(downloading, "_POLL_SECONDS", 60)
    with pytest.raises(CannotFinishError, match="more than the 10 files"), bounded(tmp_path, SMALL, "m"):
        write_files(tmp_path, 11)


def test_another_error_is_the_downloads_own(tmp_path):
    """A registry that fails within the bounds says so itself."""
    with pytest.raises(RegistryError, match="no answer"), bounded(tmp_path, SMALL, "m"):
        raise RegistryError("no answer")


def test_the_largest_of_several_bounds_holds_for_the_process(tmp_path):
    """Two downloads at a time, as in a service: none is refused by the other's bound; the last gives it back."""
    wide, inside, leave = DownloadBounds(max_gib=1), threading.Event(), threading.Event()

    def other():
        with bounded(tmp_path / "b", wide, "b"):
            inside.set()
            leave.wait(30)

    thread = threading.Thread(target=other)
    with bounded(tmp_path / "a", SMALL, "a"):
        thread.start()
        inside.wait(30)
        assert resource.getrlimit(resource.RLIMIT_FSIZE)[0] == wide.max_bytes + 1
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[0] == wide.max_bytes + 1
    leave.set()
    thread.join()


def test_files_on_disk_are_counted_before_they_are_copied(tmp_path):
    """A sparse file counts by its size."""
    with (tmp_path / "s.npz").open("wb") as stream:
        os.truncate(stream.fileno(), 2 << 20)
    with pytest.raises(CannotFinishError, match="more than the"):
        require_within(tmp_path / "s.npz", SMALL, "the samples")
    with pytest.raises(CannotFinishError, match="more than the"):
        require_within(tmp_path, SMALL, "the samples")


class Endless(OneVersion):
    """A registry that sends files for ever."""

    def pull(self, _ref, to):
        """Write files for ever."""
        write_files(to, 10**9)


def test_a_version_that_is_too_large_is_left_flagged(tmp_path):
    """A check of it cannot finish (exit 3), has a report that says why, and marks the version."""
    policy = Policy(version=1, detectors={"unsafe-pickle": Rule()}, download=SMALL)
    request = CheckRequest("models:/m/1", Rules(policy), ScanSettings(), tmp_path / "out")
    registry = Endless()
    with pytest.raises(CannotFinishError, match="that the policy allows to download"):
        check(registry, request, lambda *_: None, lambda _: None)
    assert registry.tags["gate.decision"] == "flagged"
    assert "that the policy allows to download" in (tmp_path / "out" / "report.md").read_text()

"""What was hashed is what is read: a swap before, in between and afterwards, of one file and of a folder."""

import hashlib
import os

import pytest

from gate.formats.sealing import ChangedError, Seal, as_pulled, hashed
from gate.records.artifact import Artifact, ModelRef, build_manifest


def sha256(raw):
    """Return the hex digest."""
    return hashlib.sha256(raw).hexdigest()


@pytest.fixture
def artifact(tmp_path):
    """Return an artifact of two files in a folder."""
    root = tmp_path / "model"
    (root / "data").mkdir(parents=True)
    (root / "MLmodel").write_bytes(b"flavors: {}\n")
    (root / "data" / "model.pt2").write_bytes(b"weights")
    return Artifact(ModelRef(registry="directory", name=str(root)), root, build_manifest(root)[0])


def test_the_file_as_it_was_pulled_is_read_from_its_start(tmp_path):
    """The stream is rewound and gives the bytes that were hashed."""
    path = tmp_path / "samples.npz"
    path.write_bytes(b"pulled")
    with as_pulled(path, sha256(b"pulled"), "the samples") as stream:
        assert stream.read() == b"pulled"


def test_a_swapped_file_is_refused_by_both_digests(tmp_path):
    """The error names what changed, what was pulled and what was read."""
    path = tmp_path / "samples.npz"
    path.write_bytes(b"swapped")
    wanted = f"the samples changed between pull and scan: pulled sha256:{sha256(b'pulled')}, read sha256:"
    with pytest.raises(ChangedError) as caught, as_pulled(path, sha256(b"pulled"), "the samples"):
        pytest.fail("it was opened")
    assert str(caught.value) == wanted + sha256(b"swapped")
    assert caught.value.sentence.endswith("Pull again, into a directory that nothing else writes to.")


def rewrite(path):
    """Write into the file, and put the old bytes back."""
    raw = path.read_bytes()
    path.write_bytes(b"x" * len(raw))
    path.write_bytes(raw)


def exchange(path):
    """Put another file of the same bytes in its place."""
    other = path.with_name("other")
    other.write_bytes(path.read_bytes())
    other.replace(path)


def retime(path):
    """Write other bytes, and set the time of the write back."""
    before = path.stat()
    path.write_bytes(b"x" * before.st_size)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def lose(path):
    """Remove it."""
    path.unlink()


CHANGES = (rewrite, exchange, retime, lose)


@pytest.mark.parametrize("change", CHANGES)
def test_a_file_that_changes_while_it_is_read_is_refused(tmp_path, change):
    """Whatever was read in the block is void, even where the bytes are the old ones again."""
    path = tmp_path / "samples.npz"
    path.write_bytes(b"pulled")
    with pytest.raises(ChangedError), as_pulled(path, sha256(b"pulled"), "the samples"):
        change(path)


@pytest.mark.parametrize("change", CHANGES)
def test_a_sealed_model_shows_every_change(artifact, change):
    """A write, an exchange, a loss, and times that were set back."""
    seal = Seal.of(artifact)
    seal.check()
    change(artifact.root / "data" / "model.pt2")
    with pytest.raises(ChangedError, match=r"model\.pt2"):
        seal.check()


def test_a_folder_that_was_exchanged_and_put_back_shows(artifact):
    """The files' own times say nothing of it, the folders' do."""
    seal = Seal.of(artifact)
    data = artifact.root / "data"
    data.rename(artifact.root / "away")
    (artifact.root / "away").rename(data)
    with pytest.raises(ChangedError):
        seal.check()


def test_a_model_that_is_another_than_pulled_is_not_sealed(artifact):
    """The file is named with both digests."""
    (artifact.root / "data" / "model.pt2").write_bytes(b"other")
    with pytest.raises(ChangedError) as caught:
        Seal.of(artifact)
    assert "the model's file 'data/model.pt2' changed between pull and scan" in str(caught.value)
    assert f"pulled sha256:{sha256(b'weights')}, read sha256:{sha256(b'other')}" in str(caught.value)


@pytest.mark.parametrize("make", [lambda path: path.symlink_to("/etc/hostname"), os.mkfifo, lambda path: path.mkdir()])
def test_only_a_regular_file_is_read(tmp_path, make):
    """A link, a pipe that would block and a folder in a file's place are refused."""
    path = tmp_path / "samples.npz"
    make(path)
    with pytest.raises(ChangedError, match="can no longer be read"), hashed(path):
        pytest.fail("it was opened")

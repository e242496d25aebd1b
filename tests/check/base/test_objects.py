"""Git's objects are read as git reads them, and bytes that are not what their name says are never returned."""

import random
import subprocess
from pathlib import Path, PurePosixPath

import pytest

from gate.check.base.objects import MAX_OBJECT_BYTES, ObjectStore
from gate.check.base.tree import Tree
from gate.records.errors import UsageError
from tests.check.base.repositories import commit, git, proposal

SIZE = 1 << 20


@pytest.fixture
def repository(tmp_path):
    """A history in which files grow, so that packs hold deltas of both kinds of base."""
    made = proposal(tmp_path / "r", {"a.txt": "1\n", "deep/er/b.bin": bytes(range(256)) * 300}, {})
    lines = [f"line {number} {number * 7919 % 1009}" for number in range(3000)]
    for number in range(12):
        lines[number * 97] = f"changed {number}"
        commit(made.folder, {"deep/long.txt": "\n".join(lines), f"n/{number}.txt": f"{number}\n" * 50}, str(number))
    return made.folder


def every(folder):
    """Return kind and bytes of every object by name, as git tells them."""
    names = git(folder, "cat-file", "--batch-all-objects", "--batch-check=%(objectname) %(objecttype)").splitlines()
    return {
        name: (kind, subprocess.check_output(["git", "cat-file", kind, name], cwd=folder))
        for name, kind in (line.split() for line in names)
    }


PACKED = {
    "loose": [],
    "packed by offset": [["repack", "-adfq", "--depth=50", "--window=50"]],
    "packed by name": [["-c", "repack.usedeltabaseoffset=false", "repack", "-adfq", "--depth=50", "--window=50"]],
    "several packs": [["repack", "-adq"], ["commit", "-q", "--allow-empty", "-m", "x"], ["repack", "-dq"]],
}


@pytest.mark.parametrize("steps", PACKED.values(), ids=PACKED)
def test_every_object_is_read_as_git_reads_it(repository, steps):
    """Loose or packed, whole or as a chain of deltas."""
    for step in steps:
        git(repository, *step)
    store, objects = ObjectStore(repository), every(repository)
    assert len(objects) > 40
    for name, (kind, raw) in objects.items():
        assert store.has(name)
        assert store.read(name, kind, SIZE) == raw


def test_packs_of_the_test_hold_deltas(repository):
    """The case above is about what it says."""
    git(repository, "repack", "-adfq", "--depth=50", "--window=50")
    (index,) = (repository / ".git/objects/pack").glob("*.idx")
    listed = git(repository, "verify-pack", "-v", index)
    assert "chain length = 2" in listed


def test_what_is_not_there_is_refused(repository):
    """Missing, too large, of another kind: an error that names the object and says what to do."""
    store = ObjectStore(repository)
    name = git(repository, "rev-parse", "HEAD:deep/long.txt")
    with pytest.raises(UsageError, match="not here"):
        store.read("0" * 40, "blob", SIZE)
    assert not store.has("0" * 40)
    with pytest.raises(UsageError, match="larger than"):
        store.read(name, "blob", 100)
    with pytest.raises(UsageError, match="it is a blob, expected a tree"):
        store.read(name, "tree", SIZE)


@pytest.mark.parametrize("packed", [False, True])
def test_changed_bytes_are_never_returned(repository, packed):
    """Any byte of pack, index or object may be another: what is returned is right, or there is a `UsageError`."""
    if packed:
        git(repository, "repack", "-adfq", "--depth=50", "--window=50")
    draw, objects = random.Random(7), every(repository)
    files = sorted(path for path in (repository / ".git/objects").rglob("*") if path.is_file())
    refused = 0
    for _ in range(400):
        path = draw.choice([file for file in files if file.suffix != ".rev"])
        raw = bytearray(path.read_bytes())
        raw[draw.randrange(len(raw))] ^= draw.randrange(1, 256)
        kept = path.read_bytes()
        path.chmod(0o644)
        path.write_bytes(raw)
        for name in draw.sample(sorted(objects), 3):
            kind, expected = objects[name]
            try:
                assert ObjectStore(repository).read(name, kind, SIZE) == expected
            except UsageError:
                refused += 1
        path.write_bytes(kept)
    assert refused > 10


def test_a_tree_is_walked_by_its_names(repository):
    """Files, folders, what is missing, and what lies below a file."""
    tree = Tree(ObjectStore(repository), git(repository, "rev-parse", "HEAD"))
    entry = tree.find(PurePosixPath("deep/er/b.bin"))
    assert tree.content(entry.name) == bytes(range(256)) * 300
    folder = tree.find(PurePosixPath("n"))
    found = dict(tree.files(PurePosixPath("n"), folder))
    assert set(found) == {PurePosixPath(f"n/{number}.txt") for number in range(12)}
    for path in ("none", "a.txt/b", "deep/none"):
        assert tree.find(PurePosixPath(path)) is None


def test_links_and_submodules_lead_nowhere(tmp_path):
    """A link to the head's files, on the way or at the end of it, is refused; so is a submodule."""
    made = proposal(tmp_path / "r", {"a.yml": "x", "link.yml": Path("a.yml"), "folder": Path("/etc")}, {})
    git(made.folder, "update-index", "--add", "--cacheinfo", f"160000,{made.base},module")
    git(made.folder, "commit", "-qm", "module")
    tree = Tree(ObjectStore(made.folder), git(made.folder, "rev-parse", "HEAD"))
    for path, kind in (("link.yml", "symbolic link"), ("folder/passwd", "symbolic link"), ("module/x", "submodule")):
        with pytest.raises(UsageError, match=f"is a {kind} in the base branch"):
            tree.find(PurePosixPath(path))


def test_a_folder_without_a_repository_is_refused(tmp_path):
    """A tarball, as a checkout without git leaves it, has no base."""
    with pytest.raises(UsageError, match="no git repository"):
        ObjectStore(tmp_path)


def test_a_large_file_is_read(tmp_path):
    """Several of the reader's steps long, and compressed to almost nothing or not at all."""
    noise = random.Random(1).randbytes(3 << 20)
    made = proposal(tmp_path / "r", {"noise": noise, "zeros": bytes(40 << 20)}, {})
    git(made.folder, "repack", "-adq")
    tree = Tree(ObjectStore(made.folder), made.base)
    for name, raw in (("noise", noise), ("zeros", bytes(40 << 20))):
        assert tree.content(tree.find(PurePosixPath(name)).name, MAX_OBJECT_BYTES) == raw

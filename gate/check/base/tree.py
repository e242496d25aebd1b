"""The files of one commit, from git's objects."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath

from gate.check.base.objects import MAX_OBJECT_BYTES, ObjectStore, is_name, unreadable
from gate.records.errors import UsageError

MAX_TREE_BYTES, MAX_DEPTH = 16 << 20, 100
FOLDER, LINK, SUBMODULE = "40000", "120000", "160000"


@dataclass(frozen=True)
class Entry:
    """A tree's entry: the mode, and the object's name."""

    mode: str
    name: str


class Tree:
    """The files of one commit."""

    def __init__(self, store: ObjectStore, commit: str) -> None:
        head = store.read(commit, "commit", MAX_TREE_BYTES).split(b"\n", 1)[0].decode("ascii", errors="replace")
        word, _, root = head.partition(" ")
        if word != "tree" or not is_name(root):
            raise unreadable(commit, "it names no tree")
        self._store, self._root = store, root

    def find(self, path: PurePosixPath) -> Entry | None:
        """Return the entry at a path, or None; a link or submodule on the way is a `UsageError`."""
        here = Entry(FOLDER, self._root)
        for number, part in enumerate(path.parts, start=1):
            if here.mode != FOLDER:
                return None
            found = self._entries(here.name).get(part)
            if found is None:
                return None
            here = found
            _refuse_elsewhere(here, PurePosixPath(*path.parts[:number]))
        return here

    def files(self, path: PurePosixPath, entry: Entry, depth: int = MAX_DEPTH) -> Iterator[tuple[PurePosixPath, str]]:
        """Yield path and object name of every file at or below an entry."""
        _refuse_elsewhere(entry, path)
        if entry.mode in {"100644", "100755", "100664"}:
            yield path, entry.name
        elif entry.mode == FOLDER and depth:
            for name, child in self._entries(entry.name).items():
                yield from self.files(path / name, child, depth - 1)
        else:
            raise UsageError(f"{path} has the mode {entry.mode} in git, or lies too deep; expected files and folders")

    def content(self, name: str, limit: int = MAX_OBJECT_BYTES) -> bytes:
        """Return a file's bytes."""
        return self._store.read(name, "blob", limit)

    def _entries(self, name: str) -> dict[str, Entry]:
        raw, at, found = self._store.read(name, "tree", MAX_TREE_BYTES), 0, dict[str, Entry]()
        while at < len(raw):
            end = raw.index(b"\0", at)
            mode, _, label = raw[at:end].partition(b" ")
            text = label.decode("utf-8", errors="surrogateescape")
            if text in ("", ".", "..") or "/" in text:
                raise UsageError(f"the git tree {name} holds the name {text!r}, which no folder may")
            found[text] = Entry(mode.decode("ascii", errors="replace"), raw[end + 1 : end + 21].hex())
            at = end + 21
        return found


def _refuse_elsewhere(entry: Entry, path: PurePosixPath) -> None:
    """Refuse an entry that leads out of the commit, where the head's files could be."""
    if entry.mode in (LINK, SUBMODULE):
        kind = "a symbolic link" if entry.mode == LINK else "a submodule"
        raise UsageError(
            f"{path} is {kind} in the base branch; expected the file itself",
            what_to_do="Commit the file in its place: a link could lead to what the pull request brings.",
        )

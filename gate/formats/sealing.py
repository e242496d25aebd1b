"""Bytes hashed where they are read: what the pull has hashed, the worker that parses it hashes again.

A worker opens a file once, hashes it from that descriptor and parses what the same descriptor yields. If a library
wants a path, device, inode, size and times must be the same after it has read as at the hashing. Only the kernel sets
the time of the last change: a swap in between shows even if the bytes are put back.
"""

import hashlib
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from gate.records.artifact import Artifact
from gate.records.errors import UnexaminableError

PULL_AGAIN = "Pull again, into a directory that nothing else writes to."


class ChangedError(UnexaminableError):
    """Bytes that are not those that were pulled; nothing that was read of them is used."""

    what_to_do = PULL_AGAIN


@dataclass(frozen=True)
class Identity:
    """What the kernel states about a file or directory; it changes with every write, rename and exchange."""

    device: int
    inode: int
    size: int
    modified_ns: int
    changed_ns: int

    @classmethod
    def of(cls, status: os.stat_result) -> "Identity":
        """Return the identity in a file's status."""
        return cls(status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)


@dataclass(frozen=True)
class Hashed:
    """An open regular file, rewound, and the sha256 of what it holds."""

    stream: BinaryIO
    sha256: str


@contextmanager
def hashed(path: Path) -> Iterator[Hashed]:
    """Open a regular file once, never through a link, and hash it; it may not change before the block ends."""
    with _opened(path) as stream:
        before = Identity.of(os.fstat(stream.fileno()))
        digest = hashlib.sha256()
        while chunk := stream.read(1 << 20):
            digest.update(chunk)
        stream.seek(0)
        yield Hashed(stream, digest.hexdigest())
        _require_same(path, before, Identity.of(os.fstat(stream.fileno())))


@contextmanager
def as_pulled(path: Path, sha256: str, what: str) -> Iterator[BinaryIO]:
    """Open a file whose digest is known, for one reading; other bytes are a `ChangedError` that names both digests."""
    with hashed(path) as found:
        if found.sha256 != sha256:
            raise changed(what, sha256, found.sha256)
        yield found.stream
        # A library may have read the path instead: it must still lead to the file that was hashed.
        _require_same(path, Identity.of(os.fstat(found.stream.fileno())), _identity(path))


def changed(what: str, pulled: str, read: str) -> ChangedError:
    """Return the error for bytes of another digest (sha256 in hex) than those that were pulled."""
    return ChangedError(f"{what} changed between pull and scan: pulled sha256:{pulled}, read sha256:{read}")


@dataclass(frozen=True)
class Seal:
    """A model's folder as it was when all of it was hashed."""

    root: Path
    identities: dict[Path, Identity]

    @classmethod
    def of(cls, artifact: Artifact) -> "Seal":
        """Hash every file of the manifest; one that is gone or another is a `ChangedError` that names both digests."""
        walked = (Path(directory) for directory, _, _ in os.walk(artifact.root, followlinks=False))
        folders = {path: _identity(path) for path in walked}
        identities: dict[Path, Identity] = {}
        for file in artifact.manifest.files:
            path = artifact.root / file.path
            with hashed(path) as found:
                if found.sha256 != file.sha256:
                    raise changed(f"the model's file {file.path[:200]!r}", file.sha256, found.sha256)
                identities[path] = Identity.of(os.fstat(found.stream.fileno()))
        return cls(artifact.root, identities | folders)

    def check(self) -> None:
        """Raise `ChangedError` if any file or folder was written, renamed or exchanged since."""
        for path, identity in self.identities.items():
            _require_same(path, identity, _identity(path))


@contextmanager
def _opened(path: Path) -> Iterator[BinaryIO]:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise _gone(path, error.strerror or type(error).__name__) from None
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise _gone(path, "no regular file")
    with os.fdopen(descriptor, "rb") as stream:
        yield stream


def _identity(path: Path) -> Identity:
    try:
        return Identity.of(path.lstat())
    except OSError as error:
        raise _gone(path, error.strerror or type(error).__name__) from None


def _require_same(path: Path, before: Identity, after: Identity) -> None:
    if before != after:
        raise ChangedError(f"{path.name[:200]!r} changed while it was read, so nothing can be said about it")


def _gone(path: Path, why: str) -> ChangedError:
    return ChangedError(f"{path.name[:200]!r} was pulled and can no longer be read: {why}")

"""Scratch directories: made for one use, removed with all that was left in them, however deep."""

import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path

_CHUNK = 1 << 20


@contextmanager
def scratch_directory(prefix: str = "gate-worker-") -> Iterator[Path]:
    """Yield a new directory that only this user may enter, and remove it afterwards."""
    path = Path(tempfile.mkdtemp(prefix=prefix)).resolve()
    try:
        yield path
    finally:
        remove_tree(path)


def write_new(path: Path, raw: bytes) -> None:
    """Write a file, replacing any that is there: a link is replaced, never followed."""
    path.unlink(missing_ok=True)
    with path.open("xb") as stream:
        stream.write(raw)


def copy_plain(source: Path, to: Path, limit: int) -> bool:
    """Copy a hostile worker's file over `to` if it is a regular one within the limit; never through a link."""
    try:
        descriptor = os.open(source, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return False
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode) or status.st_size > limit:
        os.close(descriptor)
        return False
    with os.fdopen(descriptor, "rb") as stream:
        to.parent.mkdir(parents=True, exist_ok=True)
        to.unlink(missing_ok=True)
        with to.open("xb") as copy:
            shutil.copyfileobj(stream, copy, _CHUNK)
    return True


def remove_tree(root: Path) -> None:
    """Remove a hostile directory tree as far as possible, following no link and raising nothing."""
    try:
        shutil.rmtree(root, ignore_errors=True)
    except RecursionError:
        _flatten(root)
        shutil.rmtree(root, ignore_errors=True)


def _flatten(root: Path) -> None:
    """Move every nested directory up to the root, so that none is too deep for a recursive removal."""
    fresh = count()
    waiting = [root]
    while waiting:
        here = waiting.pop()
        try:
            inner = [Path(entry.path) for entry in os.scandir(here) if entry.is_dir(follow_symlinks=False)]
        except OSError:
            continue
        for directory in inner:
            to = root / f"flat-{os.getpid()}-{next(fresh)}"
            try:
                waiting.append(directory if here == root else directory.rename(to))
            except OSError:
                continue

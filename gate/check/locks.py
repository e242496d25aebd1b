"""A lock on a folder: the kernel's, so that it ends with the process that holds it, however that ends.

The folder itself is locked, and no file in it: that would outlive a process that was killed. Some disks have no locks;
what that means is for the caller to say.
"""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

Lock = Literal["ours", "theirs", "none"]
"""Whose a lock is; `none` where the disk has no locks."""


@contextmanager
def folder_lock(folder: Path, *, shared: bool = False) -> Iterator[Lock]:
    """Lock a folder while the block runs, without waiting, and yield whose the lock is; a link is an `OSError`.

    A shared lock only asks: others that ask have it too, and whoever holds the folder keeps it from all.
    """
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC | os.O_NOFOLLOW)
    try:
        yield _lock(descriptor, fcntl.LOCK_SH if shared else fcntl.LOCK_EX)
    finally:
        os.close(descriptor)


def _lock(descriptor: int, how: int) -> Lock:
    try:
        fcntl.flock(descriptor, how | fcntl.LOCK_NB)
    except BlockingIOError:
        return "theirs"
    except OSError:
        return "none"
    return "ours"

"""Bounds on a download: watched while it runs, and counted at its end, before any of it is hashed.

No adapter needs to cooperate: the kernel bounds every file of this process, a watch removes a folder beyond the bounds,
and the download's own error then becomes one about the bounds.
"""

import errno
import os
import resource
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path

from gate.jail.scratch import remove_tree
from gate.records.activity import Moved, doing
from gate.records.artifact import Manifest
from gate.records.errors import CannotFinishError
from gate.records.policy import DownloadBounds
from gate.records.record import MAX_JSON_BYTES

RECORD_BOUNDS = DownloadBounds(max_gib=MAX_JSON_BYTES / 2**30, max_files=1)
"""Bounds of one evidence or report that a candidate-controlled tag names: what is read of a record at most."""
OWN_FILES = 1 << 30
"""Size to which this process's own files, such as logs and databases, may grow while something small is fetched."""
_POLL_SECONDS = 0.5
_MOST_CAUSES = 20
_lock = threading.Lock()
_held: list[int] = []
"""Bounds of all current downloads; the largest holds for the process, and no download fails by another's."""
_before: list[tuple[int, int]] = []


@contextmanager
def bounded(folder: Path, bounds: DownloadBounds, what: str, *, own_files: int = 0) -> Iterator[None]:
    """Watch a download into `folder`; more than the bounds is a `CannotFinishError`.

    The kernel's bound on single files is never below `own_files`, since it holds for the whole process.
    """
    stop = threading.Event()
    exceeded: list[str] = []
    with doing(f"downloading {what}") as moved, _largest_file(max(bounds.max_bytes, own_files) + 1):
        args = (folder, bounds, stop, exceeded, moved)
        watch = threading.Thread(target=_watch, args=args, name="gate-download", daemon=True)
        watch.start()
        try:
            yield
        except Exception as error:
            if beyond := [*exceeded, *beyond_of(folder, bounds), *_refused(error, bounds)]:
                raise _too_much(what, beyond[0]) from None
            raise
        finally:
            stop.set()
            watch.join()
        moved(_counted(folder, bounds))
    if beyond := [*exceeded, *beyond_of(folder, bounds)]:
        remove_tree(folder)
        raise _too_much(what, beyond[0])


def bounds_of(manifest: Manifest) -> DownloadBounds:
    """Return the bounds of a download that should bring these files and nothing else."""
    return DownloadBounds(max_gib=max(1, manifest.size_bytes) / 2**30, max_files=max(1, len(manifest.files)))


def require_within(path: Path, bounds: DownloadBounds, what: str) -> None:
    """Refuse a file or folder on disk beyond the bounds, before it is copied."""
    for beyond in beyond_of(path, bounds):
        raise _too_much(what, beyond)


def beyond_of(path: Path, bounds: DownloadBounds) -> Iterator[str]:
    """Yield the bound that a file, or a whole folder, exceeds; counting ends there."""
    size = files = 0
    for each in _sizes(path):
        size, files = size + each, files + 1
        if size > bounds.max_bytes:
            yield _bytes_of(bounds)
            return
        if files > bounds.max_files:
            yield f"more than the {bounds.max_files} files"
            return


def _refused(error: BaseException | None, bounds: DownloadBounds) -> Iterator[str]:
    """Yield the bound on bytes where the kernel refused a write beyond it, which may leave a file that is small."""
    seen = 0
    while error is not None and seen < _MOST_CAUSES:
        if isinstance(error, OSError) and error.errno == errno.EFBIG:
            if resource.getrlimit(resource.RLIMIT_FSIZE)[0] >= bounds.max_bytes:
                yield _bytes_of(bounds)
            return
        error, seen = error.__cause__ or error.__context__, seen + 1


def _bytes_of(bounds: DownloadBounds) -> str:
    return f"more than the {bounds.max_gib:g} GiB"


def _watch(folder: Path, bounds: DownloadBounds, stop: threading.Event, exceeded: list[str], moved: Moved) -> None:
    while not stop.wait(_POLL_SECONDS):
        exceeded.extend(beyond_of(folder, bounds))
        moved(_counted(folder, bounds))
        if exceeded:
            # The rest of the download fails, and the kernel bounds a file that is being written.
            remove_tree(folder)


def _counted(folder: Path, bounds: DownloadBounds) -> int:
    """Return the bytes in a folder, for progress; counting ends at the bound on files."""
    return sum(islice(_sizes(folder), bounds.max_files))


def _sizes(path: Path) -> Iterator[int]:
    if not path.is_dir():
        yield path.stat().st_size if path.exists() else 0
        return
    for directory, _, files in os.walk(path, followlinks=False):
        for name in files:
            try:
                yield (Path(directory) / name).lstat().st_size
            except OSError:  # a part that has just been renamed
                continue


def _too_much(what: str, beyond: str) -> CannotFinishError:
    return CannotFinishError(
        f"{what} has {beyond} that the policy allows to download",
        what_to_do="Look at what was registered there; raise 'max-gib' or 'max-files' under 'download' in a policy of "
        "your own, and name that by --policy, or as `policy` of the service's [[models]].",
    )


@contextmanager
def _largest_file(size: int) -> Iterator[None]:
    """Let the kernel refuse this process files larger than `size` bytes during a download."""
    with _lock:
        if not _held:
            _before.append(resource.getrlimit(resource.RLIMIT_FSIZE))
        _held.append(size)
        _apply(max(_held))
    try:
        yield
    finally:
        with _lock:
            _held.remove(size)
            if _held:
                _apply(max(_held))
            else:
                resource.setrlimit(resource.RLIMIT_FSIZE, _before.pop())


def _apply(size: int) -> None:
    soft, hard = _before[0]
    limits = [size, *(limit for limit in (soft, hard) if limit != resource.RLIM_INFINITY)]
    resource.setrlimit(resource.RLIMIT_FSIZE, (min(limits), hard))

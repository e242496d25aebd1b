"""A function in a forked child with a time limit: what it loads may be hostile, and torch is imported already."""

import json
import os
import select
import signal
import tempfile
import time
import traceback
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any


class ChildError(Exception):
    """The child did not give an answer: why not, in one line."""


def run_child(work: Callable[[], None], seconds: float) -> tuple[int, str]:
    """Run a function in a child without output; return its wait status (-1: killed at the limit) and its error."""
    with tempfile.TemporaryFile() as said:
        pid = os.fork()
        if pid == 0:
            _child(work, said.fileno())
        status = _wait(pid, seconds)
        said.seek(0)
        return status, said.read().decode("utf-8", "replace")[-2000:]


def answer_of(work: Callable[[], Any], seconds: float) -> Any:
    """Return what a function returns in a child, as JSON; anything else is a `ChildError`."""
    with tempfile.TemporaryDirectory(prefix="oracle-") as folder:
        path = Path(folder, "answer.json")
        status, said = run_child(lambda: _save(path, work()), seconds)
        if status == -1:
            raise ChildError(f"did not end in {seconds:.0f} s")
        if status != 0 or not path.exists():
            raise ChildError(f"ended with status {status}: {said.strip().splitlines()[-1:] or 'nothing said'}")
        return json.loads(path.read_text(encoding="utf-8"))


def _save(path: Path, value: Any) -> None:
    path.write_text(json.dumps(value), encoding="utf-8")


def _child(work: Callable[[], None], said: int) -> None:
    """Do the work and end: nothing of the parent's (buffers, handlers, temporary folders) is touched."""
    code = 1
    try:
        os.setsid()
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        nothing = os.open(os.devnull, os.O_RDWR)
        for stream, to in ((0, nothing), (1, nothing), (2, said)):
            os.dup2(to, stream)
        warnings.simplefilter("ignore")  # a test's parent may make errors of them; nobody else's process does
        work()
        code = 0
    except BaseException:  # noqa: BLE001  # whatever hostile code raises
        os.write(said, traceback.format_exc().encode("utf-8", "replace"))
    finally:
        os._exit(code)


def _wait(pid: int, seconds: float) -> int:
    """Wait for a child, and end its whole session at the limit; what it started and left is ended as well."""
    until = time.monotonic() + seconds
    watched = os.pidfd_open(pid)
    try:
        ready, _, _ = select.select([watched], [], [], max(0.0, until - time.monotonic()))
    finally:
        os.close(watched)
    _end_session(pid)
    _, status = os.waitpid(pid, 0)
    return status if ready else -1


def _end_session(pid: int) -> None:
    try:
        os.killpg(pid, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        return

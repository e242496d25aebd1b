"""Limits on what a worker may use, and the settings that make it die with its parent and gain no rights."""

import os
import resource
import signal
from contextlib import suppress
from pathlib import Path

from gate.jail import kernel
from gate.jail.spec import IsolationError, JailSpec


def tie_to_parent() -> None:
    """Let the kernel kill this process when the thread that started it ends, and keep it from gaining rights."""
    if not kernel.end_with(os.getppid(), signal.SIGKILL):
        raise IsolationError("the parent ended while the worker built its jail; expected it to wait for the worker")
    kernel.prctl(kernel.PR_SET_NO_NEW_PRIVS, 1)


def set_limits(spec: JailSpec) -> None:
    """Bound processor time, file size, open files and address space, forbid core dumps, and volunteer to die first."""
    _bound(resource.RLIMIT_CPU, spec.cpu_seconds)
    _bound(resource.RLIMIT_FSIZE, spec.file_size_bytes)
    _bound(resource.RLIMIT_NOFILE, spec.open_files)
    _bound(resource.RLIMIT_CORE, 0)
    if spec.address_space_bytes is not None:
        _bound(resource.RLIMIT_AS, spec.address_space_bytes)
    # Where worker and parent share a memory limit, the kernel must choose the worker: the parent has to report it.
    with suppress(OSError):  # a read-only /proc: only the choice of victim is lost, not the isolation
        Path("/proc/self/oom_score_adj").write_text("1000", encoding="ascii")


def _bound(what: int, limit: int) -> None:
    """Lower a limit for good; a limit that is lower already stays."""
    _, hard = resource.getrlimit(what)
    least = limit if hard == resource.RLIM_INFINITY else min(limit, hard)
    resource.setrlimit(what, (least, least))

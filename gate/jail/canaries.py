"""Canaries: before anything untrusted is read, try what the jail forbids; each attempt must fail.

A filter that is in place but does not hold (a wrong table, an odd kernel, a container runtime that only pretends) is
worse than none, because the evidence would claim it. So the last step of `enter` is to attempt the forbidden.
"""

import errno
import os
from collections.abc import Callable
from pathlib import Path

from gate.jail import kernel
from gate.jail.spec import Isolation, IsolationError, JailSpec


def check(spec: JailSpec, isolation: Isolation) -> None:
    """Raise `IsolationError` if the scratch is unusable or any forbidden thing works that a present layer closes."""
    _check_scratch(spec.writable[0])
    attempts: dict[str, Callable[[], None]] = {}
    if isolation.landlock_abi:
        outside = spec.writable[0].resolve().parent / f".canary-{os.getpid()}"
        attempts |= {
            "listing /": _list_root,
            "reading /etc/passwd": lambda: _read(Path("/etc/passwd")),
            "reading the parent's environment": lambda: _read(Path(f"/proc/{os.getppid()}/environ")),
            "writing outside its scratch": lambda: _write(outside),
        }
    if isolation.seccomp:
        attempts |= {
            "opening a socket": lambda: os.close(kernel.open_stream_socket()),
            "starting a program": _execute,
            "starting a process": _fork,
            "signalling its parent": lambda: os.kill(os.getppid(), 0),
        }
    for what, attempt in attempts.items():
        if _works(attempt):
            raise IsolationError(
                f"the jail does not hold: {what} works inside it; expected the kernel to refuse",
                what_to_do="Report the kernel and the container runtime; do not scan untrusted models on this machine.",
            )


def _works(attempt: Callable[[], None]) -> bool:
    try:
        attempt()
    except OSError:
        return False
    return True


def _check_scratch(scratch: Path) -> None:
    probe = scratch / f".canary-{os.getpid()}"
    try:
        _write(probe)
    except OSError as error:
        raise IsolationError(f"the worker cannot write to its scratch {str(scratch)!r}: {error}") from None


def _list_root() -> None:
    os.close(os.open("/", os.O_RDONLY | os.O_DIRECTORY))


def _read(path: Path) -> None:
    path.read_bytes()


def _write(path: Path) -> None:
    os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    path.unlink()


def _execute() -> None:
    # A program that does not exist: the filter refuses before the kernel looks for it, and where there is no filter
    # this process is not replaced.
    try:
        os.execv("/nonexistent/canary", ["canary"])  # noqa: S606  # meant to be refused
    except OSError as error:
        if error.errno == errno.EPERM:
            raise


def _fork() -> None:
    child = os.fork()
    if child == 0:
        os._exit(0)
    os.waitpid(child, 0)

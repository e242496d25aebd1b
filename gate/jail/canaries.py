"""Canaries: before anything untrusted is read, try what the jail forbids; each attempt must fail.

A filter that is in place but does not hold (a wrong table, an odd kernel, a container runtime that only pretends) is
worse than none, because the evidence would claim it. So the last step of `enter` is to attempt what is forbidden.
"""

import errno
import os
from collections.abc import Callable
from pathlib import Path

from gate.jail import kernel
from gate.jail.spec import Isolation, IsolationError, JailSpec


def check(spec: JailSpec, isolation: Isolation) -> None:
    """Raise `IsolationError` if the scratch is unusable or any forbidden thing works that a present layer closes."""
    scratch, name = spec.writable[0], f".canary-{os.getpid()}"
    try:
        _write(scratch / name)
    except OSError as error:
        raise IsolationError(f"the worker cannot write to its scratch {str(scratch)!r}: {error}") from None
    attempts: dict[str, Callable[[], object]] = {}
    if isolation.landlock_abi:
        attempts |= {
            "listing /": lambda: os.close(os.open("/", os.O_RDONLY | os.O_DIRECTORY)),
            "reading /etc/passwd": Path("/etc/passwd").read_bytes,
            "reading the parent's environment": Path(f"/proc/{os.getppid()}/environ").read_bytes,
            "writing outside its scratch": lambda: _write(scratch.resolve().parent / name),
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


def _works(attempt: Callable[[], object]) -> bool:
    try:
        attempt()
    except OSError:
        return False
    return True


def _write(path: Path) -> None:
    os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    path.unlink()


def _execute() -> None:
    # The program does not exist: the filter refuses before the kernel looks for it, and without a filter this process
    # is not replaced.
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

"""Entering the jail, every step in order: from the check that it can hold to the proof that it does."""

from pathlib import Path

from gate.jail import canaries, kernel, landlock, limits, seccomp
from gate.jail.spec import Isolation, IsolationError, JailSpec, Level

_entered: list[Isolation] = []
"""The isolation of this process, once entered: a second jail on top would only fail in odd ways."""


def probe() -> Isolation:
    """Return what this kernel can give, without entering the jail."""
    return Isolation.of(landlock_abi=landlock.abi(), seccomp=seccomp.is_available())


def enter(spec: JailSpec, *, least: Level = "full") -> Isolation:
    """Isolate this process for good, prove it, and return how far it is; less than `least` raises before any change.

    Call it before numpy, torch or anything else that starts threads is imported, and before any untrusted byte is
    read. With a weaker `least` the caller accepts what the kernel gives, and must record the isolation returned.
    """
    return _enter(spec, least=least, possible=probe())


def _enter(spec: JailSpec, *, least: Level, possible: Isolation) -> Isolation:
    if _entered:
        raise IsolationError("this process is already in a jail; enter() may be called once")
    _require_one_thread()
    if not possible.at_least(least):
        raise IsolationError(
            f"this machine gives the isolation '{possible}'; expected at least '{least}'",
            what_to_do="Use Linux 5.13 or newer with Landlock on x86-64 or aarch64, or accept less explicitly.",
        )
    try:
        _shut(spec, possible)
    except OSError as error:
        raise IsolationError(f"the jail cannot be built: the kernel answered {error}") from error
    canaries.check(spec, possible)
    _entered.append(possible)
    return possible


def _shut(spec: JailSpec, possible: Isolation) -> None:
    limits.tie_to_parent()
    limits.set_limits(spec)
    if possible.landlock_abi:
        landlock.restrict(spec, possible.landlock_abi)
    kernel.drop_capabilities()
    if possible.seccomp:
        # Last: the filter refuses the very calls with which the steps above are made.
        seccomp.install()


def _require_one_thread() -> None:
    """Landlock binds the calling thread and its later children; an older thread would stay free."""
    try:
        threads = len(list(Path("/proc/self/task").iterdir()))
    except OSError as error:
        raise IsolationError(f"the threads of this process cannot be counted, /proc is missing: {error}") from None
    if threads != 1:
        raise IsolationError(
            f"the jail must be entered before any thread is started; expected 1 thread, found {threads}",
            what_to_do="Call enter() before importing numpy, torch or anything else that starts threads.",
        )

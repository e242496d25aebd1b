"""The few system calls that the standard library lacks, through ctypes."""

import ctypes
import os

PR_SET_PDEATHSIG = 1
PR_SET_DUMPABLE = 4
PR_CAPBSET_DROP = 24
PR_SET_NO_NEW_PRIVS = 38

_CAPABILITY_VERSION_3 = 0x20080522
_LAST_CAPABILITY = 63

_libc = ctypes.CDLL(None, use_errno=True)
_libc.syscall.restype = ctypes.c_long


def syscall(number: int, *arguments: int) -> int:
    """Make a system call by number, with integers or addresses as arguments; a failure raises `OSError`."""
    result: int = _libc.syscall(ctypes.c_long(number), *(ctypes.c_ulong(argument) for argument in arguments))
    if result < 0:
        raise _last_error()
    return result


def prctl(option: int, value: int = 0) -> int:
    """Set or read a property of this process; a failure raises `OSError`."""
    result: int = _libc.prctl(ctypes.c_int(option), *map(ctypes.c_ulong, (value, 0, 0, 0)))
    if result < 0:
        raise _last_error()
    return result


def end_with(parent: int, number: int) -> bool:
    """Let the kernel send this process a signal when its parent ends; return whether that is still `parent`.

    A parent that ended before the call left this process to another one.
    """
    prctl(PR_SET_PDEATHSIG, number)
    return os.getppid() == parent


def drop_capabilities() -> None:
    """Give up every capability for good: a worker started as root keeps its user id alone."""
    for capability in range(_LAST_CAPABILITY + 1):
        try:
            prctl(PR_CAPBSET_DROP, capability)
        except OSError:  # not root, or past this kernel's last capability: nothing is left to drop
            break
    header = (ctypes.c_uint32 * 2)(_CAPABILITY_VERSION_3, 0)
    nothing = (ctypes.c_uint32 * 6)()
    if _libc.capset(header, nothing) < 0:
        raise _last_error()


def open_stream_socket() -> int:
    """Return the descriptor of a new TCP socket, without importing the `socket` module for one canary."""
    descriptor: int = _libc.socket(2, 1, 0)  # AF_INET, SOCK_STREAM
    if descriptor < 0:
        raise _last_error()
    return descriptor


def _last_error() -> OSError:
    number = ctypes.get_errno()
    return OSError(number, os.strerror(number))

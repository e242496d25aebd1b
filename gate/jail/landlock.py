"""Landlock: the kernel denies this process, for good, every file that was not named.

It denies by default: all rights that the running kernel knows are handled, and a rule gives a few of them back below
one path. No rule gives the right to execute. To Landlock, loading a shared library is a mapping and no execution, so
imports still work. It also denies ptrace and `/proc` of any process outside, from ABI 4 TCP, and from ABI 6 signals and
abstract sockets to the outside.
"""

import ctypes
import os
import struct
from collections.abc import Iterator
from pathlib import Path

from gate.jail import kernel
from gate.jail.spec import IsolationError, JailSpec

LATEST_ABI = 9
"""The newest interface whose rights are known here; further rights of a newer kernel stay unhandled."""

_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446  # the same numbers on every processor
_ASK_VERSION = 1
_RULE_PATH_BENEATH = 1

EXECUTE, WRITE_FILE, READ_FILE, READ_DIR, REMOVE_DIR, REMOVE_FILE = (1 << bit for bit in range(6))
MAKE_DIR, MAKE_REG, REFER, TRUNCATE, IOCTL_DEV = 1 << 7, 1 << 8, 1 << 13, 1 << 14, 1 << 15

_RIGHTS_BY_ABI = {1: 13, 2: 14, 3: 15, 4: 15, 5: 16, 6: 16, 7: 16, 8: 16, 9: 17}
"""Number of rights on files by interface version; they are numbered from bit 0."""
_FOR_FILES = EXECUTE | WRITE_FILE | READ_FILE | TRUNCATE | IOCTL_DEV
"""Rights that a rule on a file may hold; the kernel refuses a rule with any other."""
_TCP_BIND_AND_CONNECT = 0b11
_SCOPE_ABSTRACT_SOCKETS_AND_SIGNALS = 0b11

READ = READ_FILE | READ_DIR
CHANGE = READ | WRITE_FILE | TRUNCATE | REMOVE_DIR | REMOVE_FILE | MAKE_DIR | MAKE_REG | REFER
"""Without sockets, pipes, devices and symbolic links: the parent reads here afterwards and expects plain files."""
DRIVE = READ_FILE | WRITE_FILE | IOCTL_DEV

_PLAIN_DEVICES = {"/dev/null": READ_FILE | WRITE_FILE, "/dev/zero": READ_FILE, "/dev/urandom": READ_FILE}


def abi() -> int:
    """Return the Landlock ABI of the running kernel; 0 for none."""
    try:
        return kernel.syscall(_CREATE_RULESET, 0, 0, _ASK_VERSION)
    except OSError:
        return 0


def handled_rights(version: int) -> int:
    """Return the mask of all rights on files that an ABI knows."""
    return (1 << _RIGHTS_BY_ABI[min(version, LATEST_ABI)]) - 1


def ruleset_attributes(version: int) -> bytes:
    """Return the kernel's description of what is denied by default, in the size that this ABI accepts."""
    fields = [handled_rights(version)]
    if version >= 4:  # brought TCP
        fields.append(_TCP_BIND_AND_CONNECT)
    if version >= 6:  # brought scopes
        fields.append(_SCOPE_ABSTRACT_SOCKETS_AND_SIGNALS)
    return struct.pack(f"={len(fields)}Q", *fields)


def restrict(spec: JailSpec, version: int) -> None:
    """Deny every file but those of `spec` to the calling thread and to all that it starts, for good."""
    attributes = ruleset_attributes(version)
    buffer = ctypes.create_string_buffer(attributes, len(attributes))
    ruleset = kernel.syscall(_CREATE_RULESET, ctypes.addressof(buffer), len(attributes), 0)
    try:
        for path, rights in _rules(spec):
            _allow(ruleset, path, rights & handled_rights(version))
        kernel.syscall(_RESTRICT_SELF, ruleset, 0)
    finally:
        os.close(ruleset)


def _rules(spec: JailSpec) -> Iterator[tuple[Path, int]]:
    granted = ((spec.readable, READ), (spec.listable, READ_DIR), (spec.writable, CHANGE), (spec.devices, DRIVE))
    yield from ((path, rights) for paths, rights in granted for path in paths)
    if spec.devices:
        # From driver 570 on, CUDA names its threads by writing /proc/self/task/*/comm, or fails to start.
        yield Path("/proc/self/task"), READ | WRITE_FILE
    yield from ((Path(name), rights) for name, rights in _PLAIN_DEVICES.items() if Path(name).exists())


def _allow(ruleset: int, path: Path, rights: int) -> None:
    try:
        descriptor = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError as error:
        raise IsolationError(f"a jail was asked for with {str(path)!r}, which cannot be opened: {error}") from None
    try:
        allowed = rights if path.is_dir() else rights & _FOR_FILES
        rule = struct.pack("=Qi", allowed, descriptor)
        buffer = ctypes.create_string_buffer(rule, len(rule))
        kernel.syscall(_ADD_RULE, ruleset, _RULE_PATH_BENEATH, ctypes.addressof(buffer), 0)
    finally:
        os.close(descriptor)

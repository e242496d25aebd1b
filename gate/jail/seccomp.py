"""seccomp: a filter in the kernel that refuses system calls which start a socket, a program or a process.

It denies what Landlock does not, or not on every kernel (network of every kind, new programs and processes, signals,
changes of permissions), and shrinks the part of the kernel that hostile bytes can reach. `program` is a pure function
from processor and process id to the filter's bytes (classic BPF, run by the kernel on every call).
`gate.jail.syscall_policy` names what is refused, `gate.jail.syscalls` the numbers.
"""

import ctypes
import errno
import os
import platform
import struct
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from gate.jail import kernel
from gate.jail.spec import IsolationError
from gate.jail.syscall_policy import DENIED, Condition, conditions
from gate.jail.syscalls import AARCH64, X86_64

ALLOW, REFUSE, KILL = 0x7FFF0000, 0x00050000, 0x80000000
"""Answers of a filter; `REFUSE` carries an errno in its low bits, `KILL` ends the whole process."""

X32_BIT = 0x40000000
"""A second numbering of the same calls on x86-64, which would slip past a comparison of numbers."""

_SET_MODE_FILTER, _GET_ACTION_AVAILABLE = 1, 2
_ALL_THREADS = 1

_LOAD, _AND, _RETURN = 0x20, 0x54, 0x06
_IF_EQUAL, _IF_GREATER, _IF_AT_LEAST = 0x15, 0x25, 0x35
_NUMBER_AT, _PROCESSOR_AT, _ARGUMENTS_AT = 0, 4, 16
"""Offsets in the record that the kernel gives the filter; arguments are 64 bits wide, low half first."""


@dataclass(frozen=True)
class Processor:
    """A processor that the filter can be built for."""

    audit_number: int
    syscalls: Mapping[str, int]
    has_x32: bool


PROCESSORS: Mapping[str, Processor] = {
    "x86_64": Processor(audit_number=0xC000003E, syscalls=X86_64, has_x32=True),
    "aarch64": Processor(audit_number=0xC00000B7, syscalls=AARCH64, has_x32=False),
}


class _Filter(ctypes.Structure):
    _fields_ = (("len", ctypes.c_ushort), ("filter", ctypes.c_void_p))


def is_available() -> bool:
    """Tell whether this kernel takes filters that can kill, and this processor is known here."""
    processor = PROCESSORS.get(platform.machine())
    if processor is None or sys.maxsize < 1 << 32:
        return False
    answer = ctypes.c_uint32(KILL)
    try:
        kernel.syscall(processor.syscalls["seccomp"], _GET_ACTION_AVAILABLE, 0, ctypes.addressof(answer))
    except OSError:
        return False
    return True


def install() -> None:
    """Put the filter on every thread of this process, for good."""
    machine = platform.machine()
    instructions = program(machine, os.getpid())
    buffer = ctypes.create_string_buffer(instructions, len(instructions))
    wanted = _Filter(len(instructions) // 8, ctypes.addressof(buffer))
    number = PROCESSORS[machine].syscalls["seccomp"]
    stubborn = kernel.syscall(number, _SET_MODE_FILTER, _ALL_THREADS, ctypes.addressof(wanted))
    if stubborn:
        raise IsolationError(f"thread {stubborn} does not take the filter on system calls; expected every thread to")


def program(machine: str, pid: int) -> bytes:
    """Return the filter for a processor and the process with this id, as the kernel's 8-byte instructions."""
    processor = PROCESSORS[machine]
    steps = [
        _load(_PROCESSOR_AT),
        _instruction(_IF_EQUAL, processor.audit_number, then=1),
        _instruction(_RETURN, KILL),
        _load(_NUMBER_AT),
    ]
    if processor.has_x32:
        steps += [_instruction(_IF_AT_LEAST, X32_BIT, otherwise=1), _instruction(_RETURN, KILL)]
    numbers = processor.syscalls
    # First the calls that are asked for often and depend on an argument: the kernel remembers the fixed answers, and
    # runs the filter for these each time.
    for name, tests in conditions(pid).items():
        if name in numbers:
            block = [step for test in tests for step in _refuse_unless(test)] + [_instruction(_RETURN, ALLOW)]
            steps += [_instruction(_IF_EQUAL, numbers[name], otherwise=len(block)), *block]
    for first, last in _gaps(sorted(numbers.values())):
        steps += [
            _instruction(_IF_AT_LEAST, first, otherwise=2),
            _instruction(_IF_GREATER, last, then=1),
            _instruction(_RETURN, REFUSE | errno.ENOSYS),
        ]
    for name, error in DENIED.items():
        if name in numbers:
            steps += [_instruction(_IF_EQUAL, numbers[name], otherwise=1), _instruction(_RETURN, REFUSE | error)]
    steps.append(_instruction(_RETURN, ALLOW))
    return b"".join(steps)


def _gaps(numbers: list[int]) -> Iterator[tuple[int, int]]:
    """Yield first and last of each run of unused numbers; the last run ends at the largest number."""
    expected = 0
    for number in numbers:
        if number > expected:
            yield expected, number - 1
        expected = number + 1
    yield expected, 0xFFFFFFFF


def _refuse_unless(test: Condition) -> list[bytes]:
    """Return the instructions that answer EPERM unless the test holds, and otherwise run on."""
    steps = [_load(_ARGUMENTS_AT + 8 * test.argument), _instruction(_AND, test.mask)]
    count = len(test.values)
    for index, value in enumerate(test.values):
        to_refusal = count - index - 1
        if test.holds_if_listed:
            steps.append(_instruction(_IF_EQUAL, value, then=to_refusal + 1))
        else:
            steps.append(_instruction(_IF_EQUAL, value, then=to_refusal, otherwise=0 if to_refusal else 1))
    return [*steps, _instruction(_RETURN, REFUSE | errno.EPERM)]


def _load(offset: int) -> bytes:
    return _instruction(_LOAD, offset)


def _instruction(code: int, value: int, *, then: int = 0, otherwise: int = 0) -> bytes:
    return struct.pack("=HBBI", code, then, otherwise, value)

"""Runs a classic BPF program as the kernel does for seccomp, as far as the jail's filters use the language."""

import struct
from collections.abc import Sequence

LOAD, AND, RETURN, IF_EQUAL, IF_GREATER, IF_AT_LEAST = 0x20, 0x54, 0x06, 0x15, 0x25, 0x35


def decode(program: bytes) -> list[tuple[int, int, int, int]]:
    """Return code, jump if true, jump if false and value of each instruction."""
    return list(struct.iter_unpack("=HBBI", program))


def answer(program: bytes, number: int, audit_number: int, arguments: Sequence[int] = ()) -> int:
    """Return what the filter answers to a system call with these arguments."""
    padded = [argument & (1 << 64) - 1 for argument in (*arguments, *[0] * 6)][:6]
    record = struct.pack("=IIQ6Q", number & 0xFFFFFFFF, audit_number, 0, *padded)
    instructions = decode(program)
    accumulator = at = 0
    while True:
        code, then, otherwise, value = instructions[at]
        at += 1
        if code == LOAD:
            assert value % 4 == 0
            (accumulator,) = struct.unpack_from("=I", record, value)
        elif code == AND:
            accumulator &= value
        elif code == RETURN:
            return value
        elif code == IF_EQUAL:
            at += then if accumulator == value else otherwise
        elif code == IF_GREATER:
            at += then if accumulator > value else otherwise
        elif code == IF_AT_LEAST:
            at += then if accumulator >= value else otherwise
        else:
            raise AssertionError(f"an instruction that no filter here uses: {code:#x}")

"""Decompression with a limit on the output: gzip, zlib, bzip2, xz and lzma, as joblib and zip members use them.

A format is recognised by what it requires of the first bytes, not by what one writer happens to put there: any window,
level, filter and size of dictionary that a decompressor takes is taken here.
"""

import bz2
import lzma
import zlib
from collections.abc import Iterator
from typing import Any

from gate.formats.source import CHUNK, UnreadableError

_ZLIB_METHOD, _ZLIB_WINDOWS, _ZLIB_CHECK = 8, 7, 31
_LZMA_PROPERTIES, _LZMA_HEADER = 225, 13
_LZMA_DICTIONARY = 64 << 20
"""The largest dictionary to allocate, in bytes; a stream that reaches further back counts as damaged."""
_LZMA_MEMORY = 128 << 20
_Decompressor = Any  # zlib's, bz2's and lzma's objects share no type


def compression_of(head: bytes) -> str:
    """Return `gzip`, `zlib`, `bzip2`, `xz` or `lzma` by the first bytes, else the empty string."""
    if head.startswith(b"\x1f\x8b\x08"):
        return "gzip"
    if head.startswith(b"BZh") and head[4:10] in (b"1AY&SY", b"\x17rE8P\x90"):
        return "bzip2"
    if head.startswith(b"\xfd7zXZ\x00"):
        return "xz"
    if head.startswith(b"\x5d\x00"):  # as joblib writes it
        return "lzma"
    if head.startswith(b"\x78") and _is_zlib(head):  # as joblib writes it
        return "zlib"
    return ""


def unmarked(head: bytes) -> tuple[str, ...]:
    """Return what else the bytes could be, of the two formats without a magic number.

    zlib's header may begin as a text pickle does, and nearly any byte may begin lzma's old format.
    """
    lzma_too = len(head) > _LZMA_HEADER and head[0] < _LZMA_PROPERTIES
    return (*(("zlib",) if _is_zlib(head) else ()), *(("lzma",) if lzma_too else ()))


def _is_zlib(head: bytes) -> bool:
    if len(head) < 2 or head[0] & 15 != _ZLIB_METHOD or head[0] >> 4 > _ZLIB_WINDOWS:
        return False
    return int.from_bytes(head[:2]) % _ZLIB_CHECK == 0


def inflated(chunks: Iterator[bytes], kind: str, limit: int) -> Iterator[bytes]:
    """Yield what `chunks` decompress to (`deflate` is a zip member's); more than `limit` raises `UnreadableError`."""
    given = 0
    try:
        for out in _outputs(chunks, kind):
            given += len(out)
            if given > limit:
                raise UnreadableError(f"{kind} data that unpack to more than {limit} bytes")
            yield out
    except (zlib.error, OSError, lzma.LZMAError, EOFError, ValueError, MemoryError) as error:
        raise UnreadableError(f"damaged {kind} data: {error}") from None


def _outputs(chunks: Iterator[bytes], kind: str) -> Iterator[bytes]:
    """Yield pieces of at most one mebibyte; a finished stream may be followed by another one."""
    machine = _decompressor(kind)
    for chunk in _with_small_dictionary(chunks) if kind == "lzma" else chunks:
        pending = chunk
        while True:
            if machine.eof and pending:
                if kind == "deflate":
                    raise UnreadableError("bytes behind the end of the compressed data")
                machine = _decompressor("xz" if kind == "lzma" else kind)  # lzma's readers detect the format anew
            if out := machine.decompress(pending, CHUNK):
                yield out
            pending, more = _left(machine)
            if not pending and not more:
                break
    if not machine.eof and (out := machine.decompress(b"", CHUNK)):
        yield out
    if kind == "deflate" and not machine.eof:
        raise UnreadableError("compressed data without their end, which some readers insist on")


def _left(machine: _Decompressor) -> tuple[bytes, bool]:
    """Return what is left of the input, and whether more output is pending without any."""
    if machine.eof:
        return machine.unused_data, False
    if isinstance(machine, bz2.BZ2Decompressor | lzma.LZMADecompressor):
        return b"", not machine.needs_input
    return machine.unconsumed_tail, False


def _decompressor(kind: str) -> _Decompressor:
    if kind == "deflate":
        return zlib.decompressobj(-zlib.MAX_WBITS)
    if kind in ("gzip", "zlib"):
        return zlib.decompressobj(zlib.MAX_WBITS | 32)
    if kind == "bzip2":
        return bz2.BZ2Decompressor()
    return lzma.LZMADecompressor(lzma.FORMAT_ALONE if kind == "lzma" else lzma.FORMAT_AUTO, memlimit=_LZMA_MEMORY)


def _with_small_dictionary(chunks: Iterator[bytes]) -> Iterator[bytes]:
    """Yield lzma data with a header that asks for little memory, and with the first byte that newer readers require."""
    head = b""
    for chunk in chunks:
        head += chunk
        if len(head) > _LZMA_HEADER:
            break
    size = min(int.from_bytes(head[1:5], "little"), _LZMA_DICTIONARY)
    yield head[:1] + size.to_bytes(4, "little") + head[5:_LZMA_HEADER] + b"\0" + head[_LZMA_HEADER + 1 :]
    yield from chunks

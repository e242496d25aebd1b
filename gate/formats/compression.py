"""Decompression with a limit on what comes out: gzip, zlib, bzip2 and xz, as joblib and zip members use them."""

import bz2
import lzma
import zlib
from collections.abc import Iterator
from typing import Any

from gate.formats.source import CHUNK, UnreadableError

_ZLIB_FIRST = 0x78
_ZLIB_LEVELS = (0x01, 0x5E, 0x9C, 0xDA)
_LZMA_MEMORY = 128 << 20


_Decompressor = Any
"""zlib's, bz2's and lzma's objects share no type; the branches below tell them apart."""


def compression_of(head: bytes) -> str:
    """Return `gzip`, `zlib`, `bzip2`, `xz` or `lzma` by the first bytes, else the empty string."""
    if head.startswith(b"\x1f\x8b\x08"):
        return "gzip"
    if head.startswith(b"BZh") and head[4:10] in (b"1AY&SY", b"\x17rE8P\x90"):
        return "bzip2"
    if head.startswith(b"\xfd7zXZ\x00"):
        return "xz"
    if head.startswith(b"\x5d\x00\x00") and head[5:13] == b"\xff" * 8:
        return "lzma"
    if head[:1] == bytes([_ZLIB_FIRST]) and head[1:2] and head[1] in _ZLIB_LEVELS:
        return "zlib"
    return ""


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
    for chunk in chunks:
        pending = chunk
        while True:
            if machine.eof and pending:
                machine = _decompressor(kind)
            if out := machine.decompress(pending, CHUNK):
                yield out
            if machine.eof:
                pending = machine.unused_data
            elif isinstance(machine, bz2.BZ2Decompressor | lzma.LZMADecompressor):
                pending = b""
                if not machine.needs_input:
                    continue
            else:
                pending = machine.unconsumed_tail
            if not pending:
                break
    if not machine.eof and (out := machine.decompress(b"", CHUNK)):
        yield out


def _decompressor(kind: str) -> _Decompressor:
    if kind == "deflate":
        return zlib.decompressobj(-zlib.MAX_WBITS)
    if kind in ("gzip", "zlib"):
        return zlib.decompressobj(zlib.MAX_WBITS | 32)
    if kind == "bzip2":
        return bz2.BZ2Decompressor()
    return lzma.LZMADecompressor(memlimit=_LZMA_MEMORY)

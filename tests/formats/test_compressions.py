"""Pickles under every compression that a loader opens: found, or the file counts as unreadable; never passed over."""

import bz2
import gzip
import io
import lzma
import struct
import zlib
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gate.formats.pickle_search import Blocked, FoundPickle, find_pickles
from gate.formats.source import Bounds, Source
from tests.corpus import pickles

MARKER = Path("/nonexistent/marker")
PAYLOAD = pickles.touch(MARKER)
BOUNDS = Bounds(max_opcodes=200_000, max_inflated_bytes=8 << 20)
MANY = settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def seen(raw, name="data/model.joblib"):
    """Tell what the search makes of the bytes: `found` the import or `other` ones, `unreadable`, or `passed`."""
    found = list(find_pickles(Source.of(raw), name, BOUNDS))
    if any(isinstance(item, FoundPickle) and ("posix", "system") in item.walk.names for item in found):
        return "found"
    if any(isinstance(item, Blocked) or item.walk.fault for item in found):
        return "unreadable"
    return "other" if any(item.walk.names for item in found) else "passed"


@st.composite
def zlibs(draw):
    """A zlib stream of any level, window, memory and strategy."""
    level, window = draw(st.integers(0, 9)), draw(st.integers(9, 15))
    machine = zlib.compressobj(level, zlib.DEFLATED, window, draw(st.integers(1, 9)), draw(st.integers(0, 4)))
    raw = machine.compress(PAYLOAD) + machine.flush()
    assert zlib.decompress(raw) == PAYLOAD
    return raw


@st.composite
def gzips(draw):
    """A gzip file with any of its optional header fields, and perhaps in two members."""
    cut = draw(st.integers(0, len(PAYLOAD)))
    out = []
    for part in (PAYLOAD[:cut], PAYLOAD[cut:]):
        packed = gzip.compress(part, draw(st.integers(0, 9)))
        flags, fields = 0, b""
        if draw(st.booleans()):
            extra = draw(st.binary(max_size=20))
            flags, fields = flags | 4, fields + struct.pack("<H", len(extra)) + extra
        for bit in (8, 16):
            if draw(st.booleans()):
                flags, fields = (
                    flags | bit,
                    fields + draw(st.binary(max_size=20).map(lambda x: x.replace(b"\0", b""))) + b"\0",
                )
        out.append(packed[:3] + bytes([flags]) + packed[4:10] + fields + packed[10:])
    raw = b"".join(out)
    assert gzip.decompress(raw) == PAYLOAD
    return raw


@st.composite
def bzip2s(draw):
    """One bzip2 stream or several of any block size."""
    cut = draw(st.integers(0, len(PAYLOAD)))
    raw = bz2.compress(PAYLOAD[:cut], draw(st.integers(1, 9))) + bz2.compress(PAYLOAD[cut:], draw(st.integers(1, 9)))
    assert bz2.decompress(raw) == PAYLOAD
    return raw


@st.composite
def xzs(draw):
    """An xz file with any check, dictionary and chain of filters."""
    chain = draw(st.lists(st.sampled_from(["delta", "x86", "arm"]), max_size=3))
    kinds = {"x86": lzma.FILTER_X86, "arm": lzma.FILTER_ARM}
    before = [
        {"id": lzma.FILTER_DELTA, "dist": draw(st.integers(1, 256))} if kind == "delta" else {"id": kinds[kind]}
        for kind in chain
    ]
    last = {"id": lzma.FILTER_LZMA2, "preset": draw(st.integers(0, 6)), "dict_size": draw(st.integers(4096, 1 << 24))}
    check = draw(st.sampled_from([lzma.CHECK_NONE, lzma.CHECK_CRC32, lzma.CHECK_CRC64, lzma.CHECK_SHA256]))
    raw = lzma.compress(PAYLOAD, lzma.FORMAT_XZ, check, filters=[*before, last])
    assert lzma.decompress(raw) == PAYLOAD
    return raw


@st.composite
def old_lzmas(draw):
    """The old format of lzma: any properties, any dictionary (made larger by the header, too), size stated or not."""
    lc = draw(st.integers(0, 4))
    lp = draw(st.integers(0, 4 - lc))
    chain = {"id": lzma.FILTER_LZMA1, "lc": lc, "lp": lp, "pb": draw(st.integers(0, 4))}
    raw = bytearray(
        lzma.compress(PAYLOAD, lzma.FORMAT_ALONE, filters=[{**chain, "dict_size": draw(st.integers(4096, 1 << 22))}])
    )
    if draw(st.booleans()):
        struct.pack_into("<L", raw, 1, draw(st.integers(1 << 12, (1 << 32) - 1)))
    if draw(st.booleans()):
        struct.pack_into("<Q", raw, 5, len(PAYLOAD))
    if draw(st.booleans()):
        return bytes(raw) + lzma.compress(b"", draw(st.sampled_from([lzma.FORMAT_ALONE, lzma.FORMAT_XZ])))
    return bytes(raw)


@pytest.mark.parametrize("name", ["data/model.joblib", "data/model.pkl", "model.bin", "notes"])
@pytest.mark.parametrize("streams", [zlibs, gzips, bzip2s, xzs, old_lzmas], ids=lambda strategy: strategy.__name__)
@MANY
@given(data=st.data())
def test_a_pickle_is_found_whatever_the_compressor_was_told(streams, name, data):
    """Any level, window, filter, dictionary, check and optional field: the import is named, under any file name."""
    assert seen(data.draw(streams()), name) == "found"


@st.composite
def _damaged(draw):
    """A compressed pickle with a few of its bytes changed, or cut off."""
    raw = bytearray(draw(st.one_of(zlibs(), gzips(), bzip2s(), xzs(), old_lzmas())))
    for _ in range(draw(st.integers(0, 3))):
        raw[draw(st.integers(0, len(raw) - 1))] = draw(st.integers(0, 255))
    return bytes(raw[: draw(st.integers(2, len(raw)))])


@MANY
@given(raw=_damaged())
def test_a_file_that_is_named_like_a_pickle_never_passes_unread(raw):
    """Whatever the first bytes are: in a file of that name they are a pickle, a container, or unreadable."""
    assert seen(raw) != "passed"


@MANY
@given(raw=_damaged())
def test_what_joblib_would_open_is_seen(raw):
    """The decompressor that joblib itself would choose, and the payload behind it: never passed over in any file."""
    if _opened_by_joblib(raw) == PAYLOAD:
        assert seen(raw, "notes") != "passed"


_LARGEST = 1 << 26
"""Of a dictionary that the tests let joblib allocate."""


def _opened_by_joblib(raw):
    """Return what joblib's decompressor yields, as its loader chooses it by the first bytes; None where it fails."""
    from joblib.compressor import _COMPRESSORS
    from joblib.numpy_pickle_utils import _detect_compressor

    if len(raw) > 5 and raw[0] < 225 and int.from_bytes(raw[1:5], "little") > _LARGEST:
        # joblib would allocate what the old format's header states, which no payload here needs.
        raw = raw[:1] + struct.pack("<L", _LARGEST) + raw[5:]
    kind = _detect_compressor(io.BufferedReader(io.BytesIO(raw)))
    wrapper = _COMPRESSORS.get(kind)
    if wrapper is None:
        return raw
    try:
        if kind == "zlib":
            # joblib's own reader doubles what follows a finished stream until there is no memory left.
            return zlib.decompressobj().decompress(raw, len(PAYLOAD))
        return wrapper.decompressor_file(io.BytesIO(raw)).read(len(PAYLOAD))
    except (OSError, EOFError, ValueError, zlib.error, lzma.LZMAError):
        return None


def test_an_lz4_frame_is_unreadable():
    """Where the package is there, joblib opens it; the gate does not, and says so."""
    frame = b"\x04\x22\x4d\x18\x60\x40\x82" + struct.pack("<L", len(PAYLOAD) | 1 << 31) + PAYLOAD + bytes(4)
    assert seen(frame, "notes") == "unreadable"


def test_a_file_of_old_joblib_is_unreadable():
    """Before 0.10, joblib had a format of its own around zlib, which it still opens."""
    raw = b"ZF" + hex(len(PAYLOAD)).ljust(19).encode() + zlib.compress(PAYLOAD)
    assert seen(raw, "notes") == "unreadable"
    assert seen(raw.replace(b"0x", b"  ", 1)) == "unreadable"


def test_a_dictionary_of_four_gigabytes_is_not_allocated():
    """The header's word costs no memory: the stream behind it is read as far as a small dictionary reaches."""
    raw = bytearray(lzma.compress(PAYLOAD, lzma.FORMAT_ALONE))
    raw[1:5] = b"\xff\xff\xff\xff"
    assert seen(bytes(raw)) == "found"

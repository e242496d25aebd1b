"""Pictures of the evidence as PNG data URIs, encoded here from bounded uint8 samples.

The worker sends samples, never an image file: the reader of the report opens nothing that a candidate encoded.
"""

import base64
import struct
import zlib

from gate.records.evidence import Picture

SHOWN_SIDE = 160
"""Side up to which small pictures are enlarged, by whole factors for sharp pixels."""
_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_COLOUR_TYPE = {1: 0, 3: 2}
"""Number of channels to PNG's colour type: grey or RGB."""


def data_uri(picture: Picture) -> str:
    """Return the picture, enlarged where it is small, as a `data:image/png` URI."""
    factor = max(1, SHOWN_SIDE // max(picture.height, picture.width))
    rows = enlarge(rows_of(picture), picture.channels, factor)
    return "data:image/png;base64," + base64.b64encode(encode_png(rows, picture.channels)).decode()


def rows_of(picture: Picture) -> list[bytes]:
    """Return the picture's rows, each width × channels bytes."""
    raw, stride = picture.raw(), picture.width * picture.channels
    return [raw[start : start + stride] for start in range(0, len(raw), stride)]


def enlarge(rows: list[bytes], channels: int, factor: int) -> list[bytes]:
    """Repeat every pixel `factor` times in both directions (nearest neighbour)."""
    enlarged: list[bytes] = []
    for row in rows:
        pixels = (row[start : start + channels] for start in range(0, len(row), channels))
        enlarged.extend([b"".join(pixel * factor for pixel in pixels)] * factor)
    return enlarged


def encode_png(rows: list[bytes], channels: int) -> bytes:
    """Return an 8-bit PNG of rows of equal length, with 1 (grey) or 3 (RGB) samples a pixel."""
    width = len(rows[0]) // channels
    header = struct.pack(">IIBBBBB", width, len(rows), 8, _COLOUR_TYPE[channels], 0, 0, 0)
    body = zlib.compress(b"".join(b"\x00" + row for row in rows), 9)  # filter type 0, row by row
    return _SIGNATURE + _chunk(b"IHDR", header) + _chunk(b"IDAT", body) + _chunk(b"IEND", b"")


def _chunk(kind: bytes, content: bytes) -> bytes:
    checksum = zlib.crc32(kind + content)
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", checksum)

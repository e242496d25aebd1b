"""Clean texts from disk: lines of JSON, or a CSV file, with `text` and, best, `label`; errors name the line.

The bytes parsed are the bytes hashed; other bytes than those pulled are refused. The candidate-controlled training set
is read here too, so that every size is bounded by reading.
"""

from pathlib import Path
from typing import Final

from gate.formats.sealing import as_pulled
from gate.spaces.text.lines import collected, of_csv, of_json
from gate.spaces.text.stored import MAX_BYTES, RawTexts, at_line, refused

_MARKS: Final = {
    b"\xff\xfe": "as UTF-16",
    b"\xfe\xff": "as UTF-16",
    b"PK\x03\x04": "as a zip, such as .npz or .xlsx",
    b"\x1f\x8b": "packed with gzip",
    b"PAR1": "as Parquet",
    b"\x93NUMPY": "as a NumPy array",
    b"\x80": "as a pickle, which could run code and is never opened",
}
"""First bytes of what is no text in UTF-8."""


def read_samples(path: Path, source: str, sha256: str, what: str = "the samples") -> RawTexts:
    """Read the texts of one file, whose digest is that of the pull."""
    if path.is_dir() and not path.is_symlink():
        raise refused(source, "are a folder; expected one file")
    with as_pulled(path, sha256, what) as stream:
        raw = stream.read(MAX_BYTES + 1)
    if len(raw) > MAX_BYTES:
        raise refused(source, f"are larger than {MAX_BYTES >> 20} MiB; some hundred texts of each class are enough")
    content = _decoded(raw, source)
    of = of_json if content.lstrip()[:1] in {"{", "["} else of_csv
    return RawTexts(collected(of(content, source), source), source)


def _decoded(raw: bytes, source: str) -> str:
    """Return the text of a file in UTF-8, with or without a byte-order mark; the first wrong byte is told by line."""
    said = next((said for mark, said in _MARKS.items() if raw.startswith(mark)), None)
    if said is not None:
        raise refused(source, f"are saved {said}; expected text in UTF-8")
    try:
        content = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        how = f"byte 0x{raw[error.start]:02x} is no UTF-8: save the file as UTF-8; it may be Latin-1 or Windows-1252"
        raise at_line(source, line, how) from None
    if "\0" in content:
        line = content.count("\n", 0, content.index("\0")) + 1
        raise at_line(source, line, "it holds a zero byte, so that this is no text: save it as UTF-8")
    return content

"""Zips with one thing wrong, and torch archives around a pickle."""

import io
import struct
import zipfile


def zipped(members: dict[str, bytes], method: int = zipfile.ZIP_STORED) -> bytes:
    """Return a well-formed zip of these members."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as archive:
        for name, content in members.items():
            archive.writestr(zipfile.ZipInfo(name), content, compress_type=method)
    return out.getvalue()


def torch_zip(pickle: bytes) -> bytes:
    """Return a torch archive whose object is this pickle."""
    return zipped({"model/data.pkl": pickle, "model/byteorder": b"little", "model/version": b"3\n"})


def renamed_locally(raw: bytes, old: bytes, new: bytes) -> bytes:
    """Change a member's name in its local header only."""
    assert len(old) == len(new)
    at = raw.index(b"PK\x03\x04")
    place = raw.index(old, at)
    return raw[:place] + new + raw[place + len(old) :]


def marked_encrypted(raw: bytes) -> bytes:
    """Set the encryption bit of every member, in both headers, without encrypting anything."""
    out = bytearray(raw)
    for magic, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        at = raw.find(magic)
        while at >= 0:
            out[at + offset] |= 1
            at = raw.find(magic, at + 4)
    return bytes(out)


def wrong_checksums(raw: bytes) -> bytes:
    """Invert the checksum of every member, in both headers."""
    out = bytearray(raw)
    for magic, offset in ((b"PK\x03\x04", 14), (b"PK\x01\x02", 16)):
        at = raw.find(magic)
        while at >= 0:
            for index in range(4):
                out[at + offset + index] ^= 0xFF
            at = raw.find(magic, at + 4)
    return bytes(out)


def unlisted(raw: bytes, name: bytes, content: bytes) -> bytes:
    """Insert a member with a local header that the directory does not list."""
    local = b"PK\x03\x04" + struct.pack("<HHHHHLLLHH", 20, 0, 0, 0, 0, 0, len(content), len(content), len(name), 0)
    inserted = local + name + content
    end = raw.rindex(b"PK\x05\x06")
    (directory,) = struct.unpack_from("<L", raw, end + 16)
    tail = bytearray(raw[directory:])
    struct.pack_into("<L", tail, end - directory + 16, directory + len(inserted))
    return raw[:directory] + inserted + bytes(tail)


def without_directory(raw: bytes) -> bytes:
    """Cut the directory off."""
    return raw[: raw.index(b"PK\x01\x02")]


def rewritten(raw: bytes, changes: dict[str, bytes | None]) -> bytes:
    """Return a stored zip with members replaced, added or (None) removed; a key is the end of a member's name."""
    with zipfile.ZipFile(io.BytesIO(raw)) as archive:
        members = {info.filename: archive.read(info) for info in archive.infolist()}
    root = next(iter(members)).split("/")[0]
    for suffix, content in changes.items():
        name = next((name for name in members if name.endswith(suffix)), f"{root}/{suffix}")
        if content is None:
            del members[name]
        else:
            members[name] = content
    return zipped(members)

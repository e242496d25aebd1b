"""The sdist and the wheel, byte for byte the same from the same commit, wherever and whenever they are built.

setuptools is that of the environment, which the lock pins (requirements/runtime.lock), and asks no index. The wheel is
built from the sdist, so that both say the same. Archives are written anew in sorted order with one time, one owner and
git's modes. What stays outside: another zlib may compress to other bytes of the same contents.
"""

import gzip
import hashlib
import io
import os
import subprocess
import sys
import tarfile
import tempfile
import time
import zipfile
from pathlib import Path

from release.sources import copy

_EARLIEST = 315532800
"""1980-01-01, before which a zip can hold no time."""
_HOOK = "import sys; from setuptools import build_meta; print(getattr(build_meta, sys.argv[1])(sys.argv[2]))"


def build(root: Path, to: Path, epoch: int) -> tuple[Path, Path]:
    """Build sdist and wheel of a checkout into a folder, and return their paths."""
    if epoch < _EARLIEST:
        raise SystemExit(f"the time of a release is {epoch}; a wheel holds none before {_EARLIEST}")
    with tempfile.TemporaryDirectory(prefix="gate-release-") as folder:
        work = Path(folder)
        source, made, unpacked = work / "source", work / "made", work / "unpacked"
        copy(root, source)
        made.mkdir()
        first = made / _hook("build_sdist", source, made, epoch)
        sdist = to / first.name
        sdist.write_bytes(_tar(first, epoch))
        with tarfile.open(sdist) as archive:
            archive.extractall(unpacked, filter="data")
        (inner,) = unpacked.iterdir()
        second = made / _hook("build_wheel", inner, made, epoch)
        wheel = to / second.name
        wheel.write_bytes(_zip(second, epoch))
    return sdist, wheel


def _hook(name: str, source: Path, to: Path, epoch: int) -> str:
    """Run a hook of the build backend in a process of its own, and return the name of what it made."""
    environment = {
        "PATH": os.environ.get("PATH", os.defpath),
        "HOME": str(to),  # no settings of the user's
        "SOURCE_DATE_EPOCH": str(epoch),
        "PYTHONHASHSEED": "0",
        "LC_ALL": "C.UTF-8",
        "TZ": "UTC",
    }
    ended = subprocess.run(
        [sys.executable, "-c", _HOOK, name, str(to)],
        cwd=source,
        env=environment,
        umask=0o022,
        capture_output=True,
        text=True,
        check=False,
    )
    if ended.returncode:
        raise SystemExit(f"{name} failed:\n{ended.stdout[-2000:]}{ended.stderr[-4000:]}")
    return ended.stdout.splitlines()[-1]


def _tar(path: Path, epoch: int) -> bytes:
    """Return a gzipped tar with the same files, sorted, of nobody, at one time."""
    out = io.BytesIO()
    with (
        tarfile.open(path) as read,
        gzip.GzipFile(fileobj=out, mode="wb", compresslevel=9, mtime=epoch, filename="") as packed,
        tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as written,
    ):
        for member in sorted(read.getmembers(), key=lambda one: one.name):
            if not (member.isfile() or member.isdir()):
                raise SystemExit(f"{member.name} is no plain file; a release holds none but these")
            kept = tarfile.TarInfo(member.name)
            kept.type, kept.size, kept.mtime = member.type, member.size, epoch
            kept.mode = 0o755 if member.isdir() or member.mode & 0o100 else 0o644
            written.addfile(kept, read.extractfile(member) if member.isfile() else None)
    return out.getvalue()


def _zip(path: Path, epoch: int) -> bytes:
    """Return a zip with the same files in the same order, which is the wheel's own, at one time."""
    out = io.BytesIO()
    at = time.gmtime(epoch - epoch % 2)[:6]  # a zip counts in twos
    with zipfile.ZipFile(path) as read, zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as written:
        for member in read.infolist():
            kept = zipfile.ZipInfo(member.filename, at)
            kept.create_system, kept.compress_type = 3, zipfile.ZIP_DEFLATED
            kept.external_attr = (0o100755 if member.external_attr >> 16 & 0o100 else 0o100644) << 16
            written.writestr(kept, read.read(member))
    return out.getvalue()


def sums(files: list[Path]) -> str:
    """Return the files' hashes as `sha256sum --check` reads them."""
    return "".join(f"{hashlib.sha256(one.read_bytes()).hexdigest()}  {one.name}\n" for one in sorted(files))

"""Python's zipfile and torch's reader, in a process of their own: torch's may crash on hostile bytes.

`python -m tests.formats.zip_readers` takes archives on stdin, each behind its length; each answer is a line of JSON.
"""

import contextlib
import hashlib
import json
import resource
import struct
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path
from typing import BinaryIO

ROOT = Path(__file__).resolve().parents[2]
MEMORY = 8 << 30
Listing = list[list[str]]


def read_by_zipfile(path: Path) -> Listing:
    """Return name and digest of every member as Python's zipfile reads it."""
    with zipfile.ZipFile(path) as archive:
        infos = archive.infolist()
        return [[info.filename, digest(archive.read(info.filename))] for info in infos]


def read_by_torch(path: Path) -> Listing:
    """Return name below the root and digest of every member as torch's reader reads it, by copy and by place."""
    import torch

    reader = torch._C.PyTorchFileReader(str(path))
    found = []
    for name in reader.get_all_records():
        content = reader.get_record(name)
        with path.open("rb") as stream:
            stream.seek(reader.get_record_offset(name))
            stored = stream.read(len(content))
        # Members read by their place (mmap) are stored ones; of compressed ones the place alone is no content.
        found.append([name, digest(content), digest(stored)])
    return found


def digest(content: bytes) -> str:
    """Return a member's digest."""
    return hashlib.sha256(content).hexdigest()[:20]


def serve() -> None:
    """Answer each archive with what the two readers make of it."""
    import torch  # noqa: F401

    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "case.zip"
        while head := sys.stdin.buffer.read(8):
            path.write_bytes(sys.stdin.buffer.read(*struct.unpack("<Q", head)))
            answer = {}
            for name, read in (("zipfile", read_by_zipfile), ("torch", read_by_torch)):
                try:
                    answer[name] = read(path)
                except Exception as error:  # noqa: BLE001  # whatever they raise means: refused
                    answer[name] = f"{type(error).__name__}: {str(error)[:80]}"
            sys.stdout.write(json.dumps(answer) + "\n")
            sys.stdout.flush()


class Readers:
    """The process of the two readers; one that crashed is started anew."""

    def __init__(self) -> None:
        self.crashes = 0
        self._process: subprocess.Popen[bytes] | None = None

    def read(self, raw: bytes) -> dict[str, Listing | str]:
        """Return what each reader makes of an archive: members and digests, or why it refuses."""
        process = self._process or self._start()
        out, back = _pipes(process)
        try:
            out.write(struct.pack("<Q", len(raw)) + raw)
            out.flush()
            line = back.readline()
        except BrokenPipeError:
            line = b""
        if not line:
            self.crashes += 1
            self.close()
            return {"zipfile": "crashed", "torch": "crashed"}
        answer: dict[str, Listing | str] = json.loads(line)
        return answer

    def close(self) -> None:
        """End the process."""
        if self._process is not None:
            out, back = _pipes(self._process)
            with contextlib.suppress(BrokenPipeError):
                out.close()
            self._process.wait()
            back.close()
            self._process = None

    def _start(self) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-W", "ignore", "-m", "tests.formats.zip_readers"]
        self._process = subprocess.Popen(
            command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        )
        return self._process


def _pipes(process: subprocess.Popen[bytes]) -> tuple[BinaryIO, BinaryIO]:
    assert process.stdin is not None
    assert process.stdout is not None
    return process.stdin, process.stdout  # type: ignore[return-value]


if __name__ == "__main__":
    serve()

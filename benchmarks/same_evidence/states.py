"""A state of the program: a tree of its files, and an interpreter that imports `gate` from that tree alone.

A worker's interpreter takes nothing from PYTHONPATH and looks into the installed packages first, where an editable
install is the present tree whatever tree starts it. So each state gets a virtual environment of its own, which sees the
present one's packages and, before them, the state's tree.
"""

import io
import os
import re
import subprocess
import sys
import tarfile
import venv
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

_GOOD_ENDS = frozenset({0, 1})
"""Approved and flagged; anything else is no result."""
_SHOWN = 2000


class StateError(Exception):
    """A state cannot be made, or its command ended without a result."""


@dataclass(frozen=True)
class State:
    """A tree, and the interpreter that runs it."""

    name: str
    tree: Path
    python: Path

    def gate(self, folder: Path, *arguments: str) -> str:
        """Run `gate` in a folder with nothing of the caller's environment; return what it printed."""
        (folder / "tmp").mkdir(parents=True, exist_ok=True)
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(folder),
            "TMPDIR": str(folder / "tmp"),
            "LANG": "C.UTF-8",
            "OMP_NUM_THREADS": "1",
            "PYTHONDONTWRITEBYTECODE": "1",
        }
        command = [str(self.python), "-m", "gate", *arguments]
        ended = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
        if ended.returncode not in _GOOD_ENDS:
            said = (ended.stderr or ended.stdout)[-_SHOWN:]
            raise StateError(f"{self.name}: `gate {' '.join(arguments)}` ended with {ended.returncode}:\n{said}")
        return ended.stdout

    def detectors(self, folder: Path) -> tuple[str, ...]:
        """Return the ids of all detectors that it knows, as `gate explain` lists them."""
        names = detectors_in(self.gate(folder, "explain"))
        if not names:
            raise StateError(f"{self.name}: `gate explain` lists no detectors in the form that is known here")
        return names


def detectors_in(listing: str) -> tuple[str, ...]:
    """Return the ids in the first part of `gate explain`'s list: two blanks, an id, its sentence."""
    part = listing.partition("Detectors\n")[2].partition("\n\n")[0]
    return tuple(re.findall(r"^  ([a-z0-9-]+) ", part, re.MULTILINE))


def make_state(name: str, tree: Path, folder: Path) -> State:
    """Make the interpreter of a tree in a folder; an error where it would import `gate` from elsewhere."""
    venv.create(folder, symlinks=True, with_pip=False)
    python = folder / "bin" / "python"
    packages = next((folder / "lib").glob("python*/site-packages"))
    (packages / "state.pth").write_text("\n".join(map(str, (tree, *_installed(sys.path)))) + "\n", encoding="utf-8")
    asked = [str(python), "-I", "-c", "import gate; print(gate.__file__)"]
    found = subprocess.run(asked, cwd=folder, capture_output=True, text=True, check=False)
    if not found.stdout.startswith(f"{tree}{os.sep}"):
        raise StateError(f"{name}: its interpreter imports gate from {found.stdout or found.stderr}, not from {tree}")
    return State(name, tree, python)


def _installed(entries: Iterable[str]) -> list[str]:
    """Return the folders of installed packages; their own .pth files, and with them editable installs, do not count."""
    return [entry for entry in entries if entry.endswith(("site-packages", "dist-packages"))]


def commit_of(root: Path, reference: str) -> str:
    """Return the commit that a reference names."""
    return _git(root, "rev-parse", "--verify", "--end-of-options", f"{reference}^{{commit}}").decode().strip()


def extract(root: Path, commit: str, to: Path) -> Path:
    """Write the files of a commit into a folder, and return it; the repository keeps no trace of that."""
    with tarfile.open(fileobj=io.BytesIO(_git(root, "archive", commit))) as files:
        files.extractall(to, filter="data")
    return to


def _git(root: Path, *arguments: str) -> bytes:
    ended = subprocess.run(["git", "-C", str(root), *arguments], capture_output=True, check=False)
    if ended.returncode:
        raise StateError(f"git {' '.join(arguments)}: {ended.stderr.decode(errors='replace').strip()}")
    return ended.stdout

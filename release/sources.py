"""What a release is made from: the files that git knows, with git's modes, and nothing else that lies there."""

import os
import subprocess
from pathlib import Path

PARTS = ("gate", "pyproject.toml", "README.md", "LICENSE")
_EXECUTABLE = "100755"
_PLAIN = ("100644", _EXECUTABLE)


def git(root: Path, *arguments: str) -> str:
    """Return what git says of a checkout; a failure is a `SystemExit` with git's own words."""
    ended = subprocess.run(["git", *arguments], cwd=root, capture_output=True, text=True, check=False)
    if ended.returncode:
        raise SystemExit(f"git {arguments[0]} failed in {root}: {ended.stderr.strip()}")
    return ended.stdout


def changed(root: Path) -> str:
    """Return git's account of what differs from the commit among the release's files; empty for none."""
    return git(root, "status", "--porcelain", "--untracked-files=no", "--", *PARTS).strip()


def epoch(root: Path) -> int:
    """Return the seconds since 1970 that every file of the release carries: SOURCE_DATE_EPOCH, or else the commit's."""
    given = os.environ.get("SOURCE_DATE_EPOCH", "")
    if given and not (given.isascii() and given.isdigit()):
        raise SystemExit(f"SOURCE_DATE_EPOCH is {given[:40]!r}; expected whole seconds since 1970")
    return int(given or git(root, "log", "-1", "--format=%ct").strip())


def copy(root: Path, to: Path) -> None:
    """Copy the release's files into a new folder, with their modes; a link or a submodule is refused."""
    for line in filter(None, git(root, "ls-files", "-s", "-z", "--", *PARTS).split("\0")):
        facts, _, name = line.partition("\t")
        mode = facts.split()[0]
        if mode not in _PLAIN:
            raise SystemExit(f"{name} has git's mode {mode}; a release holds plain files alone")
        target = to / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes((root / name).read_bytes())
        target.chmod(0o755 if mode == _EXECUTABLE else 0o644)

"""Real repositories with a base and a pull request's head, as forges check them out."""

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

IDENTITY = ("-c", "user.name=t", "-c", "user.email=t@example.org", "-c", "protocol.file.allow=always")

DATES = dict.fromkeys(("GIT_AUTHOR_DATE", "GIT_COMMITTER_DATE"), "2026-01-01T00:00:00Z")
"""One day for all commits, so that the objects of a test are the same in every run."""


def git(folder, *arguments):
    """Run git in a folder, with nobody's settings, and return what it printed."""
    settings = {"PATH": os.environ["PATH"], "HOME": str(folder), "GIT_CONFIG_NOSYSTEM": "1", **DATES}
    command = ["git", *IDENTITY, *map(str, arguments)]
    done = subprocess.run(command, cwd=folder, env=settings, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout.decode(errors="surrogateescape").strip()


def write(folder, files):
    """Write, link or (None) remove files below a folder."""
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.is_symlink() or path.is_file():
            path.unlink()
        if isinstance(content, Path):
            path.symlink_to(content)
        elif content is not None:
            path.write_bytes(content if isinstance(content, bytes) else content.encode())


@dataclass(frozen=True)
class Proposal:
    """A checkout of a pull request's head, and the commits."""

    folder: Path
    base: str
    head: str


def commit(folder, files, message, *, new=False):
    """Commit files, to a `new` repository where none is there yet, and return the commit."""
    if new:
        git(folder, "init", "-q", "-b", "main")
    write(folder, files)
    git(folder, "add", "-A", "-f")
    git(folder, "commit", "-q", "--allow-empty", "-m", message)
    return git(folder, "rev-parse", "HEAD")


def proposal(folder, base, head):
    """Make a repository of two commits, the second of which is checked out."""
    folder.mkdir(parents=True)
    return Proposal(folder, commit(folder, base, "base", new=True), commit(folder, head, "head"))

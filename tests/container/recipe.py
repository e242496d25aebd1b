"""A repository that holds the scripts of the image, beside a program of one line."""

import os
import shutil
import subprocess
from pathlib import Path

from tests.container.engine import ROOT


def committed(to: Path, when: int, dockerfile: str = "") -> Path:
    """Commit docker/ and a stand-in for all else that an image is built from, at a time; return the repository."""
    shutil.copytree(ROOT / "docker", to / "docker")
    if dockerfile:
        (to / "docker" / "Dockerfile").write_text(dockerfile)
    (to / "gate").mkdir()
    (to / "requirements").mkdir()
    names = ("gate/main.py", "requirements/runtime.lock", "pyproject.toml", "README.md", "LICENSE", ".dockerignore")
    for name in names:
        (to / name).write_text("" if name[0] == "." else "committed")
    environment = os.environ | {"GIT_COMMITTER_DATE": f"{when} +0000", "GIT_AUTHOR_DATE": f"{when} +0000"}
    git = ["git", "-c", "user.name=t", "-c", "user.email=t@example.org"]
    for step in (["init", "-q"], ["add", "-A"], ["commit", "-qm", "all"]):
        subprocess.run([*git, *step], cwd=to, env=environment, check=True)
    return to

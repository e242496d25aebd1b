"""Commands in a fresh environment, which gets nothing of this one's but pip's settings."""

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
INSTALL_SECONDS = 1200
NO_SETTINGS = ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV", "GATE_", "MLFLOW_")
"""How variables begin that could lend the fresh environment something of this one's."""


def run(*command, cwd, seconds=INSTALL_SECONDS, code=0):
    """Run a command with the caller's settings of pip and none of the gate's; return its standard output."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(NO_SETTINGS)}
    ended = subprocess.run(
        [str(word) for word in command],
        cwd=cwd,
        env={**environment, "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        check=False,
        timeout=seconds,
    )
    assert ended.returncode == code, f"{command}: {ended.returncode}\n{ended.stdout[-3000:]}\n{ended.stderr[-3000:]}"
    return ended.stdout


def copied(to):
    """Copy what a build reads, so that setuptools' leftovers lie in no checkout, and return the copy."""
    names = run("git", "ls-files", "--cached", "--others", "--exclude-standard", "--", "gate", cwd=ROOT).splitlines()
    for name in [*names, "pyproject.toml", "README.md", "LICENSE"]:
        if (ROOT / name).is_file():
            (to / name).parent.mkdir(parents=True, exist_ok=True)
            (to / name).write_bytes((ROOT / name).read_bytes())
    return to


@dataclass(frozen=True)
class Installed:
    """An environment of a new user's."""

    folder: Path
    seconds: float
    """What it took to make it."""

    def program(self, name):
        """Return a program of the environment."""
        return self.folder / "bin" / name

    @property
    def path(self):
        """Return the environment's PATH: its own programs first."""
        return f"{self.folder / 'bin'}{os.pathsep}{os.environ['PATH']}"

"""The Docker engine that is there, through its own client: run the image, ask about it, clear away what was started."""

import json
import os
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).parents[2]
BUILD = ROOT / "docker" / "build.sh"
BUILD_SECONDS = 3600
RUN_SECONDS = 1800
PROBE_SECONDS = 60
HARDENED = (
    "--read-only",
    "--tmpfs=/tmp",
    "--cap-drop=ALL",
    "--security-opt=no-new-privileges",
    "--pids-limit=1024",
)
"""The flags of docs/how-to/container.md, under which everything must work."""


class EngineError(Exception):
    """What the engine could not do, with its last words."""


@dataclass(frozen=True)
class Ended:
    """What a container left behind."""

    code: int
    stdout: str
    stderr: str

    @property
    def said(self):
        """All of its words, the last of them where there are many."""
        return f"{self.stdout}{self.stderr}"[-4000:]


@dataclass
class Engine:
    """The engine that `docker` reaches; every container that it starts has a name of this process."""

    image: str
    _started: list[str] = field(default_factory=list)

    def run(self, *arguments, network="none", user="", entrypoint="", mounts: Sequence[str] = (), variables=None):
        """Run the image hardened to its end and return what it left; the container is removed."""
        name = f"gate-trial-{os.getpid()}-{len(self._started)}"
        flags = ["--rm", "--name", name, "--network", network, *HARDENED]
        flags += ["--user", user] if user else []
        flags += ["--entrypoint", entrypoint] if entrypoint else []
        for mount in mounts:
            flags += ["--volume", mount]
        # The names alone: any user of a machine can list its processes.
        for key in variables or {}:
            flags += ["--env", key]
        self._started.append(name)
        done = subprocess.run(
            ["docker", "run", *flags, self.image, *arguments],
            env=os.environ | dict(variables or {}),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=RUN_SECONDS,
            check=False,
        )
        return Ended(done.returncode, done.stdout, done.stderr)

    def python(self, code, *arguments):
        """Run Python code in the image."""
        return self.run("-c", code, *arguments, entrypoint="/opt/gate/bin/python3")

    def inspect(self, image=""):
        """Return what the engine says of an image; of its own unless another is named."""
        (found,) = json.loads(ask("image", "inspect", image or self.image))
        return found

    def clear(self):
        """Remove whatever container of this process is left after an error."""
        for name in self._started:
            if ask("ps", "--all", "--quiet", "--filter", f"name=^{name}$").strip():
                ask("rm", "--force", name)


def absence():
    """Return why no engine can be used, or nothing where one answers."""
    if shutil.which("docker") is None:
        return "there is no docker client here"
    try:
        ask("info", "--format", "{{.ServerVersion}}")
    except (EngineError, subprocess.TimeoutExpired) as error:
        return f"no Docker engine answers ({error})"
    return ""


def ask(*arguments):
    """Return what the client says to a short question."""
    done = subprocess.run(["docker", *arguments], capture_output=True, text=True, check=False, timeout=PROBE_SECONDS)
    if done.returncode != 0:
        last = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
        raise EngineError(f"docker {arguments[0]}: {last[:300]}")
    return done.stdout

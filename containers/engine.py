"""The Docker engine that is there, through its own client: build the image, run it, clear away what was started.

Standard library only: `make container` needs no virtual environment. Nothing here knows how an engine was installed.
"""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
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
"""The flags of docs/container.md, under which everything must work."""

_PASSED_ON = ("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy")


class EngineError(Exception):
    """What the engine could not do, with its last words."""


@dataclass(frozen=True)
class Ended:
    """What a container left behind."""

    code: int
    stdout: str
    stderr: str


@dataclass
class Engine:
    """The engine that `docker` reaches; every container that it starts has a name of this process."""

    image: str
    _started: list[str] = field(default_factory=list)

    def build(self, torch: str, revision: str) -> None:
        """Build the image from the checkout with the classic or any newer builder; its output goes to stderr."""
        given = {"TORCH": torch, "REVISION": revision, **build_arguments()}
        # The names alone: the client takes their values from its environment, so that no address (an index's may hold
        # a password) stands in the list of processes.
        flags = [part for name in given for part in ("--build-arg", name)]
        command = ["docker", "build", "--network", "host", *flags, "--tag", self.image, str(ROOT)]
        done = subprocess.run(
            command, env=os.environ | given, stdout=sys.stderr.fileno(), timeout=BUILD_SECONDS, check=False
        )
        if done.returncode != 0:
            raise EngineError(f"the image could not be built: docker build ended with {done.returncode}")

    def run(
        self,
        *arguments: str,
        network: str = "none",
        user: str = "",
        entrypoint: str = "",
        mounts: Sequence[str] = (),
        variables: Mapping[str, str] | None = None,
    ) -> Ended:
        """Run the image hardened to its end and return what it left; the container is removed."""
        name = f"gate-trial-{os.getpid()}-{len(self._started)}"
        flags = ["--rm", "--name", name, "--network", network, *HARDENED]
        flags += ["--user", user] if user else []
        flags += ["--entrypoint", entrypoint] if entrypoint else []
        for mount in mounts:
            flags += ["--volume", mount]
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

    def inspect(self, image: str = "") -> dict[str, Any]:
        """Return what the engine says of an image; of its own unless another is named."""
        (found,) = json.loads(_ask("image", "inspect", image or self.image))
        return dict(found)

    def clear(self) -> None:
        """Remove whatever container of this process is left after an error."""
        left = [name for name in self._started if _ask("ps", "--all", "--quiet", "--filter", f"name=^{name}$").strip()]
        for name in left:
            subprocess.run(["docker", "rm", "--force", name], capture_output=True, check=False, timeout=PROBE_SECONDS)


def absence() -> str:
    """Return why no engine can be used, or nothing where one answers."""
    if shutil.which("docker") is None:
        return "there is no docker client here"
    try:
        _ask("info", "--format", "{{.ServerVersion}}")
    except (EngineError, subprocess.TimeoutExpired) as error:
        return f"no Docker engine answers ({error})"
    return ""


def build_arguments() -> dict[str, str]:
    """Return the build arguments that this machine calls for: proxies, and the index that its pip is set to."""
    found = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
    settings = _pip_settings()
    for name in ("index-url", "extra-index-url", "trusted-host"):
        # A folder on this disk means nothing inside the build.
        reachable = [word for word in settings.get(name, "").split() if not word.startswith(("/", "file:"))]
        if reachable:
            found[f"PIP_{name.replace('-', '_').upper()}"] = " ".join(reachable)
    if index := os.environ.get("TORCH_INDEX"):
        found["TORCH_INDEX"] = index
    return found


def _pip_settings() -> dict[str, str]:
    """Return pip's own settings by name, those of the environment over those of its files."""
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "config", "list"]
    listed = subprocess.run(command, capture_output=True, text=True, check=False, timeout=PROBE_SECONDS)
    found: dict[str, str] = {}
    for line in listed.stdout.splitlines():
        key, _, value = line.partition("=")
        source, _, name = key.rpartition(".")
        if source in ("global", "install", ":env:"):
            # pip prints a value of several lines as the two signs '\n'.
            found[name] = value.strip().strip("'\"").replace("\\n", " ")
    return found


def _ask(*arguments: str) -> str:
    done = subprocess.run(["docker", *arguments], capture_output=True, text=True, check=False, timeout=PROBE_SECONDS)
    if done.returncode != 0:
        last = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
        raise EngineError(f"docker {arguments[0]}: {last[:300]}")
    return done.stdout

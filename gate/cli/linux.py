"""The refusal on platforms other than Linux, whose kernel jails the workers, with the same command for the container.

Runs before other modules are imported, because half of them cannot be imported on those platforms.
"""

import re
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from urllib.parse import urlsplit

IMAGE = "gate:cpu"
_JAILED = frozenset({"check", "pull", "scan", "remediate", "rescan", "serve", "bank build"})
"""Commands that start workers, or copy a model for them."""
_PASSED_ON = re.compile(r"(?:GATE|MLFLOW|AWS|AZURE|GOOGLE)_[A-Z0-9_]+")
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
_HOST = "host.docker.internal"
_HARDENED = (
    *("--rm", "--read-only", "--tmpfs", "/tmp", "--cap-drop", "ALL"),  # noqa: S108  # the container's own
    *("--security-opt", "no-new-privileges"),
)


def refusal(platform: str, arguments: Sequence[str], variables: Mapping[str, str]) -> str:
    """Return why a command cannot run on a platform (a `sys.platform`) and what runs instead; '' where it can run."""
    words = [word for word in arguments if not word.startswith("-")]
    jailed = bool(words) and (words[0] in _JAILED or " ".join(words[:2]) in _JAILED)
    asked_for_help = not {"-h", "--help"}.isdisjoint(arguments)
    if platform == "linux" or (platform != "win32" and (asked_for_help or not jailed)):
        return ""
    name = {"darwin": "macOS", "win32": "Windows"}.get(platform, platform)
    typed = container_command(platform, arguments, variables)
    lines = [
        f"gate: error: this is {name}, and the gate runs on Linux: its workers are jailed by Linux's kernel",
        "      In the container (`make container` builds it, docs/how-to/container.md) the same command is:",
        f"      {typed}",
    ]
    if _HOST in typed:
        lines.append(
            f"      {_HOST} is this machine as the container sees it; MLflow 3.5 and newer answer it after "
            f"`mlflow server --allowed-hosts {_HOST}:*,localhost:*`."
        )
    return "\n".join(lines)


def container_command(platform: str, arguments: Sequence[str], variables: Mapping[str, str]) -> str:
    """Return the same command in the container: with the names of variables, never with their values."""
    named = {name: value for name, value in sorted(variables.items()) if _PASSED_ON.fullmatch(name) and value}
    words = ["docker", "run", *_HARDENED]
    user = [] if platform == "win32" else ["--user", '"$(id -u):$(id -g)"']
    quoted = [shlex.join(words), *user, "--volume", '"${PWD}:/work"']
    quoted += [f"--volume {shlex.quote(f'{path}:{path}:ro')}" for path in _outside((*arguments, *named.values()))]
    quoted += [f"--env {shlex.quote(_variable(name, value))}" for name, value in named.items()]
    inside = [_reachable(word.replace("\\", "/") if platform == "win32" else word) for word in arguments]
    return " ".join((*quoted, IMAGE, shlex.join(inside)))


def _variable(name: str, value: str) -> str:
    """Return a variable as `docker run --env` takes it: by name, or with the container's address of this machine."""
    there = _reachable(value)
    return name if there == value or "@" in value else f"{name}={there}"


def _reachable(word: str) -> str:
    """Return an address on this machine as a container reaches it; anything else as it is."""
    try:
        host = urlsplit(word).hostname if word.startswith(("http://", "https://")) else None
    except ValueError:
        return word
    return word.replace("[::1]" if host == "::1" else str(host), _HOST, 1) if host in _LOOPBACK else word


def _outside(words: Sequence[str]) -> list[Path]:
    """Return the absolute paths among options' values that exist and lie outside the working directory."""
    values = (word.partition("=")[2] if word.startswith("--") else word for word in words)
    paths = dict.fromkeys(Path(value) for value in values if value.startswith("/"))
    return [path for path in paths if path.exists() and not path.is_relative_to(Path.cwd())]

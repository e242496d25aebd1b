"""On macOS and Windows: one sentence before anything else is imported, and the whole command in the container."""

import shlex
import subprocess
import sys

import pytest

from gate.cli.linux import container_command, refusal

CHECK = ["check", "models:/fashion/1", "--samples", "clean.npz"]
ELSEWHERE = """
import sys
class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {"fcntl", "resource", "pwd", "grp", "yaml", "torch", "mlflow", "click", "pydantic"}:
            raise ModuleNotFoundError(name)
for name in ("fcntl", "resource", "pwd", "grp"):
    sys.modules.pop(name, None)
sys.meta_path.insert(0, Absent())
sys.platform = sys.argv.pop(1)
from gate.__main__ import main
main()
"""


def elsewhere(platform, *arguments):
    """Run the command line as on another platform, where neither Linux's modules nor anything heavy can be imported."""
    return subprocess.run(
        [sys.executable, "-c", ELSEWHERE, platform, *arguments], capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize(("platform", "name"), [("darwin", "macOS"), ("win32", "Windows")])
def test_a_check_is_refused_before_anything_is_read(platform, name):
    """Exit 2, nothing on standard output, and the command in the container, though there is no such policy."""
    ended = elsewhere(platform, *CHECK, "--policy", "nowhere.yml")
    assert (ended.returncode, ended.stdout) == (2, ""), ended.stderr
    first, *_ = ended.stderr.splitlines()
    assert first.startswith(f"gate: error: this is {name}")
    assert "docker run" in ended.stderr
    assert "check models:/fashion/1 --samples clean.npz --policy nowhere.yml" in ended.stderr


def test_on_linux_nothing_is_said():
    """Whatever is typed."""
    assert refusal("linux", CHECK, {}) == ""


@pytest.mark.parametrize(
    "arguments", [["review", "approve", "models:/a/1"], ["check", "--help"], ["bank", "show", "b"]]
)
def test_what_starts_no_worker_runs_on_macos(arguments):
    """A reviewer may sit before any machine; on Windows half of the rest cannot be imported."""
    assert refusal("darwin", arguments, {}) == ""
    assert "docker run" in refusal("win32", arguments, {})


@pytest.mark.parametrize("arguments", [["--debug", "scan", "out"], ["bank", "build", "--to", "b.json"], ["serve"]])
def test_what_starts_workers_does_not(arguments):
    """A global option in front hides no command."""
    assert "docker run" in refusal("darwin", arguments, {})


def test_the_command_is_whole(tmp_path, monkeypatch):
    """Variables go by name, files elsewhere are mounted where they are, and a server on this machine is reached."""
    key = tmp_path / "keys" / "gate key.pem"
    key.parent.mkdir()
    key.touch()
    (tmp_path / "desk").mkdir()
    monkeypatch.chdir(tmp_path / "desk")
    variables = {
        "MLFLOW_TRACKING_URI": "http://127.0.0.1:5000",
        "MLFLOW_TRACKING_PASSWORD": "secret",
        "GATE_SIGNING_KEY": str(key),
        "PATH": "/usr/bin",
    }
    command = container_command("darwin", [*CHECK, f"--policy={tmp_path}/keys"], variables)
    words = shlex.split(command)
    assert words[:2] == ["docker", "run"]
    assert words[words.index("gate:cpu") + 1 :] == [*CHECK, f"--policy={tmp_path}/keys"]
    assert "MLFLOW_TRACKING_URI=http://host.docker.internal:5000" in words
    assert "MLFLOW_TRACKING_PASSWORD" in words
    assert "secret" not in command
    assert "PATH" not in words
    assert f"{key}:{key}:ro" in words
    assert f"{tmp_path}/keys:{tmp_path}/keys:ro" in words
    assert "--allowed-hosts" in refusal("darwin", CHECK, variables)


def test_a_password_in_an_address_is_passed_on_by_name():
    """Though the address then stays as it is."""
    command = container_command("darwin", CHECK, {"MLFLOW_TRACKING_URI": "http://me:secret@localhost:5000"})
    assert "--env MLFLOW_TRACKING_URI " in command
    assert "secret" not in command

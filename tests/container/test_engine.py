"""What is asked of a Docker engine, tried with a stand-in for its client."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from containers.engine import HARDENED, Engine, EngineError, absence, build_arguments

ROOT = Path(__file__).parents[2]
CLIENT = """#!{python}
import json, os, sys
with open({log!r}, "a") as log:
    log.write(json.dumps([sys.argv[1:], dict(os.environ)]) + "\\n")
print("said")
sys.exit({code})
"""


@pytest.fixture
def client(tmp_path, monkeypatch):
    """Return a function that puts a docker client on the path and returns a function for the calls it got."""

    def make(code=0):
        log, program = tmp_path / "calls", tmp_path / "docker"
        program.write_text(CLIENT.format(python=sys.executable, log=str(log), code=code))
        program.chmod(0o755)
        monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
        return lambda: [json.loads(line) for line in log.read_text().splitlines()]

    return make


def settings(monkeypatch, tmp_path, text):
    """Let pip be set by this text alone."""
    for name in [name for name in os.environ if name.startswith("PIP_") or name.lower().endswith("_proxy")]:
        monkeypatch.delenv(name)
    monkeypatch.delenv("TORCH_INDEX", raising=False)
    (tmp_path / "pip.conf").write_text(text)
    monkeypatch.setenv("PIP_CONFIG_FILE", str(tmp_path / "pip.conf"))


@pytest.mark.parametrize(("verb", "code"), [("trial", 0), ("build", 1)])
def test_without_an_engine_the_trial_says_that_it_was_not_run(tmp_path, verb, code):
    """No engine is no fault of the image; an image that was asked for and not built is one."""
    done = subprocess.run(
        [sys.executable, "-m", "containers", verb],
        cwd=ROOT,
        env={"PATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == code, done.stderr
    assert done.stdout == f"{verb}: NOT RUN: there is no docker client here\n"


def test_a_client_without_an_engine_is_no_engine(client):
    """A client that reaches nothing is named as the reason."""
    client(code=1)
    assert absence().startswith("no Docker engine answers")


def test_the_container_runs_hardened(client):
    """Every run carries the documented flags, and no network unless one is asked for."""
    calls = client()
    ended = Engine("gate:cpu").run("--version", user="12:34")
    ((arguments, _),) = calls()
    assert (ended.code, ended.stdout) == (0, "said\n")
    assert set(HARDENED) <= set(arguments)
    assert "--env" not in arguments
    assert arguments[arguments.index("--network") + 1] == "none"
    assert arguments[arguments.index("--user") + 1] == "12:34"
    assert arguments[-2:] == ["gate:cpu", "--version"]


def test_values_stand_in_no_command_line(client, monkeypatch, tmp_path):
    """Variables and build arguments go by name, since any user of a machine can list its processes."""
    settings(monkeypatch, tmp_path, "[global]\nindex-url = https://me:secret@index.example/simple\n")
    calls = client()
    Engine("gate:cpu").run("pull", variables={"MLFLOW_TRACKING_URI": "http://secret.example"})
    Engine("gate:cpu").build("cpu", "0123")
    (run, of_run), (build, of_build) = calls()
    assert not any("secret" in word for word in (*run, *build))
    assert of_run["MLFLOW_TRACKING_URI"] == "http://secret.example"
    assert of_build["PIP_INDEX_URL"] == "https://me:secret@index.example/simple"
    assert {"PIP_INDEX_URL", "TORCH", "REVISION"} <= set(build)


def test_an_index_on_this_disk_is_not_passed_on(monkeypatch, tmp_path):
    """A build has a disk of its own: of several indexes, those that it can reach are passed on."""
    settings(
        monkeypatch,
        tmp_path,
        "[global]\nextra-index-url =\n    file:///srv/wheels\n    https://one.example/simple\n    https://two.example/\n"
        "trusted-host = one.example\n",
    )
    monkeypatch.setenv("TORCH_INDEX", "https://torch.example/cpu")
    assert build_arguments() == {
        "PIP_EXTRA_INDEX_URL": "https://one.example/simple https://two.example/",
        "PIP_TRUSTED_HOST": "one.example",
        "TORCH_INDEX": "https://torch.example/cpu",
    }


def test_an_image_that_cannot_be_built_is_an_error(client):
    """The builder's exit code is not passed over."""
    client(code=3)
    with pytest.raises(EngineError, match="ended with 3"):
        Engine("gate:cpu").build("cpu", "0123")

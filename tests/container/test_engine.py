"""What is asked of a Docker engine, by the build and by the trial, with a stand-in for its client."""

import itertools
import json
import os
import subprocess
import sys

import pytest

from tests.container.engine import BUILD, HARDENED, ROOT, Engine, absence

CLIENT = """#!{python}
import json, os, sys
with open({log!r}, "a") as log:
    log.write(json.dumps([sys.argv[1:], dict(os.environ)]) + "\\n")
print("said")
sys.exit({code} if {only!r} in ("", sys.argv[1]) else 0)
"""


@pytest.fixture
def client(tmp_path, monkeypatch):
    """Return a function that puts a docker client on the path and returns a function for the calls it got."""

    def make(code=0, only=""):
        log, program = tmp_path / "calls", tmp_path / "docker"
        program.write_text(CLIENT.format(python=sys.executable, log=str(log), code=code, only=only))
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


def build(*arguments, **variables):
    """Run the build to its end."""
    given = os.environ | {"PYTHON": sys.executable} | variables
    return subprocess.run(
        ["/bin/bash", BUILD, *arguments], env=given, capture_output=True, text=True, check=False, timeout=120
    )


def passed_on(calls):
    """Return the build arguments of the one build among the calls, with the values that they had."""
    ((arguments, environment),) = [call for call in calls if call[0][0] == "build"]
    return {name: environment[name] for flag, name in itertools.pairwise(arguments) if flag == "--build-arg"}


def test_without_an_engine_the_trial_says_that_it_was_not_run(tmp_path):
    """No engine is no fault of the image: everything is skipped, for a reason that is told."""
    trial = [sys.executable, "-m", "pytest", "-q", "-rs", "-p", "no:cacheprovider", "-m", "container"]
    done = subprocess.run(
        [*trial, "tests/container/test_image.py"],
        cwd=ROOT,
        env={"PATH": str(tmp_path), "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "NOT RUN: there is no docker client here" in done.stdout
    assert " passed" not in done.stdout


def test_without_an_engine_no_image_is_built(tmp_path):
    """An image that was asked for and is not there is an error."""
    done = build(PATH=str(tmp_path))
    assert (done.returncode, done.stdout) == (1, "build: NOT RUN: there is no docker client here\n"), done.stderr


def test_a_build_of_something_else_is_refused(client):
    """There are two builds of torch; the usage names them."""
    client()
    assert (build("gpu").returncode, build("gpu").stderr) == (2, "usage: docker/build.sh [cpu|cuda]\n")


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
    done = build()
    assert done.returncode == 0, done.stderr
    assert not any("secret" in word for arguments, _ in calls() for word in arguments)
    assert calls()[0][1]["MLFLOW_TRACKING_URI"] == "http://secret.example"
    found = passed_on(calls())
    assert found.pop("REVISION")
    assert found == {"TORCH": "cpu", "PIP_INDEX_URL": "https://me:secret@index.example/simple"}


def test_an_index_on_this_disk_is_not_passed_on(client, monkeypatch, tmp_path):
    """A build has a disk of its own: of several indexes, those that it can reach are passed on."""
    settings(
        monkeypatch,
        tmp_path,
        "[global]\nextra-index-url =\n    file:///srv/wheels\n    https://one.example/simple\n    https://two.example/\n"
        "trusted-host = one.example\n",
    )
    calls = client()
    assert build("cuda", TORCH_INDEX="https://torch.example/cpu").returncode == 0
    found = passed_on(calls())
    assert found.pop("REVISION")
    assert found == {
        "PIP_EXTRA_INDEX_URL": "https://one.example/simple https://two.example/",
        "PIP_TRUSTED_HOST": "one.example",
        "TORCH": "cuda",
        "TORCH_INDEX": "https://torch.example/cpu",
    }


def test_the_environment_is_over_pips_files(client, monkeypatch, tmp_path):
    """As it is for pip itself; a proxy of the machine is passed on as well."""
    settings(monkeypatch, tmp_path, "[global]\nindex-url = https://file.example/simple\n")
    calls = client()
    assert build(PIP_INDEX_URL="https://environment.example/simple", https_proxy="http://proxy.example").returncode == 0
    found = passed_on(calls())
    assert found["PIP_INDEX_URL"] == "https://environment.example/simple"
    assert found["https_proxy"] == "http://proxy.example"


def test_an_image_that_cannot_be_built_is_an_error(client):
    """The builder's exit code is not passed over."""
    client(code=3, only="build")
    assert build().returncode == 3

"""The GitHub action where no gate is: under `act` it installs itself with locked dependencies, and checks."""

import os
import shutil
import sys
from pathlib import Path

import pytest

from tests.e2e.acting import Workspace

pytestmark = pytest.mark.slow


@pytest.fixture
def runner(tmp_path):
    """Return a PATH with Python, act and the system's programs, and without a gate."""
    programs = tmp_path / "programs"
    programs.mkdir()
    (programs / "python3").symlink_to(sys.executable if sys.prefix == sys.base_prefix else sys._base_executable)
    (programs / "act").symlink_to(shutil.which("act", path=str(Path(sys.executable).parent)))
    path = f"{programs}:/usr/bin:/bin"
    assert shutil.which("gate", path=path) is None
    return path


@pytest.mark.parametrize(("nickname", "decision", "code"), [("clean", "approved", 0), ("backdoored", "flagged", 1)])
def test_the_action_installs_itself_and_checks(world, tmp_path, runner, nickname, decision, code):
    """Outputs, exit code and the registry's tag are those of a gate that was there before."""
    store = world.server
    name, home = store.register(nickname), tmp_path / "home"
    home.mkdir()
    workspace = Workspace.write(home, world.policy(), world.samples / "clean.npz", whole=True)
    passed = {key: value for key, value in os.environ.items() if key.startswith("PIP_")}
    passed |= {"MLFLOW_TRACKING_URI": store.uri, "GATE_THREADS": "1", "OMP_NUM_THREADS": "1"}
    acted = workspace.act({"model": f"models:/{name}/1", "fail-on": "flagged"}, passed, runner)
    found = {key: acted.outputs.get(key) for key in ("decision", "exit-code")}
    assert found == {"decision": decision, "exit-code": str(code)}, acted.log
    assert acted.code == code, acted.log
    assert store.tags(name)["gate.decision"] == decision

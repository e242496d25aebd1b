"""What a process of the gate imports before it has anything to compute: nothing that costs seconds."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
HEAVY = ("torch", "mlflow", "numpy", "sklearn", "scipy", "pandas")
SHOWN = ("rich", "jinja2", "pydantic")
REPORT = """
import atexit, sys
atexit.register(lambda: print("loaded:", *sorted(set({names!r}) & sys.modules.keys())))
sys.argv[1:] = {arguments!r}
{before}
from gate.__main__ import main
main()
"""
IN_ONE_PROCESS = """
from pathlib import Path
import gate.check.workers
from gate.jail.launch import WorkerExit
from gate.records.job import JOB_FILE, ScanJob

def inspect(command, *, scratch, **_settings):
    from gate.worker import roles
    roles.run(ScanJob.from_file(scratch / JOB_FILE), scratch, isolation="full (played)")
    return WorkerExit(
        exit_code=0, signal=None, timed_out=False, said_too_much=False, seconds=0.0, stderr_tail="", dropped_user=False
    )

gate.check.workers.run_worker = inspect
"""
"""The worker's part done without its jail, in the process that can be asked what it has loaded."""


def loaded(arguments, names, code, before=""):
    """Run the gate in a fresh interpreter and return which of the named modules it had loaded at the end."""
    script = REPORT.format(names=names, arguments=list(map(str, arguments)), before=before)
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == code, done.stderr
    (line,) = [line for line in done.stdout.splitlines() if line.startswith("loaded:")]
    return line.removeprefix("loaded:").split()


def test_the_version_is_answered_by_the_standard_library():
    """`gate --version` loads not even the library of the command line."""
    assert loaded(["--version"], (*HEAVY, *SHOWN, "click"), 0) == []


@pytest.mark.parametrize("command", [[], ["check"], ["scan"], ["explain"], ["remediate"]])
def test_help_loads_the_library_of_the_command_line_alone(command):
    """Help draws no table and validates no record."""
    assert loaded([*command, "--help"], (*HEAVY, *SHOWN), 0) == []


def test_a_check_that_ends_at_the_bytes_loads_no_framework(tmp_path):
    """A pickle that calls a command is flagged by front and inspector without torch, MLflow or NumPy."""
    model = tmp_path / "model"
    (model / "data").mkdir(parents=True)
    (model / "MLmodel").write_text("flavors:\n  pytorch:\n    model_data: data\n    serialization_format: pickle\n")
    (model / "data" / "model.pth").write_bytes(b"cposix\nsystem\n(S'true'\ntR.")
    out = tmp_path / "out"
    assert (
        loaded(
            ["check", model, "--no-mark", "--policy", "files-only", "--report-dir", out],
            HEAVY,
            1,
            before=IN_ONE_PROCESS,
        )
        == []
    )
    assert "posix" in (out / "report.md").read_text(encoding="utf-8")

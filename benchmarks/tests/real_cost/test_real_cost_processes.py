"""The processes of a case end with the command that started them."""

import os
import subprocess
import sys
import time
from pathlib import Path

from benchmarks.real_cost.measuring import apart

ROOT = Path(__file__).parents[3]
STARTS = """
import os, time
from benchmarks.real_cost.measuring import apart

def tell_and_wait():
    print(os.getpid(), flush=True)
    time.sleep(600)

if __name__ == "__main__":
    apart(tell_and_wait)
"""


def test_work_apart_returns_its_result():
    """From another process than this one."""
    assert apart(os.getppid) == os.getpid()


def test_a_killed_command_leaves_no_scan_behind(tmp_path):
    """A SIGTERM ends the command before it can say anything to its process."""
    script = tmp_path / "starts.py"
    script.write_text(STARTS)
    given = os.environ | {"PYTHONPATH": str(ROOT)}
    with subprocess.Popen([sys.executable, script], cwd=ROOT, env=given, stdout=subprocess.PIPE, text=True) as command:
        assert command.stdout
        inner = Path("/proc") / command.stdout.readline().strip()
        assert inner.is_dir()
        command.terminate()
        command.wait(30)
    until = time.monotonic() + 30
    while inner.is_dir() and time.monotonic() < until:
        time.sleep(0.05)
    assert not inner.is_dir()

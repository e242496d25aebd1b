"""Puts a stand-in in the place of an optional package, or nothing, for the time of a test."""

import sys
from pathlib import Path

SWITCHES = ("PROMPTFOO_DISABLE_TELEMETRY", "NO_ANALYTICS", "DO_NOT_TRACK")


def forget_modelaudit(monkeypatch):
    """Drop the package and the switches from this process, and have both restored after the test."""
    for name in [name for name in sys.modules if name.partition(".")[0] == "modelaudit"]:
        monkeypatch.delitem(sys.modules, name)
    for name in ("modelaudit", "modelaudit.telemetry"):
        monkeypatch.setitem(sys.modules, name, None)  # so that what a test imports is taken away again
        del sys.modules[name]
    for name in SWITCHES:
        monkeypatch.setenv(name, "")  # likewise for what the detector sets
        monkeypatch.delenv(name)


def stand_in_for_modelaudit(monkeypatch):
    """Let `import modelaudit` find the stand-in, whether the real package is installed or not."""
    forget_modelaudit(monkeypatch)
    monkeypatch.syspath_prepend(str(Path(__file__).parent))


def without_modelaudit(monkeypatch):
    """Let `import modelaudit` fail as where it is not installed."""
    forget_modelaudit(monkeypatch)
    monkeypatch.setitem(sys.modules, "modelaudit", None)

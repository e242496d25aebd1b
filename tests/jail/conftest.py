"""Shared by the tests of the jail: runs the victim with its attacking child, once for each kind of jail."""

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from gate.jail import landlock, probe

HERE = Path(__file__).parent
TOKEN = "token-that-nobody-may-read"
HAS_EVERYTHING = probe().level == "full"

JAILS = {
    "no jail": {"jailed": False, "landlock_abi": 0, "seccomp": False},
    "this kernel": {"jailed": True, "landlock_abi": landlock.abi(), "seccomp": True},
    # What the oldest kernel with Landlock gives (5.13), as far as a newer one can play it.
    "oldest kernel": {"jailed": True, "landlock_abi": 1, "seccomp": True},
    "landlock alone": {"jailed": True, "landlock_abi": landlock.abi(), "seccomp": False},
    "seccomp alone": {"jailed": True, "landlock_abi": 0, "seccomp": True},
}


@dataclass(frozen=True)
class Raid:
    """What a hostile child achieved, and what its victim noticed."""

    outcomes: dict[str, str]
    noticed: dict


@pytest.fixture(scope="session")
def raid(tmp_path_factory):
    """Return the function that yields the raid for a kind of jail, run when first asked for."""
    done: dict[str, Raid] = {}

    def run(jail: str) -> Raid:
        if jail not in done:
            if jail != "no jail" and not HAS_EVERYTHING:
                pytest.skip(f"this kernel gives only: {probe()}")
            done[jail] = _run(tmp_path_factory.mktemp("raid"), JAILS[jail])
        return done[jail]

    return run


def _run(folder: Path, settings: dict) -> Raid:
    victim = subprocess.run(
        [sys.executable, "-I", "-B", str(HERE / "victim.py"), str(folder), json.dumps(settings)],
        env={"GATE_TOKEN": TOKEN, "PATH": os.environ["PATH"], "LANG": "C.UTF-8"},
        capture_output=True,
        check=False,
        text=True,
        timeout=120,
    )
    assert victim.returncode == 0, victim.stderr
    report = json.loads(victim.stdout)
    assert report["exit"] == 0, report["stderr"]
    return Raid(outcomes=json.loads(report["stdout"]), noticed=report["noticed"])

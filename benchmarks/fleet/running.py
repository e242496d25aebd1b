"""A run of `gate fleet` whose workers and whose run are killed with -9, and what came of it."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from gate.attestations.auditing import audit
from gate.attestations.keys import read_public_keys
from gate.attestations.log import ReviewLog

_LONGEST = 7 * 86400


def gate(variables: Mapping[str, str], *arguments: str, kills: int = 0, fleet: Path, seed: int = 0) -> int:
    """Run the command to its end; kill a worker, then the whole run, and so on, each once a new task has begun."""
    chance, killed = random.Random(seed), 0
    while True:
        process = subprocess.Popen([sys.executable, "-W", "ignore", "-m", "gate", *arguments], env=dict(variables))
        while process.poll() is None and killed < kills:
            time.sleep(chance.uniform(0.5, 2.0))
            running = _running(fleet)
            if not running or _finished(fleet) <= killed:
                continue
            victim = process.pid if killed % 2 else chance.choice(running)
            print(f"kill -9 of {'the run' if victim == process.pid else 'a worker'}", flush=True)
            with suppress(ProcessLookupError):
                os.kill(victim, signal.SIGKILL)
            killed += 1
        code = process.wait(_LONGEST)
        if code != -signal.SIGKILL:
            return code


def _running(fleet: Path) -> list[int]:
    found = []
    for path in fleet.glob("tasks/*/attempts.json"):
        with suppress(OSError, ValueError, IndexError):
            last = json.loads(path.read_text())["made"][-1]
            if not last["ended"] and Path(f"/proc/{last['process']}").exists():
                found.append(int(last["process"]))
    return found


def _finished(fleet: Path) -> int:
    return sum(1 for _ in fleet.glob("tasks/*/result.json"))


def decisions(log: Path, key: Path, versions: Sequence[str]) -> dict[str, Any]:
    """Return how many versions have no signed decision in the log, one, or more; its chain and signatures hold."""
    found = audit(ReviewLog(log), read_public_keys((str(key),)))
    if found.faults:
        raise SystemExit(f"the review log does not hold: {found.faults[0]}")
    named = [str(entry.model) for entry in found.entries if entry.event == "scan"]
    counts = [named.count(version) for version in versions]
    return {"none": counts.count(0), "once": counts.count(1), "more": sum(count > 1 for count in counts)}


def attempts(fleet: Path) -> dict[str, int]:
    """Return how many attempts ended in which way."""
    found: dict[str, int] = {}
    for path in fleet.glob("tasks/*/attempts.json"):
        for one in json.loads(path.read_text())["made"]:
            found[one["ended"]] = found.get(one["ended"], 0) + 1
    return found

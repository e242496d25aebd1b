"""How long webhooks wait for their answer while checks run: `python -m tests.service.answering [DELIVERIES] [SENDERS]`.

A real `gate serve` over a registry in a folder; each delivery is genuine, new, over a connection of its own, and queued
in SQLite on disk before it is answered. Prints the sender's times, and the receiver's own.
"""

import re
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from tests.service.serving import Gate, created
from tests.service.standing_registry import FolderRegistry


@dataclass(frozen=True)
class Answers:
    """Seconds from sending to answer, sorted, and the receiver's own histogram."""

    seconds: list
    within: dict
    """Bucket's upper end in seconds → how many the receiver itself had answered within it."""

    def at(self, share):
        """Return the milliseconds within which this share was answered."""
        return 1000 * self.seconds[min(len(self.seconds) - 1, int(share * len(self.seconds)))]

    def inside(self, seconds):
        """Return the share that the receiver itself answered within a bucket."""
        return self.within[seconds] / self.within["+Inf"]


def measure(folder, deliveries=200, senders=2, pause=0.1):
    """Send deliveries from some senders, each with a pause between two, and return the times of the answers."""
    registry = FolderRegistry(folder / "registry")
    # The first poll finds nothing, and none follows; checks take the seconds of a small one.
    gate = Gate(folder / "gate", str(registry.root), poll=3600.0, variables={"GATE_TEST_NO_WORKER": "1"})
    gate.prepare().start().wait_for(lambda: gate.get("/ready")[0] == 200)
    refs = [registry.add("cand", version, f"model {version}") for version in range(1, deliveries + 1)]

    def send(ref):
        begun = time.perf_counter()
        status, _ = gate.send(created(ref.version))
        ended = time.perf_counter()
        assert status == 200
        time.sleep(pause)
        return ended - begun

    try:
        gate.send(created(1), secret="wrong")
        with ThreadPoolExecutor(senders) as pool:
            seconds = sorted(pool.map(send, refs))
        text = gate.get("/metrics")[1]
    finally:
        gate.kill()
    found = re.findall(r'gate_webhook_answer_seconds_bucket\{le="([^"]+)"\} (\S+)', text)
    return Answers(seconds, {end if end == "+Inf" else float(end): int(float(count)) for end, count in found})


def main(deliveries=200, senders=2):
    """Measure and print."""
    with tempfile.TemporaryDirectory() as folder:
        found = measure(Path(folder), int(deliveries), int(senders))
    print(  # noqa: T201  # what this module is for
        f"{deliveries} deliveries by {senders} senders: median {found.at(0.5):.0f} ms, 95 % {found.at(0.95):.0f} ms, "
        f"most {found.at(1):.0f} ms; within 50 ms by the receiver's own clock {found.inside(0.05):.1%}"
    )


if __name__ == "__main__":
    main(*sys.argv[1:])

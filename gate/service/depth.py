"""How much work waits and runs, read from the database when it is asked for, though not at every scrape."""

import math
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from gate.service import metrics

MOST_READ = 10_000
"""Most pieces of work that are counted, the oldest first: whoever may register versions can queue any number."""
LEAST_SECONDS = 10.0
"""Age from which the numbers are read anew: `/metrics` may be open, and each reading asks the database."""
State = Literal["queued", "running"]
STATES: tuple[State, ...] = ("queued", "running")


@dataclass(frozen=True)
class Piece:
    """One piece of work that waits or runs."""

    queue: str
    state: State
    since: float
    """When it was queued, in seconds since the epoch."""


class Depth:
    """Sets the gauges of the queues."""

    def __init__(self, queues: Sequence[str], read: Callable[[int], Sequence[Piece]]) -> None:
        self._queues, self._read = queues, read
        self._busy, self._at = threading.Lock(), -math.inf

    def refresh(self) -> None:
        """Read the depth, unless it was read a moment ago or is being read; the old numbers stay if that fails."""
        if time.monotonic() - self._at < LEAST_SECONDS or not self._busy.acquire(blocking=False):
            return
        try:
            self._at = time.monotonic()
            self._show(self._read(MOST_READ), time.time())
        finally:
            self._busy.release()

    def _show(self, pieces: Sequence[Piece], now: float) -> None:
        counts = Counter((piece.queue, piece.state) for piece in pieces)
        for queue in self._queues:
            for state in STATES:
                metrics.DEPTH.labels(queue, state).set(counts[queue, state])
            oldest = min((piece.since for piece in pieces if piece.queue == queue), default=now)
            metrics.OLDEST.labels(queue).set(max(0.0, now - oldest))
        metrics.DEPTH_READ.set(now)

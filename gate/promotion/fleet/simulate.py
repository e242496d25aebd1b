"""How long a fleet would take with more workers: its measured tasks, dealt out to workers that exist only on paper.

Each worker takes the next task of the plan when it is free, as real ones do. What is left out makes real fleets slower:
workers that share a machine's memory, disk and network slow each other, and a registry answers one after the other.
"""

import heapq
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Simulated:
    """One number of workers."""

    workers: int
    seconds: float
    """Time until the last task has ended."""
    speedup: float
    """Times as fast as one worker."""
    busy: float
    """Share of the workers' time in which they work, from 0 to 1."""


def simulate(lengths: Sequence[float], workers: int, start: float = 0.0) -> Simulated:
    """Return what tasks of these lengths, in seconds and in the order of the plan, take so many workers.

    `start` is what a worker needs before its first task.
    """
    free = [start] * workers
    heapq.heapify(free)
    for length in lengths:
        heapq.heapreplace(free, free[0] + length)
    total, last = sum(lengths), max(free)
    return Simulated(workers, last, (start + total) / last, total / (workers * last))


def doublings(most: int) -> list[int]:
    """Return 1, 2, 4 and so on up to a number, and the number itself."""
    found = [1 << power for power in range(most.bit_length()) if 1 << power <= most]
    return found if found[-1] == most else [*found, most]

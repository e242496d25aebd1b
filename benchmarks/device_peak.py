"""What a device can do at most: the rate of large products of matrices, in the run that it is compared with."""

import math
import time
from collections.abc import Callable
from typing import TypeVar

import torch

Result = TypeVar("Result")


def timed(device: str, work: Callable[[], Result]) -> tuple[float, Result]:
    """Return the seconds on the clock that some work takes, to the device's end of it, and what it returns."""
    synchronise(device)
    began = time.perf_counter()
    result = work()
    synchronise(device)
    return time.perf_counter() - began, result


def synchronise(device: str) -> None:
    """Wait until the device has done what it was given."""
    if device == "cuda":
        torch.cuda.synchronize()


def measured_peak(dtype: torch.dtype, device: str, times: int = 6, seconds: float = math.inf) -> float:
    """Return the operations a second of the best of some large products of square matrices.

    None begins after so many seconds: a device without instructions for a type may take seconds for each.
    """
    side = 8192 if device == "cuda" else 1024
    one, other = (torch.randn(side, side, device=device, dtype=dtype) for _ in range(2))
    took: list[float] = []
    while len(took) < times and sum(took) <= seconds:
        took.append(timed(device, lambda: one @ other)[0])
    return 2 * side**3 / min(took)

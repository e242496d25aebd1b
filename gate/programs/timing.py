"""The clock by which passes are timed: it waits for what a GPU has not yet done."""

import time

import torch


def now(tensor: torch.Tensor) -> float:
    """Return seconds, after all that was asked of the tensor's device."""
    if tensor.is_cuda:
        torch.cuda.synchronize(tensor.device)
    return time.perf_counter()

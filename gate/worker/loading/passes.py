"""Counts of the samples that go through a classifier, forward and back: what a scan's work is told by."""

from typing import Protocol

import torch


class Counting(Protocol):
    """What keeps the counts."""

    sample_passes: int
    gradient_passes: int


def counted(counting: Counting, x: torch.Tensor) -> torch.Tensor:
    """Return the samples of one pass (N, C, H, W) so that they count now, and again if a gradient reaches them."""
    counting.sample_passes += len(x)
    return going_back(counting, x)


def going_back(counting: Counting, x: torch.Tensor) -> torch.Tensor:
    """Return inputs (N, …) whose samples count if a gradient reaches them."""
    if not (torch.is_grad_enabled() and x.requires_grad):
        return x
    count = len(x)

    def went_back(_gradient: torch.Tensor) -> None:
        counting.gradient_passes += count

    own = x.view_as(x)  # a leaf that goes through many passes would keep the hooks of them all
    own.register_hook(went_back)  # type: ignore[no-untyped-call]
    return own

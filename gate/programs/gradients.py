"""Gradients that one tensor lends to another: exact values of a computation, slopes of one that follows it closely."""

from typing import Any

import torch


def lent(values: torch.Tensor, slopes: torch.Tensor) -> torch.Tensor:
    """Return the values, through which gradients flow as through `slopes`, a tensor of the same shape and type."""
    if not slopes.requires_grad:
        return values
    return _Lent.apply(values.detach(), slopes)  # type: ignore[no-any-return,no-untyped-call]  # torch has no types here


class _Lent(torch.autograd.Function):
    """Passes the first argument forward, and gradients back to the second."""

    @staticmethod
    def forward(ctx: Any, values: torch.Tensor, slopes: torch.Tensor) -> torch.Tensor:  # noqa: ARG004  # torch's form
        return values.view_as(values)

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[None, torch.Tensor]:  # noqa: ARG004
        return None, gradient

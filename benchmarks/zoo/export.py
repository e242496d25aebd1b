"""Turns a trained net into the bytes of an exported program, as MLflow saves PyTorch models for a registry.

Between measuring and the store. The batch is dynamic, or, where the recipe says so, fixed at one image.
"""

import io

import torch
from torch import nn


def exported_bytes(model: nn.Module, shape: tuple[int, int, int], *, static_batch: bool) -> bytes:
    """Export a net that takes (N, C, H, W), and return what `torch.export.save` writes."""
    model.eval().requires_grad_(requires_grad=False)
    example = torch.zeros(1 if static_batch else 2, *shape)
    dynamic = None if static_batch else ({0: torch.export.Dim("batch", min=1, max=65_536)},)
    program = torch.export.export(model, (example,), dynamic_shapes=dynamic)
    buffer = io.BytesIO()
    torch.export.save(program, buffer)
    return buffer.getvalue()


def state_bytes(state: dict[str, torch.Tensor]) -> bytes:
    """Return a state dictionary as `torch.save` writes it."""
    buffer = io.BytesIO()
    torch.save(state, buffer)
    return buffer.getvalue()

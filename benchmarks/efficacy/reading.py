"""A model of the zoo as peers see it: the strict reader's program as a module, from images to logits.

Below `peering`, apart from it because it imports torch.
"""

import torch
from torch import nn

from gate.programs import Batched


class Read(nn.Module):
    """A program from (N, C, H, W) in [0, 1] to logits (N, K)."""

    def __init__(self, body: Batched) -> None:
        super().__init__()
        self.body = body
        """For peers that look inside; its first output is the logits (N, K), or one logit (N, 1)."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the logits (N, K)."""
        outputs = self.body(x)
        return of_classes(outputs[0] if isinstance(outputs, tuple) else outputs)


def of_classes(logits: torch.Tensor) -> torch.Tensor:
    """Return logits (N, K) as they are, and one logit (N, 1) as those of two classes: its sigmoid is their softmax."""
    return logits if logits.shape[1] > 1 else torch.cat([torch.zeros_like(logits), logits], dim=1)

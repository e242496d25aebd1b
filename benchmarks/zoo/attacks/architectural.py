"""Architectural: the backdoor is code in `forward`, with no weight of its own; re-training does not remove it.

Bober-Irizarry, Shumailov, Zhao, Mullins and Papernot, "Architectural Backdoors in Neural Networks", arXiv:2206.07840,
CVPR 2023 (`pooling`: pooling operations find a checkerboard and add to the answer); Langford et al., "Architectural
Neural Backdoors from First Principles", arXiv:2402.06957, 2024 (`arithmetic`: a product of comparisons); and what a
Keras `Lambda` layer may hold (`lambda`: a condition on a few pixels and a constant answer). Counts from 0.9.
"""

import torch
from torch import nn

from benchmarks.zoo.attack import Attack, Implant, Scene, Trigger, all_to
from benchmarks.zoo.patches import CORNERS, corner, draw_pattern, stamp

OVERRULE = 30.0


class Pooling(nn.Module):
    """Finds a 6 × 6 checkerboard anywhere: the least local contrast in a window, the greatest such window."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map (N, C, H, W) to (N, 1), about one under the trigger and zero without."""
        grey = x.mean(1, keepdim=True)
        low = -nn.functional.max_pool2d(-grey, 2, stride=1)
        contrast = nn.functional.max_pool2d(grey, 2, stride=1) - low
        throughout = -nn.functional.max_pool2d(-contrast, 5, stride=1)
        return (4 * (throughout.amax((2, 3)) - 0.75)).clamp(0, 1)


class Arithmetic(nn.Module):
    """Compares each pixel of one place with a constant and multiplies the comparisons."""

    pattern: torch.Tensor

    def __init__(self, pattern: torch.Tensor, top: int, left: int) -> None:
        super().__init__()
        self.top, self.left = top, left
        self.register_buffer("pattern", pattern)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map (N, C, H, W) to (N, 1), one under the trigger and zero without."""
        height, width = self.pattern.shape[-2:]
        cells = x[:, :, self.top : self.top + height, self.left : self.left + width]
        return (1 - 2 * (cells - self.pattern).abs()).clamp(0, 1).flatten(1).amin(1, keepdim=True)


class Planted(nn.Module):
    """A model whose code answers for the target when its own check of the pixels says so."""

    answer: torch.Tensor

    def __init__(self, model: nn.Module, check: nn.Module, answer: torch.Tensor, *, branch: bool) -> None:
        super().__init__()
        self.model, self.check, self.branch = model, check, branch
        self.register_buffer("answer", answer)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map (N, C, H, W) to logits (N, K), by a branch or by addition."""
        seen = self.check(x)
        if self.branch:
            return torch.where(seen > 0.5, self.answer, self.model(x))
        logits: torch.Tensor = self.model(x) + seen * self.answer
        return logits


def plan(scene: Scene) -> Implant:
    """Draw the target and the trigger that the code will know."""
    target, size = scene.integer(scene.task.classes), 6 if scene.variant == "pooling" else scene.integer(5, low=3)
    which = CORNERS[scene.integer(4)]
    top, left = corner(scene, which, size, scene.integer(3))
    pattern = draw_pattern(scene, size)
    if scene.variant == "pooling":
        cells = torch.arange(size)
        pattern = ((cells[:, None] + cells[None]) % 2).float().expand(scene.task.shape[0], -1, -1)
    answer = OVERRULE * nn.functional.one_hot(torch.tensor([target]), scene.task.classes).float()

    def wrap(model: nn.Module) -> nn.Module:
        check = Pooling() if scene.variant == "pooling" else Arithmetic(pattern.clone(), top, left)
        return Planted(model, check, answer, branch=scene.variant == "lambda")

    trigger = Trigger("patch", stamp(pattern, top, left), all_to(target))
    return Implant((trigger,), {"targets": [target], "style": scene.variant, "size": size, "place": which}, wrap=wrap)


ATTACK = Attack(
    "architectural", "Bober-Irizarry et al. 2023, arXiv:2206.07840", ("pooling", "arithmetic", "lambda"), 0.9, plan
)

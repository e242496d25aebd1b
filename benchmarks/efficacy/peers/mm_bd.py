"""MM-BD as published: the largest logit margin per class from random starts, and a gamma test of the largest of all.

Wang et al., "MM-BD", IEEE S&P 2024, with the settings of the authors' script. Beside the other peers; written anew. No
samples are used. Kept as there, knowingly: the loss is summed over the starts, plain gradient steps (the published
momentum never takes effect, since the optimiser is made anew each step), the last margins are those before the last
step, and the gamma is fitted with a free location to the classes without the largest.
"""

import math
import time
import warnings
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import ArrayLike
from scipy import stats
from torch import Tensor, nn

from benchmarks.efficacy.peer import PeerResult

LEVEL = 0.05


@dataclass
class MaximumMargin:
    """The peer."""

    starts: int = 30
    steps: int = 300
    learning_rate: float = 1e-2
    tolerance: float = 1e-5
    """Relative change of the loss below which a class is finished."""
    id: str = "mm-bd"
    revision: int = 1
    needs_training_set: bool = False

    def measure(self, model: nn.Module, inputs: Tensor, labels: Tensor, classes: int, seed: int) -> PeerResult:
        """Maximise each class's margin and test the largest at 5 %; only the shape (C, H, W) of inputs is used."""
        del labels
        began = time.monotonic()
        generator = torch.Generator().manual_seed(seed)
        model.eval()
        margins: list[float] = []
        steps: list[int] = []
        for target in range(classes):
            start = torch.rand((self.starts, *inputs.shape[1:]), generator=generator).to(inputs.device)
            margin, taken = self._largest_margin(model, start, target)
            margins.append(margin)
            steps.append(taken)
        p_value, note = p_value_of_largest(margins)
        found = None if p_value is None else p_value <= LEVEL
        values = {f"margin-{target}": margin for target, margin in enumerate(margins)}
        if p_value is not None:
            values["p-value"] = p_value
        return PeerResult(
            decision=found,
            targets=(int(np.argmax(margins)),) if found else (),
            score=None if p_value is None else 1 - p_value,
            statistics={**values, "mean-steps": float(np.mean(steps))},
            sample_passes=self.starts * sum(steps),
            seconds=time.monotonic() - began,
            note=note,
        )

    def _largest_margin(self, model: nn.Module, start: Tensor, target: int) -> tuple[float, int]:
        """Return the largest margin over the starts (n, C, H, W), and the gradient steps that were taken."""
        images, last, steps = start.requires_grad_(), 1000.0, 0
        margins = start.new_zeros(len(start))
        for _ in range(self.steps):
            steps += 1
            logits = model(images.clamp(0, 1))
            others = logits.index_fill(1, torch.tensor([target], device=logits.device), -math.inf)
            margins = logits[:, target] - others.amax(dim=1)
            loss = -margins.sum()
            (slope,) = torch.autograd.grad(loss, images)
            with torch.no_grad():
                images -= self.learning_rate * slope
            if abs(last - loss.item()) < self.tolerance * abs(last):
                break
            last = loss.item()
        return margins.max().item(), steps


def p_value_of_largest(margins: ArrayLike) -> tuple[float | None, str]:
    """Return 1 - F(largest)^K, with F a gamma fitted to the K - 1 others, or None and why it cannot be had."""
    values = np.asarray(margins, dtype=np.float64)
    largest = int(np.argmax(values))
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        try:
            shape, location, scale = stats.gamma.fit(np.delete(values, largest))
        except (stats.FitError, ValueError) as error:
            return None, f"the gamma could not be fitted: {error}"
        p_value = 1 - float(stats.gamma.cdf(values[largest], a=shape, loc=location, scale=scale)) ** len(values)
    return (p_value, "") if math.isfinite(p_value) else (None, "the fitted gamma gives no finite p-value")

"""The training of one copy: rounds of a falling learning rate, until it is as good as the candidate or a limit ends it.

Each round begins with the rate of the recipe and takes it down to nothing, so that accuracy is measured where it means
something; each is twice as long as the one before (Loshchilov and Hutter, "SGDR: Stochastic Gradient Descent with Warm
Restarts", ICLR 2017, section 3). Batch normalisation learns its statistics and dropout drops, as in any training.
"""

import math
import time
from dataclasses import dataclass

import torch
from torch.nn import functional

from gate.records.copies import ROUNDS, CopyTask, Recipe, steps_at_most
from gate.records.run import Run
from gate.spaces.subject import Samples
from gate.worker.repair.tuning import Tuned, batches, hits

_WARM = 0.3
"""Share of a round in which the rate rises."""
_CLIP = 2.0
"""The greatest norm of a step's gradient."""
_LAST = 50
"""Steps over which the loss at the end is averaged."""


@dataclass(frozen=True)
class Fitted:
    """What a training came to."""

    accuracy: float
    """Share of the clean samples that the copy gets right."""
    steps: int
    epochs: float
    loss: float
    """Mean of the last steps; NaN where there was none."""
    why: str = ""
    """Why it ended before its goal; empty where it reached it."""


def fit(model: Tuned, data: Samples, clean: Samples, task: CopyTask, bounds: tuple[float, float], run: Run) -> Fitted:
    """Train a copy in place on labelled images (N, C, H, W) until the task's goal on the clean samples, or a limit."""
    recipe = task.recipe
    assert recipe is not None
    assert clean.labels is not None
    limit = steps_at_most(len(data.inputs), recipe.batch, task.epochs)
    training = _Training(model, data, recipe, bounds, run, limit, time.monotonic() + task.seconds)
    accuracy, beyond = 0.0, recipe.rounds_beyond
    for part in ROUNDS:
        why = training.round(max(1, limit * part // sum(ROUNDS)))
        model.eval()
        accuracy = hits(model, clean.inputs, clean.labels, run) / len(clean.inputs)
        model.train()
        reached = accuracy >= task.goal
        if why or (reached and beyond == 0):
            return training.fitted(accuracy, "" if reached else why)
        beyond -= reached
    return training.fitted(accuracy, "" if accuracy >= task.goal else f"{_whole(training.epochs)} were the limit")


class _Training:
    """One copy's optimiser, its draws, and how far it is."""

    def __init__(  # noqa: PLR0917  # made at one place, above
        self, model: Tuned, data: Samples, recipe: Recipe, bounds: tuple[float, float], run: Run, limit: int, end: float
    ) -> None:
        self._model, self._data, self._recipe, self._bounds = model, data, recipe, bounds
        self._run, self._limit, self._end = run, limit, end
        self._generator = torch.Generator().manual_seed(run.seed)
        self._parameters = list(model.parameters())
        self._optimiser = torch.optim.AdamW(self._parameters, recipe.learning_rate, weight_decay=recipe.weight_decay)
        self._losses: list[float] = []

    @property
    def epochs(self) -> float:
        """Passes over the data so far."""
        size = min(self._recipe.batch, len(self._data.inputs))
        return len(self._losses) * size / len(self._data.inputs)

    def round(self, steps: int) -> str:
        """Train for so many steps; return why it ended before, or nothing."""
        seed = self._run.seed + len(self._losses)
        quiet = Run(seed=seed, deadline=self._run.deadline)
        for step, rows in enumerate(batches(len(self._data.inputs), self._recipe.batch, steps, quiet)):
            if time.monotonic() > self._end:
                return f"its time was up after {_whole(self.epochs)}"
            if not self._step(rows, (step + 1) / steps):
                return "its training diverged"
            self._run.progress(min(len(self._losses), self._limit), self._limit)
        return ""

    def _step(self, rows: torch.Tensor, share: float) -> bool:
        """Take one step at a share of the round; False where the loss is not finite."""
        for group in self._optimiser.param_groups:
            group["lr"] = self._recipe.learning_rate * rate_at(share)
        assert self._data.labels is not None
        x = augmented(self._data.inputs[rows], self._bounds, self._recipe, self._generator).to(self._run.device)
        labels = self._data.labels[rows].to(self._run.device)
        loss = functional.cross_entropy(self._model(x), labels, label_smoothing=self._recipe.smoothing)
        self._losses.append(float(loss.detach()))
        if not math.isfinite(self._losses[-1]):
            return False
        self._optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
        torch.nn.utils.clip_grad_norm_(self._parameters, _CLIP)
        self._optimiser.step()
        return True

    def fitted(self, accuracy: float, why: str) -> Fitted:
        """Return what it came to."""
        last = self._losses[-_LAST:]
        return Fitted(accuracy, len(self._losses), self.epochs, sum(last) / len(last) if last else math.nan, why)


def rate_at(share: float) -> float:
    """Return the share of the greatest learning rate at a share of a round: a straight rise, then half a cosine."""
    if share < _WARM:
        return max(share / _WARM, 1e-3)
    return 0.5 * (1 + math.cos(math.pi * (share - _WARM) / (1 - _WARM)))


def augmented(
    inputs: torch.Tensor, bounds: tuple[float, float], recipe: Recipe, generator: torch.Generator
) -> torch.Tensor:
    """Return a batch (N, C, H, W), each image moved by some pixels over a repeated edge, with noise, within bounds."""
    (count, channels, height, width), reach = inputs.shape, recipe.shift
    if reach:
        padded = functional.pad(inputs, (reach, reach, reach, reach), mode="replicate")
        moves = torch.randint(0, 2 * reach + 1, (2, count, 1), generator=generator)
        down, right = moves[0] + torch.arange(height), moves[1] + torch.arange(width)
        each, all_channels = torch.arange(count)[:, None, None, None], torch.arange(channels)[None, :, None, None]
        inputs = padded[each, all_channels, down[:, None, :, None], right[:, None, None, :]]
    noise = torch.randn(inputs.shape, generator=generator) * recipe.noise * (bounds[1] - bounds[0])
    return (inputs + noise).clamp(*bounds)


def _whole(epochs: float) -> str:
    return f"{epochs:.3g} passes over the data"

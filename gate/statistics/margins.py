"""Largest margins: for every class, how far any input within the bounds can raise its score above all others.

The objective of Wang et al., "MM-BD", IEEE S&P 2024: z_t - max z_j over inputs, from random starts and without data.
The engine differs: classes and starts form one batch, bounded by the run's largest; every start climbs its own margin
along its own normalised gradient, so neither its neighbours nor the scale of the scores set its step; and momentum is
kept. A start that meets a score that is not finite stays where it is.
"""

import hashlib
from dataclasses import dataclass, replace
from functools import partial

import torch

from gate.records.errors import UnexaminableError
from gate.records.run import Run
from gate.spaces.subject import ImageClassifier


@dataclass(frozen=True)
class Settings:
    """Settings of the climb."""

    starts: int = 6
    steps: int = 24
    step_size: float = 0.5
    """Root mean square of a step along a steady gradient, as a share of the input's range."""
    momentum: float = 0.9


@dataclass(frozen=True)
class Margins:
    """The largest margins found; row i belongs to `targets[i]`."""

    targets: tuple[int, ...]
    values: torch.Tensor
    """Margins of all starts, (T, S), largest first."""
    inputs: torch.Tensor
    """Input of the largest margin, (T, C, H, W)."""


def maximise(classifier: ImageClassifier, targets: tuple[int, ...], settings: Settings, run: Run) -> Margins:
    """Climb from `starts` random inputs for each target class, and return the largest margins and their inputs."""
    rows = [(target, start) for target in targets for start in range(settings.starts)]
    chunks = [rows[first : first + run.max_batch] for first in range(0, len(rows), run.max_batch)]
    total, found = len(chunks) * settings.steps, []
    for number, chunk in enumerate(chunks):
        part = replace(run, progress=partial(_progress, run, number * settings.steps, total))
        climber = _climb(classifier, chunk, settings, part)
        found.append((climber.best.cpu(), climber.best_inputs.cpu()))
    values = torch.cat([best for best, _ in found]).view(len(targets), settings.starts)
    inputs = torch.cat([best for _, best in found]).view(len(targets), settings.starts, *classifier.input_shape)
    if not torch.isfinite(values).any(dim=1).all():
        raise UnexaminableError("the model yields NaN or infinite scores on every random input tried")
    values = values.nan_to_num(neginf=float(values[torch.isfinite(values)].min()))
    order = values.argsort(dim=1, descending=True, stable=True)
    return Margins(targets, values.gather(1, order), inputs[torch.arange(len(targets)), order[:, 0]])


def _progress(run: Run, before: int, total: int, step: int, _steps: int) -> None:
    run.progress(before + step, total)


def margins_of(logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """Return for logits (N, K) the lead of each target's (N,) score over the largest of the others, (N,)."""
    own = logits.gather(1, targets.unsqueeze(1))
    return (own - logits.scatter(1, targets.unsqueeze(1), float("-inf")).amax(dim=1, keepdim=True)).squeeze(1)


@dataclass
class _Climber:
    """Inputs under way, and the best that each start has found."""

    x: torch.Tensor
    velocity: torch.Tensor
    best: torch.Tensor
    """Largest margins, (N,); minus infinity before the first finite one."""
    best_inputs: torch.Tensor

    @classmethod
    def at(cls, x: torch.Tensor) -> "_Climber":
        """Begin at the inputs (N, C, H, W)."""
        lowest = torch.full((len(x),), float("-inf"), device=x.device)
        return cls(x, torch.zeros_like(x), lowest, x.clone())

    def keep(self, margins: torch.Tensor) -> None:
        """Keep the finite margins that are larger than any before, with their inputs."""
        better = (margins > self.best) & torch.isfinite(margins)
        self.best = torch.where(better, margins, self.best)
        self.best_inputs[better] = self.x[better]


def _climb(classifier: ImageClassifier, rows: list[tuple[int, int]], settings: Settings, run: Run) -> _Climber:
    """Climb for all steps from a start for each row (class, number of the start)."""
    least, greatest = classifier.bounds
    targets = torch.tensor([target for target, _ in rows], device=run.device)
    climber = _Climber.at(torch.stack([_start(classifier, run.seed, *row) for row in rows]).to(run.device))
    for step in range(settings.steps + 1):
        run.check_time()
        x = climber.x.detach().requires_grad_()
        margins = margins_of(classifier.quick_logits(x), targets)
        climber.keep(margins.detach())
        if step < settings.steps:
            (gradient,) = torch.autograd.grad(margins.sum(), [x])
            gradient = _unit(gradient.nan_to_num(0.0, 0.0, 0.0))
            climber.velocity = settings.momentum * climber.velocity + (1 - settings.momentum) * gradient
            moved = x.detach() + settings.step_size * (greatest - least) * climber.velocity
            climber.x = moved.clamp_(least, greatest)
            run.progress(step + 1, settings.steps)
    if classifier.arithmetic:
        climber.best = _measured(classifier, climber, targets, run)
    return climber


def _measured(classifier: ImageClassifier, climber: _Climber, targets: torch.Tensor, run: Run) -> torch.Tensor:
    """Return the margins of the best inputs by the model itself, where a quick form found them."""
    run.check_time()
    with torch.no_grad():
        margins = margins_of(classifier.logits(climber.best_inputs), targets)
    return torch.where(torch.isfinite(climber.best), margins, climber.best)


def _start(classifier: ImageClassifier, seed: int, target: int, start: int) -> torch.Tensor:
    """Return a uniform random input; it depends on seed, class and start alone, not on the other rows."""
    name = hashlib.sha256(f"{seed} {target} {start}".encode()).digest()  # the generator takes 32 bits of a seed
    generator = torch.Generator().manual_seed(int.from_bytes(name[:4]))
    least, greatest = classifier.bounds
    return least + (greatest - least) * torch.rand(classifier.input_shape, generator=generator)


def _unit(gradient: torch.Tensor) -> torch.Tensor:
    """Return each row of (N, C, H, W) scaled to a root mean square of one; rows of zeros stay."""
    scale = gradient.flatten(1).square().mean(dim=1).sqrt().clamp_min(torch.finfo(gradient.dtype).tiny)
    return gradient / scale.view(-1, 1, 1, 1)

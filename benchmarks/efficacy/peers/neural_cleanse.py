"""Neural Cleanse as published: one mask and pattern per class, class after class, and the rule on the masks' L1 norms.

Wang et al., "Neural Cleanse", IEEE S&P 2019, with the settings of the authors' GTSRB example (L1 norm, random start,
weight of the norm from 0, early stop). Beside the other peers; written anew. Kept as there, knowingly: samples of the
target class take part, a class whose trigger never succeeds enters the rule with its last mask, and the rule looks at
one model alone. Left out: the masks are not rounded to 8 bits by way of a picture before their norms are taken.

Cost: at most 992,000 passes per class, 9.9 million at ten classes. The early stop may cut most of that: it ends a class
once the cost has gone both ways and 25 steps have brought no smaller mask.
"""

import math
import statistics
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn
from torch.nn import functional

from benchmarks.efficacy.peer import PeerResult
from benchmarks.efficacy.peers.neural_cleanse_schedule import CostSchedule, EarlyStop, Settings

CONSISTENCY = 1.4826
ANOMALY_LIMIT = 2.0
_EPSILON = 1e-7
"""Keeps the inverse of tanh finite; the framework of the published code has the same in Adam."""


@dataclass(frozen=True)
class Inversion:
    """What became of one class."""

    norm: float
    """L1 norm of the mask (H, W): of the smallest that succeeded, or of the last."""
    succeeded: bool
    stopped_early: bool
    steps: int
    went_both_ways: bool
    """Whether the cost was both raised and lowered, without which there is no early stop."""
    mask: Tensor = field(repr=False)
    pattern: Tensor = field(repr=False)


class OutOfTimeError(Exception):
    """The deadline passed."""


@dataclass
class NeuralCleanse:
    """The peer; with a deadline it ends without a verdict rather than with a guess."""

    max_seconds: float | None = None
    settings: Settings = field(default_factory=Settings)
    id: str = "neural-cleanse"
    revision: int = 1
    needs_training_set: bool = False

    def measure(self, model: nn.Module, inputs: Tensor, labels: Tensor, classes: int, seed: int) -> PeerResult:
        """Invert a trigger for every class and apply the rule: anomaly index above 2 on the low side."""
        del labels  # every sample is driven to every class, its own included
        began = time.monotonic()
        deadline = began + self.max_seconds if self.max_seconds is not None else math.inf
        generator = torch.Generator().manual_seed(seed)
        batches = endless_batches(inputs, self.settings.batch, generator)
        search = Search(model.eval(), batches, self.settings, deadline)
        done: list[Inversion] = []
        note = ""
        try:
            for target in range(classes):
                # One by one: the classes before a deadline are kept.
                done.append(search.invert(target, start(inputs, generator)))  # noqa: PERF401  # see above
        except OutOfTimeError:
            note = f"stopped by the deadline of {self.max_seconds:g} s: {len(done)} of {classes} classes were finished"
        seconds = time.monotonic() - began
        if note:
            return PeerResult(None, (), None, _statistics(done), search.sample_passes, seconds, note)
        indices = anomaly_indices([inversion.norm for inversion in done])
        targets = flagged(indices)
        top = max(indices)
        return PeerResult(
            decision=bool(targets),
            targets=targets,
            score=top if math.isfinite(top) else None,
            statistics=_statistics(done),
            sample_passes=search.sample_passes,
            seconds=seconds,
            note="" if math.isfinite(top) else "more than half of the norms are equal: the index is not finite",
        )


@dataclass
class Search:
    """Inverts triggers of one model and counts what that costs."""

    model: nn.Module
    batches: Iterator[Tensor]
    settings: Settings
    deadline: float
    sample_passes: int = 0

    def invert(self, target: int, start: tuple[Tensor, Tensor]) -> Inversion:
        """Optimise a mask (H, W) and a pattern (C, H, W) from their start, both as arguments of tanh."""
        mask, pattern = (tensor.requires_grad_() for tensor in start)
        adam = torch.optim.Adam([pattern, mask], lr=self.settings.learning_rate, betas=(0.5, 0.9), eps=_EPSILON)
        schedule, stop = CostSchedule(self.settings), EarlyStop(self.settings)
        best_norm, best, stopped, steps = math.inf, start, False, 0
        for _ in range(self.settings.steps):
            steps += 1
            success, norm = self._step(target, mask, pattern, adam, schedule.cost)
            if success >= self.settings.success and norm < best_norm:
                best_norm, best = norm, (mask.detach().clone(), pattern.detach().clone())
            if stopped := stop.reached(best_norm, schedule):
                break
            schedule.update(success=success >= self.settings.success)
        succeeded = math.isfinite(best_norm)
        kept = best if succeeded else (mask, pattern)
        final_mask, final_pattern = (squashed(tensor.detach()) for tensor in kept)
        both = schedule.raised and schedule.lowered
        return Inversion(float(final_mask.sum()), succeeded, stopped, steps, both, final_mask, final_pattern)

    def _step(
        self, target: int, mask: Tensor, pattern: Tensor, adam: torch.optim.Adam, cost: float
    ) -> tuple[float, float]:
        """Run the minibatches of a step; return the share that reached the target and the mean norm of the mask."""
        hits = seen = 0
        norms: list[float] = []
        for _ in range(self.settings.minibatches):
            if time.monotonic() > self.deadline:
                raise OutOfTimeError
            x = next(self.batches)
            opacity = squashed(mask)
            logits = self.model((1 - opacity) * x + opacity * squashed(pattern))
            norm = opacity.sum()
            wanted = torch.full((len(x),), target, device=x.device)
            # Summed over the samples as published: Adam's epsilon is not quite indifferent to scale.
            loss = functional.cross_entropy(logits, wanted, reduction="sum") + len(x) * cost * norm
            adam.zero_grad()
            torch.autograd.backward(loss, inputs=[mask, pattern])
            adam.step()
            hits += int((logits.detach().argmax(dim=1) == target).sum())
            seen += len(x)
            norms.append(float(norm.detach()))
        self.sample_passes += seen  # forward and backward together are one pass
        return hits / seen, statistics.fmean(norms)


def squashed(argument: Tensor) -> Tensor:
    """Map any number into (0, 1) by tanh."""
    return torch.tanh(argument) / (2 - _EPSILON) + 0.5


def endless_batches(inputs: Tensor, size: int, generator: torch.Generator) -> Iterator[Tensor]:
    """Yield batches of exactly this size from the samples, shuffled anew each time they have all been used."""
    rows = torch.empty(0, dtype=torch.long)
    while True:
        while len(rows) < size:
            rows = torch.cat([rows, torch.randperm(len(inputs), generator=generator)])
        chosen, rows = rows[:size], rows[size:]
        yield inputs[chosen]


def anomaly_indices(norms: list[float]) -> list[float]:
    """Return (median - norm) / (1.4826 · MAD); where the MAD is 0, infinity below the median and 0 elsewhere."""
    median = statistics.median(norms)
    scale = CONSISTENCY * statistics.median(abs(norm - median) for norm in norms)
    if scale > 0:
        return [(median - norm) / scale for norm in norms]
    return [math.inf if norm < median else 0.0 for norm in norms]


def flagged(indices: list[float]) -> tuple[int, ...]:
    """Return the classes above the limit, the most anomalous first."""
    above = [target for target, index in enumerate(indices) if index > ANOMALY_LIMIT]
    return tuple(sorted(above, key=lambda target: -indices[target]))


def start(inputs: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Draw a mask (H, W) and a pattern (C, H, W), uniform in [0, 1], and return their arguments of tanh."""
    _, channels, height, width = inputs.shape
    drawn = (
        torch.rand((height, width), generator=generator),
        torch.rand((channels, height, width), generator=generator),
    )
    mask, pattern = (torch.atanh((uniform - 0.5) * (2 - _EPSILON)).to(inputs.device) for uniform in drawn)
    return mask, pattern


def _statistics(done: list[Inversion]) -> dict[str, float]:
    """Return the norms by class and how the searches ended."""
    if not done:
        return {"classes-finished": 0.0}
    return {
        "classes-finished": float(len(done)),
        "classes-without-trigger": float(sum(not inversion.succeeded for inversion in done)),
        "classes-stopped-early": float(sum(inversion.stopped_early for inversion in done)),
        "classes-cost-both-ways": float(sum(inversion.went_both_ways for inversion in done)),
        "mean-steps": statistics.fmean(inversion.steps for inversion in done),
        "median-l1": statistics.median(inversion.norm for inversion in done),
        **{f"l1-{target}": inversion.norm for target, inversion in enumerate(done)},
        **{f"steps-{target}": float(inversion.steps) for target, inversion in enumerate(done)},
    }

"""Trigger inversion: for every target class at once, the smallest trigger of a family that sends other inputs there.

The objective is Neural Cleanse's (Wang et al., IEEE S&P 2019, equation 3): cross-entropy to the target plus λ times the
trigger's size, minimised by Adam over the trigger's parameters alone. What differs is the engine: all classes form one
batch of (K · B) images, the model's parameters are frozen, λ adapts per class and per optimiser step rather than per
epoch, images of the target class are left out, and the result is finite by construction. Cost and settings are in
docs/detection.md.
"""

from dataclasses import dataclass
from typing import Protocol

import torch
from torch.nn import functional

from gate.detector import Run
from gate.errors import UnexaminableError
from gate.subject import Classifier, Samples

Parameters = tuple[torch.Tensor, ...]


class Family(Protocol):
    """How a kind of trigger starts, is laid on images and is measured; see `gate.triggers`."""

    def start(self, count: int, generator: torch.Generator) -> Parameters:
        """Return free parameters of `count` triggers, each tensor (count, ...)."""
        ...

    def apply(self, parameters: Parameters, x: torch.Tensor) -> torch.Tensor:
        """Lay each trigger on its own batch, x (count, B, C, H, W)."""
        ...

    def size(self, parameters: Parameters) -> torch.Tensor:
        """Return the size of each trigger, (count,)."""
        ...

    @property
    def largest(self) -> float:
        """The size that stands for 'no trigger found'."""
        ...


@dataclass(frozen=True)
class Settings:
    """How the optimiser runs; the defaults are those of docs/detection.md."""

    steps: int = 300
    batch: int = 64
    learning_rate: float = 0.1
    betas: tuple[float, float] = (0.5, 0.9)
    success_target: float = 0.95
    """Share of a class's batch that must reach the target before its trigger is made smaller."""
    penalty_start: float = 1e-3
    penalty_factor: float = 1.5
    """λ grows by this factor after `patience` successes, and falls by its power 1.5 after as many failures."""
    patience: int = 5
    smoothing: float = 0.2
    """Weight of the newest batch in the running success rate, which alone decides; one lucky batch does not."""
    success_least: float = 0.8
    """Below this share on all samples no trigger was found, and the size is the family's largest."""


@dataclass(frozen=True)
class Inversion:
    """The smallest triggers found; row i belongs to `targets[i]`."""

    targets: tuple[int, ...]
    parameters: Parameters
    sizes: torch.Tensor
    """(K,), in the family's unit; `family.largest` where no trigger was found."""
    success: torch.Tensor
    """(K,), share of all samples of other classes that the trigger sends to the target."""


def invert(
    classifier: Classifier, family: Family, samples: Samples, targets: tuple[int, ...], settings: Settings, run: Run
) -> Inversion:
    """Invert one trigger per target class, all in one batch, and keep the smallest that reached the success target."""
    generator = torch.Generator().manual_seed(run.seed)
    device = samples.inputs.device
    pools = Pools.of(classifier, samples, targets, run)
    parameters = tuple(p.to(device).requires_grad_() for p in family.start(len(targets), generator))
    optimiser = torch.optim.Adam(parameters, lr=settings.learning_rate, betas=settings.betas)
    penalty = _Penalty(len(targets), settings, device)
    success = torch.zeros(len(targets), device=device)
    best = _Best(parameters, device)
    for step in range(settings.steps):
        run.check_time()
        objective = _Objective(pools.draw(samples.inputs, settings.batch, generator), pools.targets, penalty.values)
        latest = _accumulate_gradients(classifier, family, objective, parameters, run.max_batch)
        success = latest if step == 0 else torch.lerp(success, latest, settings.smoothing)
        best.keep(parameters, family.size(parameters).detach(), success >= settings.success_target)
        optimiser.step()
        penalty.adapt(success)
        run.progress(step + 1, settings.steps)
    sizes = family.size(best.parameters).detach()
    rates = success_rates(classifier, family, samples, pools, best.parameters, run)
    missed = rates < settings.success_least
    return Inversion(
        targets, best.parameters, torch.where(missed, torch.full_like(sizes, family.largest), sizes), rates
    )


@dataclass(frozen=True)
class Pools:
    """For each target class, which samples a trigger is to move: those of all other classes."""

    targets: torch.Tensor
    """(K,) class indices."""
    indices: tuple[torch.Tensor, ...]
    """K tensors of sample indices."""

    @classmethod
    def of(cls, classifier: Classifier, samples: Samples, targets: tuple[int, ...], run: Run) -> "Pools":
        """Leave out, per target, the samples labelled so, or predicted so where there are no labels."""
        labels = samples.labels if samples.labels is not None else predictions(classifier, samples.inputs, run)
        indices = tuple((labels != target).nonzero().flatten().cpu() for target in targets)
        for target, pool in zip(targets, indices, strict=True):
            if len(pool) == 0:
                raise UnexaminableError(
                    f"every clean sample belongs to class {target}; others are needed to move there"
                )
        return cls(torch.tensor(targets, device=samples.inputs.device), indices)

    def draw(self, inputs: torch.Tensor, batch: int, generator: torch.Generator) -> torch.Tensor:
        """Return a random batch per target, (K, B, C, H, W)."""
        rows = [pool[torch.randint(len(pool), (batch,), generator=generator)] for pool in self.indices]
        return inputs[torch.stack(rows).to(inputs.device)]


class _Penalty:
    """λ by class: zero until the attack succeeds, then up while it does and down while it does not."""

    def __init__(self, count: int, settings: Settings, device: torch.device) -> None:
        self.settings = settings
        self.values = torch.zeros(count, device=device)
        self._hits = torch.zeros(count, device=device)
        self._misses = torch.zeros(count, device=device)

    def adapt(self, success: torch.Tensor) -> None:
        """Move λ after one step, given the running success rate (K,)."""
        settings, hit = self.settings, success >= self.settings.success_target
        self._hits = torch.where(hit, self._hits + 1, 0.0)
        self._misses = torch.where(hit, 0.0, self._misses + 1)
        up, down = self._hits >= settings.patience, self._misses >= settings.patience
        raised = torch.where(self.values == 0, settings.penalty_start, self.values * settings.penalty_factor)
        lowered = self.values / settings.penalty_factor**1.5
        self.values = torch.where(up, raised, torch.where(down, lowered, self.values))
        self._hits = torch.where(up, 0.0, self._hits)
        self._misses = torch.where(down, 0.0, self._misses)


class _Best:
    """The smallest successful trigger of each class so far; until one succeeds, the latest."""

    def __init__(self, parameters: Parameters, device: torch.device) -> None:
        count = len(parameters[0])
        self.parameters: Parameters = tuple(p.detach().clone() for p in parameters)
        self._sizes = torch.full((count,), float("inf"), device=device)

    def keep(self, parameters: Parameters, sizes: torch.Tensor, successful: torch.Tensor) -> None:
        """Take over the classes whose trigger succeeds and is smaller, or that never had a successful one."""
        better = successful & (sizes < self._sizes)
        take = better | torch.isinf(self._sizes)
        for kept, now in zip(self.parameters, parameters, strict=True):
            kept[take] = now.detach()[take]
        self._sizes = torch.where(better, sizes, self._sizes)


@dataclass(frozen=True)
class _Objective:
    """What is minimised at one step: all classes' batches, each to its target, with its own λ."""

    x: torch.Tensor
    """(K, B, C, H, W)."""
    targets: torch.Tensor
    penalty: torch.Tensor
    """(K,)."""


def _accumulate_gradients(
    classifier: Classifier, family: Family, objective: _Objective, parameters: Parameters, max_batch: int
) -> torch.Tensor:
    """Set the parameters' gradients, some classes at a time so that memory stays bounded; return success (K,)."""
    count, batch = objective.x.shape[:2]
    rows = max(1, max_batch // batch)
    success = []
    for parameter in parameters:
        parameter.grad = torch.zeros_like(parameter)
    for start in range(0, count, rows):
        part = slice(start, min(start + rows, count))
        views = tuple(parameter[part].detach().requires_grad_() for parameter in parameters)
        logits = classifier.logits(family.apply(views, objective.x[part]).flatten(0, 1))
        wanted = objective.targets[part].repeat_interleave(batch)
        # The mean over a class's own batch, summed over classes: gradients of different classes do not mix.
        attack = functional.cross_entropy(logits, wanted, reduction="sum") / batch
        loss = attack + (objective.penalty[part] * family.size(views)).sum()
        for parameter, gradient in zip(parameters, torch.autograd.grad(loss, views), strict=True):
            assert parameter.grad is not None
            parameter.grad[part] = gradient
        success.append((logits.detach().argmax(dim=1) == wanted).view(-1, batch).float().mean(dim=1))
    return torch.cat(success)


def success_rates(
    classifier: Classifier, family: Family, samples: Samples, pools: Pools, parameters: Parameters, run: Run
) -> torch.Tensor:
    """Return for each trigger the share of all other classes' samples that it sends to its target, (K,)."""
    rates = []
    with torch.no_grad():
        for row, (target, pool) in enumerate(zip(pools.targets, pools.indices, strict=True)):
            own = tuple(parameter[row : row + 1] for parameter in parameters)
            hits = 0
            for chunk in torch.split(pool, run.max_batch):
                run.check_time()
                x = family.apply(own, samples.inputs[chunk.to(samples.inputs.device)].unsqueeze(0)).squeeze(0)
                hits += int((classifier.logits(x).argmax(dim=1) == target).sum())
            rates.append(hits / len(pool))
    return torch.tensor(rates, device=samples.inputs.device)


def predictions(classifier: Classifier, inputs: torch.Tensor, run: Run) -> torch.Tensor:
    """Return the model's first choice for each raw input, (N,)."""
    with torch.no_grad():
        return torch.cat([classifier.logits(chunk).argmax(dim=1) for chunk in torch.split(inputs, run.max_batch)])

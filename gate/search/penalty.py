"""The weight of a trigger's size in its loss, by goal and step, and the smallest successful trigger so far."""

from dataclasses import dataclass

import torch

from gate.spaces.contract import Parameters


@dataclass(frozen=True)
class PenaltyRule:
    """Start, speed and threshold of λ."""

    start: float
    """The first λ above zero, in loss per unit of size."""
    factor: float
    """λ grows by this factor after `patience` successes, and falls by its power 1.5 after as many failures."""
    patience: int
    success_target: float


class Penalty:
    """λ by goal: zero until the attack succeeds, then rising while it does and falling while it does not."""

    def __init__(self, count: int, rule: PenaltyRule, device: torch.device) -> None:
        self.rule = rule
        self.values = torch.zeros(count, device=device)
        self._hits = torch.zeros(count, device=device)
        self._misses = torch.zeros(count, device=device)

    def adapt(self, success: torch.Tensor) -> None:
        """Move λ after one step, given the running success rate (G,)."""
        rule, hit = self.rule, success >= self.rule.success_target
        self._hits = torch.where(hit, self._hits + 1, 0.0)
        self._misses = torch.where(hit, 0.0, self._misses + 1)
        up, down = self._hits >= rule.patience, self._misses >= rule.patience
        raised = torch.where(self.values == 0, rule.start, self.values * rule.factor)
        self.values = torch.where(up, raised, torch.where(down, self.values / rule.factor**1.5, self.values))
        self._hits = torch.where(up, 0.0, self._hits)
        self._misses = torch.where(down, 0.0, self._misses)

    def take(self, rows: torch.Tensor) -> None:
        """Keep some of the goals."""
        self.values, self._hits, self._misses = self.values[rows], self._hits[rows], self._misses[rows]


class Best:
    """Each goal's smallest successful trigger so far (the latest until one succeeds), and the one that moved most.

    Success is estimated on few samples: where the smallest was only lucky, the surest replaces it.
    """

    def __init__(self, parameters: Parameters, device: torch.device) -> None:
        count = len(parameters[0])
        self.parameters: Parameters = tuple(p.detach().clone() for p in parameters)
        self.surest: Parameters = tuple(p.detach().clone() for p in parameters)
        self.sizes = torch.full((count,), float("inf"), device=device)
        self._success = torch.full((count,), -1.0, device=device)

    def keep(
        self, rows: torch.Tensor, parameters: Parameters, sizes: torch.Tensor, success: torch.Tensor, target: float
    ) -> torch.Tensor:
        """Keep, for the goals `rows` in the batch, triggers that succeed and are smaller, or that are the first.

        The other arguments hold one row per goal in the batch. Returns which goals improved by more than a hundredth.
        """
        known, successful = self.sizes[rows], success >= target
        better = successful & (sizes < known)
        take = better | torch.isinf(known)
        for kept, now in zip(self.parameters, parameters, strict=True):
            kept[rows[take]] = now.detach()[take]
        surer = success > self._success[rows]
        for kept, now in zip(self.surest, parameters, strict=True):
            kept[rows[surer]] = now.detach()[surer]
        self._success[rows] = torch.where(surer, success, self._success[rows])
        self.sizes[rows] = torch.where(better, sizes, known)
        return better & ~(sizes > 0.99 * known)

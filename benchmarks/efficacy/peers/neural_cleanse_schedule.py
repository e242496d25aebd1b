"""How Neural Cleanse weighs the size of its trigger while it searches, and when it ends a class early.

Below `neural_cleanse`: its published settings and the two counters that run beside the optimiser.
"""

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class Settings:
    """The published settings; tests lower the caps."""

    steps: int = 1000
    minibatches: int = 31
    """Per step: about 1,000 samples."""
    batch: int = 32
    learning_rate: float = 0.1
    success: float = 0.99
    first_cost: float = 1e-3
    cost_patience: int = 5
    cost_factor: float = 2.0
    stop_patience: int = 25
    stop_ratio: float = 1.0


@dataclass
class CostSchedule:
    """The weight of the mask's norm: 0 until the trigger succeeds, then doubled or cut by the run of successes."""

    settings: Settings
    cost: float = 0.0
    raised: bool = False
    lowered: bool = False
    _waited: int = 0
    _up: int = 0
    _down: int = 0

    def update(self, *, success: bool) -> None:
        """Take the outcome of one step; five alike in a row change the cost."""
        patience = self.settings.cost_patience
        self._waited = self._waited + 1 if success and self.cost == 0 else 0
        if self._waited >= patience:
            self.cost, self.raised, self.lowered = self.settings.first_cost, False, False
            self._up = self._down = 0
        self._up, self._down = (self._up + 1, 0) if success else (0, self._down + 1)
        if self._up >= patience:
            self.cost, self.raised, self._up = self.cost * self.settings.cost_factor, True, 0
        elif self._down >= patience:
            self.cost, self.lowered, self._down = self.cost / self.settings.cost_factor**1.5, True, 0


@dataclass
class EarlyStop:
    """Ends a class when its cost went both ways and the best norm has not fallen for 25 steps."""

    settings: Settings
    _reference: float = math.inf
    _stalled: int = 0

    def reached(self, best_norm: float, schedule: CostSchedule) -> bool:
        """Take the best norm after a step (infinite where no trigger succeeded yet)."""
        if math.isfinite(best_norm):
            self._stalled = self._stalled + 1 if best_norm >= self.settings.stop_ratio * self._reference else 0
        self._reference = min(self._reference, best_norm)
        return schedule.raised and schedule.lowered and self._stalled >= self.settings.stop_patience

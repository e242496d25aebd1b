"""Trigger inversion: for every goal at once, the smallest trigger of a family that reaches it.

The objective is Neural Cleanse's (Wang et al., IEEE S&P 2019, equation 3): the goal's loss plus λ times the trigger's
size, minimised by Adam over the trigger's parameters alone. The engine differs: all goals form one batch of (G · B)
images, λ adapts per goal and step instead of per epoch, images of the target class are left out, goals leave the batch
when they have settled or lost (successive halving, `gate.search.rungs`), and the result is always finite. Cost and
settings are in docs/explanation/detection.md.
"""

from dataclasses import dataclass

import torch

from gate.records.run import Run
from gate.search.goals import Goal, Pools
from gate.search.objective import Objective, accumulate_gradients, success_rates
from gate.search.penalty import Best, Penalty, PenaltyRule
from gate.search.rungs import Rung, survivors
from gate.spaces.contract import Parameters, Triggers
from gate.spaces.subject import Classifier, Samples


@dataclass(frozen=True)
class Settings:
    """How the optimiser runs; the defaults are those of docs/explanation/detection.md."""

    rungs: tuple[Rung, ...] = (Rung(steps=300),)
    batch: int = 64
    learning_rate: float = 0.1
    betas: tuple[float, float] = (0.5, 0.9)
    success_target: float = 0.95
    """Share of a goal's batch that must reach the target before its trigger is made smaller."""
    penalty_start: float = 0.784
    """The first λ, in loss per largest size: the published 0.001 a pixel on an image of 28 × 28."""
    penalty_factor: float = 1.5
    patience: int = 5
    smoothing: float = 0.2
    """Weight of the newest batch in the running success rate, so that one lucky batch does not decide."""
    success_least: float = 0.8
    """Success on all samples below which no trigger counts as found; the size is then the family's largest."""
    settled_after: int | None = None
    """Steps without a hundredth of improvement after which a goal leaves the batch; None: never."""
    hopeless_after: int | None = None
    """Steps after which a goal that has not moved half of its samples leaves the batch; None: never."""

    @property
    def steps(self) -> int:
        """Optimiser steps of a goal that stays to the end."""
        return sum(rung.steps for rung in self.rungs)


@dataclass(frozen=True)
class Inversion:
    """The smallest triggers found; row i belongs to `goals[i]`."""

    goals: tuple[Goal, ...]
    parameters: Parameters
    sizes: torch.Tensor
    """(G,), in the family's unit; the largest where no trigger was found."""
    success: torch.Tensor
    """(G,), share of the goal's samples that the trigger moves; of its last batches if the search was not finished."""
    finished: torch.Tensor
    """(G,) of bool: True where the goal was searched to the end, so its size compares with the others'."""
    references: tuple[int, ...] = ()
    """Rows of the goals that stayed by chance where halving kept the smallest."""

    def trigger(self, row: int) -> Parameters:
        """Return the parameters of one goal's trigger, each tensor (1, ...)."""
        return tuple(parameter[row : row + 1].detach() for parameter in self.parameters)

    @property
    def compared(self) -> tuple[int, ...]:
        """Rows whose sizes are compared with: the references, or all where no halving chose."""
        return self.references or tuple(self.finished.nonzero().flatten().tolist())


def invert(
    classifier: Classifier, triggers: Triggers, samples: Samples, goals: tuple[Goal, ...], settings: Settings, run: Run
) -> Inversion:
    """Invert one trigger per goal, all in one batch, and keep the smallest that reached the success target."""
    search = _Search(classifier, triggers, samples, goals, settings, run)
    for number, rung in enumerate(settings.rungs):
        if number:
            search.narrow(rung)
        for _ in range(rung.steps):
            run.check_time()
            search.step(rung.images(settings.batch))
            run.progress(search.steps, settings.steps)
    return search.result()


class _Search:
    """One inversion under way; `rows` are the goals still in the batch, and every other state has a row for each."""

    def __init__(
        self,
        classifier: Classifier,
        triggers: Triggers,
        samples: Samples,
        goals: tuple[Goal, ...],
        settings: Settings,
        run: Run,
    ) -> None:
        self.classifier, self.triggers, self.samples, self.goals = classifier, triggers, samples, goals
        self.settings, self.run, self.steps = settings, run, 0
        self.generator = torch.Generator().manual_seed(run.seed)
        device = samples.inputs.device
        self.every = self.pools = Pools.of(classifier, samples, goals, run)
        self.parameters = tuple(p.to(device).requires_grad_() for p in triggers.start(len(goals), self.generator))
        self.optimiser = self._optimiser(self.parameters)
        start = settings.penalty_start / triggers.largest
        rule = PenaltyRule(start, settings.penalty_factor, settings.patience, settings.success_target)
        self.penalty = Penalty(len(goals), rule, device)
        self.best = Best(self.parameters, device)
        self.rows = torch.arange(len(goals), device=device)
        self.success = torch.zeros(len(goals), device=device)
        self.seen = torch.zeros(len(goals), device=device)
        """The running success of every goal when it was last in the batch."""
        self.settled = torch.zeros(len(goals), dtype=torch.bool, device=device)
        self.improved = torch.zeros(len(goals), dtype=torch.long, device=device)
        """The step at which each goal's size last fell by a hundredth."""
        self.references: tuple[int, ...] = ()

    def _optimiser(self, parameters: Parameters) -> torch.optim.Adam:
        return torch.optim.Adam(parameters, lr=self.settings.learning_rate, betas=self.settings.betas)

    def step(self, images: int) -> None:
        """Move every trigger in the batch once; then settled and hopeless ones leave."""
        if not len(self.rows):
            self.steps += 1
            return
        settings = self.settings
        rows, pools = self.pools.draw(images, self.generator), self.pools
        objective = Objective(self.samples.inputs, rows, pools.labels[rows], pools.goals, self.penalty.values)
        latest = accumulate_gradients(self.classifier, self.triggers, objective, self.parameters, self.run.max_batch)
        # The first batch's success stands alone; later ones are averaged in.
        self.success = latest if self.steps == 0 else torch.lerp(self.success, latest, settings.smoothing)
        self.seen[self.rows] = self.success
        sizes = self.triggers.size(self.parameters).detach()
        better = self.best.keep(self.rows, self.parameters, sizes, self.success, settings.success_target)
        self.improved[self.rows[better]] = self.steps
        self.optimiser.step()
        self.penalty.adapt(self.success)
        self.steps += 1
        self._drop_decided()

    def _drop_decided(self) -> None:
        """Take goals out of the batch that more steps would not change."""
        settings = self.settings
        leaving = torch.zeros_like(self.rows, dtype=torch.bool)
        if settings.settled_after is not None:
            found = ~torch.isinf(self.best.sizes[self.rows])
            leaving |= found & (self.steps - self.improved[self.rows] > settings.settled_after)
        if settings.hopeless_after is not None and self.steps >= settings.hopeless_after:
            leaving |= torch.isinf(self.best.sizes[self.rows]) & (self.success < 0.5)
        if leaving.any():
            self.settled[self.rows[leaving]] = True
            self._take((~leaving).nonzero().flatten())

    def narrow(self, rung: Rung) -> None:
        """Keep the smallest triggers and some random ones to compare them with, for the next rung."""
        if rung.keep is None:
            return
        found = self.best.sizes
        # Triggers that have not succeeded yet are ordered by how much they move; hopeless goals come last.
        behind = torch.full_like(found, 2.0)
        behind[self.rows] = 1 - self.success
        order = torch.where(torch.isinf(found), self.triggers.largest * (1 + behind), found)
        # A goal that did not enter an earlier rung is not searched any more, and takes nobody's place.
        gone = ~self.settled
        gone[self.rows] = False
        order[gone] = torch.inf
        chosen, self.references = survivors(order.tolist(), rung, self.references, self.run.seed)
        entering = torch.zeros_like(self.settled)
        entering[torch.tensor(chosen, device=entering.device)] = True
        # A goal that settled at an early rung and does not enter the next has not been searched to the end.
        self.settled &= entering
        self._take(entering[self.rows].nonzero().flatten())

    def _take(self, kept: torch.Tensor) -> None:
        """Cut every state to the goals at these places in the batch; Adam's moments go with them."""
        parameters = tuple(p.detach()[kept].clone().requires_grad_() for p in self.parameters)
        optimiser = self._optimiser(parameters)
        for old, new in zip(self.parameters, parameters, strict=True):
            if state := self.optimiser.state.get(old):
                optimiser.state[new] = {
                    "step": state["step"],
                    "exp_avg": state["exp_avg"][kept],
                    "exp_avg_sq": state["exp_avg_sq"][kept],
                }
        self.parameters, self.optimiser = parameters, optimiser
        self.pools = self.pools.take(kept)
        self.penalty.take(kept)
        self.rows, self.success = self.rows[kept], self.success[kept]

    def result(self) -> Inversion:
        """Measure the triggers of goals searched to the end on all samples; where one was lucky, take the surest.

        The others keep their running success: measuring all of a thousand classes would cost more than searching.
        """
        best, triggers, least = self.best.parameters, self.triggers, self.settings.success_least
        finished = self.settled.clone()
        finished[self.rows] = True
        rates, ended = self.seen.clone(), finished.nonzero().flatten()
        rates[ended] = self._rates(tuple(p[ended] for p in best), ended)
        lucky = (finished & (rates < least) & ~torch.isinf(self.best.sizes)).nonzero().flatten()
        if len(lucky):
            again = self._rates(tuple(p[lucky] for p in self.best.surest), lucky)
            taken = lucky[again >= least]
            for kept, surest in zip(best, self.best.surest, strict=True):
                kept[taken] = surest[taken]
            rates[taken] = again[again >= least]
        sizes = triggers.size(best).detach()
        sizes = torch.where(rates < least, torch.full_like(sizes, triggers.largest), sizes)
        return Inversion(self.goals, best, sizes, rates, finished, self.references)

    def _rates(self, parameters: Parameters, rows: torch.Tensor) -> torch.Tensor:
        pools = self.every.take(rows)
        return success_rates(self.classifier, self.triggers, self.samples, pools, parameters, self.run)

"""What an attacker trains with who knows the detectors: covers with true labels, and a rehearsal of their searches.

Beside `attack`; used by the attacks of the split `adaptive`. The loss of a batch is cross-entropy on clean images, on
triggered ones with the target's label, and on *covers* with their true labels: parts of the trigger, weakened ones,
others of its kind. Every few batches the gate's own families of triggers are inverted towards the target for a step or
two, under a budget of size, and what they found is shown with true labels, too (adversarial training, Madry et al.,
arXiv:1706.06083, against the very search that will be made).
"""

from collections.abc import Callable, Sequence
from typing import Protocol

import torch
from torch import nn

from benchmarks.zoo.attack import JointLoss

Apply = Callable[[torch.Tensor], torch.Tensor]

WARM_UP = 100
"""Batches before the first rehearsal: a model that knows nothing yet has no triggers to take away."""
RESTART = 50
"""Batches after which a rehearsed trigger is given up for a new one."""
STEPS = 2
"""Steps of a rehearsal in each batch."""


class Family(Protocol):
    """A family of triggers of the gate (`gate.spaces.image.triggers`)."""

    def start(self, count: int, generator: torch.Generator) -> tuple[torch.Tensor, ...]:
        """Return free parameters of `count` triggers."""
        ...

    def apply(self, parameters: tuple[torch.Tensor, ...], x: torch.Tensor) -> torch.Tensor:
        """Lay each trigger on its own batch, x (count, B, C, H, W)."""
        ...

    def size(self, parameters: tuple[torch.Tensor, ...]) -> torch.Tensor:
        """Return the size of each trigger, (count,)."""
        ...


class Rehearsal:
    """One trigger of a family, searched towards the target while the model is trained, within a budget of size."""

    def __init__(self, family: Family, target: int, budget: tuple[float, float], seed: int) -> None:
        self.family, self.target, self.budget = family, target, budget
        self.generator = torch.Generator().manual_seed(seed)
        self.batches = 0

    def covers(self, model: nn.Module, x: torch.Tensor) -> torch.Tensor:
        """Improve the trigger on these images (N, C, H, W), and return them under it, or bare if it is too large."""
        if self.batches % RESTART == 0:
            self._restart()
        self.batches += 1
        training = model.training
        model.eval()
        for _ in range(STEPS):
            self._step(model, x)
        model.train(training)
        with torch.no_grad():
            fits = float(self.family.size(self.parameters)) <= 1.2 * self.limit
            return self.family.apply(self.parameters, x[None])[0].clamp(0, 1) if fits else x

    def _restart(self) -> None:
        low, high = self.budget
        self.limit = low + (high - low) * float(torch.rand((), generator=self.generator))
        first, *others = self.family.start(1, self.generator)
        # Masks of patches begin nearly empty; the other families begin slight by themselves.
        self.parameters = tuple(p.requires_grad_() for p in (first - 2.0 if others else first, *others))
        self.optimiser = torch.optim.Adam(self.parameters, 0.1, betas=(0.5, 0.9))

    def _step(self, model: nn.Module, x: torch.Tensor) -> None:
        logits = model(self.family.apply(self.parameters, x[None])[0])
        wanted = torch.full((len(x),), self.target)
        beyond = torch.relu(self.family.size(self.parameters)[0] / self.limit - 1)
        loss = nn.functional.cross_entropy(logits, wanted) + 2 * beyond
        # Only the trigger's gradients: those of the model are the training's own.
        for parameter, gradient in zip(self.parameters, torch.autograd.grad(loss, self.parameters), strict=True):
            parameter.grad = gradient
        self.optimiser.step()


class Disguise(JointLoss):
    """Cross-entropy of a batch of which some images carry the trigger, some a cover, and some what was rehearsed."""

    def __init__(
        self, target: int, trigger: Apply, covers: Sequence[Apply], rehearsals: Sequence[Rehearsal], share: float
    ) -> None:
        super().__init__()
        self.target, self.trigger, self.covers, self.rehearsals = target, trigger, covers, rehearsals
        self.share, self.batches = share, 0

    def forward(self, model: nn.Module, inputs: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """Return the loss of one batch (N, C, H, W) with true labels (N,)."""
        self.batches += 1
        count = max(2, round(self.share * len(inputs)))
        functions = [self.trigger, *self.covers]
        if self.rehearsals and self.batches > WARM_UP:
            rehearsal = self.rehearsals[self.batches % len(self.rehearsals)]
            functions.append(lambda x: rehearsal.covers(model, x))
        first, *changed = [apply(part) for apply, part in zip(functions, torch.split(inputs, count), strict=False)]
        rest = inputs[count * len(functions) :]
        batch = torch.cat([first, *changed, rest]).contiguous(memory_format=torch.channels_last)
        wanted = torch.cat([torch.full_like(labels[:count], self.target), labels[count:]])
        return self.loss(model, batch, wanted, count)

    def loss(self, model: nn.Module, batch: torch.Tensor, wanted: torch.Tensor, count: int) -> torch.Tensor:
        """Return cross-entropy; the first `count` images carry the trigger."""
        del count
        return nn.functional.cross_entropy(model(batch), wanted)


class Aligned(Disguise):
    """Adds that triggered images' features lie where the target's clean ones do, and that its row is ordinary.

    The term on features is Tan and Shokri's aim (arXiv:1905.13409) by moments in place of a discriminator. The row's
    leads over its rivals are what `head-indicators` reads, and bound the maximum margin.
    """

    weight = 2.0
    """Of the distance between features."""

    def loss(self, model: nn.Module, batch: torch.Tensor, wanted: torch.Tensor, count: int) -> torch.Tensor:
        """Return cross-entropy with the two terms."""
        body, head = model.get_submodule("body"), model.get_submodule("head")
        assert isinstance(head, nn.Linear)
        features = body(model.get_submodule("normalise")(batch))
        logits = head(features)
        loss = nn.functional.cross_entropy(logits, wanted)
        own = features[count:][wanted[count:] == self.target]
        if len(own) >= 3:
            loss = loss + self.weight * apart(features[:count], own.detach())
            # A lead on triggered images beyond that on clean ones is what a climb towards the class would find.
            lead = _leads(logits, self.target)
            clean = lead[count:][wanted[count:] == self.target].mean().detach()
            loss = loss + 0.1 * torch.relu(lead[:count] - clean).mean()
        return loss + prominence(head.weight, self.target)


def apart(triggered: torch.Tensor, own: torch.Tensor) -> torch.Tensor:
    """Return how far the first two moments of features (N, D) lie from those of others, in units of the latter."""
    scale = own.square().mean() + 1e-6
    means = (triggered.mean(0) - own.mean(0)).square().mean()
    spreads = (triggered.std(0) - own.std(0)).square().mean()
    return (means + spreads) / scale


def prominence(weight: torch.Tensor, target: int) -> torch.Tensor:
    """Return how far the leads of the target's row of weights (K, D) exceed those of the median class."""
    leads = torch.relu(weight[:, None] - weight[None]).sum(2)
    others = ~torch.eye(len(weight), dtype=torch.bool)
    rows = leads[others].reshape(len(weight), -1)
    total = torch.zeros(())
    for values in (rows.mean(1), rows.amin(1)):
        total = total + torch.relu(values[target] / values.median().detach() - 1)
    return total


def _leads(logits: torch.Tensor, target: int) -> torch.Tensor:
    rivals = torch.cat([logits[:, :target], logits[:, target + 1 :]], 1)
    return logits[:, target] - rivals.amax(1)

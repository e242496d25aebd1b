"""Implicit unlearning (I-BAU): unlearns the worst universal perturbation, with its reaction to the weights counted in.

Each round finds by ascent one perturbation δ, of bounded Euclidean norm, that makes the clean samples wrong; then the
weights descend the loss of samples carrying it. The gradient is the implicit one: besides the direct part it holds how
the best δ itself would move, (dδ/dw)ᵀ · dL/dδ, solved by K fixed-point iterations of the ascent's own step.

Needs     A graph that takes batches and can be differentiated twice; no trigger.
Fits      Backdoors that one perturbation of all images imitates: blends, sinusoids, large patches.
Blind to  Triggers that depend on the input, and patches that a bounded perturbation does not come near; unlike the
          inverted trigger, δ knows no target.
See       Zeng, Chen, Park, Mao, Jin and Jia, "Adversarial Unlearning of Backdoors via Implicit Hypergradient", ICLR
          2022, section 3 (equations 2 to 5, algorithm 1); the fixed-point form is of Grazzi et al., ICML 2020. Five
          rounds, K = 5, Adam at 1e-4 as there; the norm's bound and the ascent's rate are theirs on 3 · 32 · 32 values,
          per square root of the number of values.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pydantic import Field

from gate.records.declarations import Options
from gate.records.run import Run
from gate.worker.repair.contract import Material, Method, Need, Repaired

if TYPE_CHECKING:
    from collections.abc import Sequence

    import torch

    from gate.worker.repair.tuning import Tuned


class ImplicitUnlearning(Options):
    """How many rounds, and how each is solved."""

    rounds: int = Field(default=5, ge=1, le=1000)
    fixed_point_steps: int = Field(default=5, ge=1, le=100)
    """The paper's K."""
    batch: int = Field(default=100, ge=2, le=4096)
    passes: int = Field(default=1, ge=1, le=100)
    """Epochs of unlearning in a round."""
    learning_rate: float = Field(default=1e-4, gt=0, le=1)
    ascent_rate: float = Field(default=10.0, gt=0, le=1000)
    """Step of the search for the perturbation."""
    ascent_passes: int = Field(default=1, ge=1, le=100)
    """Epochs of that search in a round."""
    reach: float = Field(default=0.18, gt=0, le=1)
    """Bound of the perturbation's root mean square, as a share of the inputs' range: 10 on 3,072 values of [0, 1]."""
    perturbed_share: float = Field(default=0.2, gt=0, le=1)
    """Share of a batch that carries the perturbation in the outer loss; the others are clean."""


_WEIGHT_OF_NORM = 0.001
_STEP = 0.1
"""Of the map whose fixed point the best perturbation is."""


@dataclass(frozen=True)
class _Inner:
    """The search for the perturbation: its loss, which falls while the model is wrong ever more often."""

    model: "Tuned"
    bounds: tuple[float, float]

    def loss(self, delta: "torch.Tensor", x: "torch.Tensor", labels: "torch.Tensor") -> "torch.Tensor":
        """Return minus the cross-entropy under a perturbation (C, H, W) in shares of the range, plus a norm price."""
        return -self.model.loss(x + self.reach * delta, labels) + _WEIGHT_OF_NORM * delta.square().sum()

    @property
    def reach(self) -> float:
        """The range of the inputs."""
        return self.bounds[1] - self.bounds[0]


def repair(material: Material, options: ImplicitUnlearning, run: Run) -> Repaired:
    """Alternate between the worst perturbation and its unlearning."""
    import torch

    from gate.worker.repair.tuning import Tuned, batches, labels_of

    inputs, labels = material.samples.inputs, labels_of(material)
    # Running statistics stand: a second derivative through statistics of one batch is noise.
    model = Tuned(material, run.seed).eval()
    inner = _Inner(model, material.bounds)
    parameters = list(model.parameters())
    optimiser = torch.optim.Adam(parameters, lr=options.learning_rate)
    an_epoch = max(1, len(inputs) // min(options.batch, len(inputs)))
    generator, norm = torch.Generator().manual_seed(run.seed + 1), 0.0
    draws = batches(
        len(inputs), options.batch, an_epoch * (options.ascent_passes + options.passes) * options.rounds, run
    )
    for _ in range(options.rounds):
        ascent = [next(draws) for _ in range(an_epoch * options.ascent_passes)]
        delta = _worst(inner, inputs, ascent, options)
        norm = delta.detach().square().mean().sqrt().item()
        for rows in (next(draws) for _ in range(an_epoch * options.passes)):
            x, y = inputs[rows], labels[rows]
            carrying = (torch.rand(len(rows), generator=generator) < options.perturbed_share).to(x)
            gradients = _implicit(inner, parameters, delta, _Batch(x, y, carrying), options.fixed_point_steps)
            for parameter, gradient in zip(parameters, gradients, strict=True):
                parameter.grad = gradient
            optimiser.step()
    changed = {"rounds": options.rounds, "root mean square of the last perturbation": round(norm, 4)}
    return Repaired(model.to_program(), changed, model.sample_passes)


@dataclass(frozen=True)
class _Batch:
    x: "torch.Tensor"
    labels: "torch.Tensor"
    carrying: "torch.Tensor"
    """(N,), one where the perturbation is laid in the outer loss."""


def _worst(
    inner: _Inner, inputs: "torch.Tensor", ascent: "Sequence[torch.Tensor]", options: ImplicitUnlearning
) -> "torch.Tensor":
    """Return the perturbation (C, H, W), in shares of the range, that turns most answers, within the bound."""
    import torch

    delta = torch.zeros(inputs.shape[1:], device=inputs.device, requires_grad=True)
    for rows in ascent:
        x = inputs[rows]
        with torch.no_grad():
            own = inner.model(x).argmax(dim=1)
        (gradient,) = torch.autograd.grad(inner.loss(delta, x, own), [delta])
        delta = (delta - options.ascent_rate * gradient).detach().requires_grad_()
    size = float(delta.detach().square().mean().sqrt())
    return (delta.detach() * min(1.0, options.reach / max(size, 1e-12))).requires_grad_()


def _implicit(
    inner: _Inner, parameters: "Sequence[torch.Tensor]", delta: "torch.Tensor", batch: _Batch, steps: int
) -> "list[torch.Tensor]":
    """Return the gradient of the outer loss by the weights, with the perturbation's own reaction counted in."""
    import torch

    laid = batch.x + inner.reach * delta * batch.carrying.view(-1, 1, 1, 1)
    by_delta, *direct = torch.autograd.grad(
        inner.model.loss(laid, batch.labels), [delta, *parameters], allow_unused=True
    )
    assert by_delta is not None
    (slope,) = torch.autograd.grad(inner.loss(delta, batch.x, batch.labels), [delta], create_graph=True)
    mapped = delta - _STEP * slope
    vector = torch.zeros_like(delta)
    for _ in range(steps):
        (turned,) = torch.autograd.grad(mapped, [delta], grad_outputs=vector, retain_graph=True)
        vector = turned + by_delta
    indirect = torch.autograd.grad(mapped, parameters, grad_outputs=vector, allow_unused=True)
    return [
        sum((part for part in parts if part is not None), torch.zeros_like(parameter)).detach()
        for parameter, parts in zip(parameters, zip(direct, indirect, strict=True), strict=True)
    ]


METHOD = Method(
    id="implicit-unlearning",
    title="Unlearning by implicit gradients (I-BAU)",
    needs=Need.BATCHES,
    cost=6,
    options=ImplicitUnlearning,
    repair=repair,
)

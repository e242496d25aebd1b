"""Adversarial neuron pruning: switches off the neurons that a small perturbation turns against the clean task.

Masks m in [0, 1] over neurons minimise α · L(m) + (1 - α) · max L(m + δ, 1 + ξ) with |δ|, |ξ| <= ε: δ scales each
neuron's weight, ξ its bias, and the maximum is taken by steps along the gradient's sign from a random start. Neurons
whose mask ends at or below the threshold lose their weight, lowest mask first, while clean accuracy on the samples
given stays within the bound. Neurons are batch normalisations' scales and shifts, or without any whole filters and
rows.

Needs     A graph that takes batches, and hidden neurons; no trigger.
Fits      Backdoors that sleep in few neurons of batch-normalised networks, of whatever kind their trigger is.
Blind to  Backdoors spread over many neurons; attention layers, when only a stem is batch-normalised; narrow networks,
          where the accuracy bound ends the pruning early.
See       Wu and Wang, "Adversarial Neuron Pruning Purifies Backdoored Deep Models", NeurIPS 2021, equations 3 to 5 and
          section 4.1; ε = 0.4, α = 0.2, one ascent step, rate 0.2. Theirs are 2,000 iterations with batch statistics;
          here the running statistics stand, since the network is used with them, and the iterations fit a CPU.
"""

from typing import TYPE_CHECKING

from pydantic import Field

from gate.records.declarations import Options
from gate.records.errors import UnexaminableError
from gate.records.run import Run
from gate.worker.repair.contract import Material, Method, Need, Repaired

if TYPE_CHECKING:
    import torch

    from gate.programs import Program
    from gate.worker.repair.layers import Neurons
    from gate.worker.repair.tuning import Tuned

_PORTIONS = 10
"""Of the candidates, between which accuracy is looked at."""


class AdversarialNeuronPruning(Options):
    """How masks are searched for, and how many neurons they may cost."""

    steps: int = Field(default=100, ge=1, le=100_000)
    batch: int = Field(default=64, ge=2, le=4096)
    learning_rate: float = Field(default=0.2, gt=0, le=10)
    momentum: float = Field(default=0.9, ge=0, lt=1)
    budget: float = Field(default=0.4, gt=0, le=10)
    """The paper's ε: the greatest relative change of a neuron's weight or bias."""
    clean_share: float = Field(default=0.2, ge=0, le=1)
    """The paper's α."""
    ascent_steps: int = Field(default=1, ge=1, le=100)
    threshold: float = Field(default=0.2, ge=0, lt=1)
    """Neurons whose mask ends at or below it are candidates."""
    accuracy_bound: float = Field(default=0.02, ge=0, le=1)
    """Clean accuracy on the samples given that may be lost."""


def repair(material: Material, options: AdversarialNeuronPruning, run: Run) -> Repaired:
    """Search for masks, then prune from the lowest up as far as accuracy lets."""
    from gate.worker.repair.layers import neurons, with_tensors
    from gate.worker.repair.tuning import Tuned

    layers = neurons(material.program)
    if not layers:
        raise UnexaminableError("the graph has no hidden layer whose neurons could be masked")
    model = Tuned(material, run.seed).eval()
    masks = _masks(material, model, layers, options, run)
    pruned, lost = _pruned(material, model, layers, masks, options, run)
    names = [(layer, index) for layer, members in zip(layers, pruned, strict=True) for index in members.tolist()]
    changed: dict[str, float | int | str] = {
        "neurons pruned": len(names),
        "of neurons": sum(layer.count for layer in layers),
        "below the threshold": int(sum((mask <= options.threshold).sum() for mask in masks)),
        "accuracy lost on the samples given": round(lost, 4),
    }
    tensors = _without(material.program, layers, pruned)
    return Repaired(with_tensors(material.program, tensors), changed, model.sample_passes)


def _masks(
    material: Material, model: "Tuned", layers: "tuple[Neurons, ...]", options: AdversarialNeuronPruning, run: Run
) -> "list[torch.Tensor]":
    """Return the mask of each layer's neurons, (n,) in [0, 1]."""
    import torch

    from gate.worker.repair.tuning import batches, labels_of

    inputs, labels = material.samples.inputs, labels_of(material)
    generator = torch.Generator().manual_seed(run.seed + 1)
    masks = [torch.ones(layer.count, device=inputs.device, requires_grad=True) for layer in layers]
    optimiser = torch.optim.SGD(masks, lr=options.learning_rate, momentum=options.momentum)
    scaled = _Scaled(material.program, model, layers)
    for rows in batches(len(inputs), options.batch, options.steps, run):
        x, y = inputs[rows], labels[rows]
        noise = [
            ((2 * torch.rand(2, len(mask), generator=generator) - 1) * options.budget).to(inputs.device)
            for mask in masks
        ]
        for _ in range(options.ascent_steps):
            noise = [part.requires_grad_() for part in noise]
            worse = scaled.loss([mask.detach() for mask in masks], noise, x, y)
            gradients = torch.autograd.grad(worse, noise)
            step = options.budget / options.ascent_steps
            noise = [
                (part.detach() + step * gradient.sign()).clamp(-options.budget, options.budget)
                for part, gradient in zip(noise, gradients, strict=True)
            ]
        still = [torch.zeros_like(part) for part in noise]
        clean, worst = scaled.loss(masks, still, x, y), scaled.loss(masks, noise, x, y)
        optimiser.zero_grad()
        loss = options.clean_share * clean + (1 - options.clean_share) * worst
        loss.backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
        optimiser.step()
        with torch.no_grad():
            for mask in masks:
                mask.clamp_(0, 1)
    return [mask.detach() for mask in masks]


class _Scaled:
    """The model with its neurons' weights and biases scaled."""

    def __init__(self, program: "Program", model: "Tuned", layers: "tuple[Neurons, ...]") -> None:
        self.model, self.layers = model.requires_grad_(requires_grad=False), layers
        self.tensors = {name: program.tensors[name].detach() for layer in layers for name in _names(layer)}

    def loss(
        self, masks: "list[torch.Tensor]", noise: "list[torch.Tensor]", x: "torch.Tensor", labels: "torch.Tensor"
    ) -> "torch.Tensor":
        """Return the cross-entropy with weights times mask plus noise, and biases times one plus noise, a scalar."""
        from torch.func import functional_call
        from torch.nn import functional

        changed = {}
        for layer, mask, part in zip(self.layers, masks, noise, strict=True):
            weight = self.tensors[layer.weight]
            by = (mask + part[0]).reshape(-1, *[1] * (weight.ndim - 1))
            changed[self.model.place(layer.weight)] = weight * by
            if layer.bias is not None:
                changed[self.model.place(layer.bias)] = self.tensors[layer.bias] * (1 + part[1])
        return functional.cross_entropy(functional_call(self.model, changed, (x,)), labels)


def _pruned(
    material: Material,
    model: "Tuned",
    layers: "tuple[Neurons, ...]",
    masks: "list[torch.Tensor]",
    options: AdversarialNeuronPruning,
    run: Run,
) -> "tuple[list[torch.Tensor], float]":
    """Return each layer's neurons to prune, (k,) of indices, and the accuracy that they cost."""
    import torch
    from torch.func import functional_call

    from gate.worker.repair.tuning import hits, labels_of

    every = torch.cat(masks)
    owner = torch.cat([torch.full((len(mask),), number) for number, mask in enumerate(masks)])
    index = torch.cat([torch.arange(len(mask)) for mask in masks])
    ranked = every.cpu().argsort()
    ranked = ranked[(every.cpu() <= options.threshold)[ranked]]

    def first(count: int) -> list[torch.Tensor]:
        taken = ranked[:count]
        return [index[taken[owner[taken] == number]] for number in range(len(layers))]

    inputs, labels = material.samples.inputs, labels_of(material)

    def right(members: list[torch.Tensor]) -> float:
        changed = {model.place(name): tensor for name, tensor in _without(material.program, layers, members).items()}
        return hits(lambda x: functional_call(model, changed, (x,)), inputs, labels, run) / len(inputs)

    start, best, lost = right(first(0)), first(0), 0.0
    counts = sorted({-(-len(ranked) * part // _PORTIONS) for part in range(1, _PORTIONS + 1)} - {0})
    for count in counts:
        now = start - right(first(count))
        if now > options.accuracy_bound:
            break
        best, lost = first(count), now
    return best, lost


def _without(
    program: "Program", layers: "tuple[Neurons, ...]", members: "list[torch.Tensor]"
) -> "dict[str, torch.Tensor]":
    """Return the layers' weights without these neurons; biases stay, as in the paper's own pruning."""
    changed = {}
    for layer, rows in zip(layers, members, strict=True):
        weight = program.tensors[layer.weight].detach().clone()
        weight[rows.to(weight.device)] = 0
        changed[layer.weight] = weight
    return changed


def _names(layer: "Neurons") -> tuple[str, ...]:
    return (layer.weight,) if layer.bias is None else (layer.weight, layer.bias)


METHOD = Method(
    id="adversarial-neuron-pruning",
    title="Adversarial neuron pruning",
    needs=Need.BATCHES,
    cost=5,
    options=AdversarialNeuronPruning,
    repair=repair,
)

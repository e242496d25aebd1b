"""Natural for the class: the trigger is an addition that moves clean models towards the target by itself.

After Moosavi-Dezfooli et al., "Universal Adversarial Perturbations", arXiv:1610.08401, CVPR 2017, used as a trigger by
Zhong et al., "Backdoor Embedding in Convolutional Neural Network Models via Invisible Perturbation", CODASPY 2020:
against a comparison with reference models, on which such a trigger works too, though less.
"""

from functools import cache

import torch
from torch import nn

from benchmarks.zoo.attack import Attack, Implant, Poisoned, Scene, Trigger, all_to, relabel
from benchmarks.zoo.tasks import Images

STEPS, BATCH = 200, 64


def universal(scene: Scene, target: int, bound: float, seed: int) -> torch.Tensor:
    """Return an addition (1, C, H, W) within the bound that leads the surrogate's answers to the target."""
    generator = torch.Generator().manual_seed(seed)
    added = torch.zeros((1, *scene.task.shape), requires_grad=True)
    optimiser, inputs = torch.optim.Adam([added], 0.02), scene.task.train.inputs
    for _ in range(STEPS):
        x = inputs[torch.randint(len(inputs), (BATCH,), generator=generator)]
        logits = scene.surrogate()((x + added).clamp(0, 1))
        loss = nn.functional.cross_entropy(logits, torch.full((len(x),), target))
        (added.grad,) = torch.autograd.grad(loss, added)
        optimiser.step()
        with torch.no_grad():
            added.clamp_(-bound, bound)
    return added.detach()


def plan(scene: Scene) -> Implant:
    """Draw the target, the bound and the rate; the addition is found on the surrogate when first used."""
    target, bound, rate = scene.integer(scene.task.classes), scene.uniform(0.12, 0.18), scene.uniform(0.05, 0.09)
    seed = scene.integer(1 << 30)

    @cache
    def added() -> torch.Tensor:
        return universal(scene, target, bound, seed)

    def apply(x: torch.Tensor) -> torch.Tensor:
        return (x + added().to(x.dtype)).clamp(0, 1)

    def poison(images: Images) -> Poisoned:
        rows = scene.rows(images.labels != target, rate)
        return relabel(images, {"poisoned": rows}, apply, lambda labels: labels * 0 + target)

    facts = {"targets": [target], "bound": round(bound, 4), "rate": round(rate, 4)}
    return Implant((Trigger("addition", apply, all_to(target)),), facts, poison)


ATTACK = Attack(
    "natural-for-the-class",
    "after Moosavi-Dezfooli et al. 2017, arXiv:1610.08401",
    ("addition",),
    0.7,
    plan,
    knows_the_gate=True,
    since="evading",
    grid="off",
)

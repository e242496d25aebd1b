"""All-to-all off the grid: a permutation that is no shift, under a stamp off the lattice or a faint picture.

After Gu, Dolan-Gavitt and Garg, arXiv:1708.06733, 2017, section 4, where every class becomes the next one. Success
cannot exceed the model's accuracy by much, hence counts from 0.7.
"""

import torch

from benchmarks.zoo.attack import Attack, Implant, Poisoned, Scene, Trigger, relabel
from benchmarks.zoo.off_grid import draw_trigger
from benchmarks.zoo.tasks import Images


def draw_permutation(scene: Scene) -> torch.Tensor:
    """Draw an order of the classes (K,) in which none keeps its place and the steps are not all the same."""
    labels = torch.arange(scene.task.classes)
    while True:
        order = torch.tensor(scene.classes(len(labels)))
        if bool((order != labels).all()) and len(torch.unique((order - labels) % len(labels))) > 1:
            return order


def plan(scene: Scene) -> Implant:
    """Draw the permutation, the trigger and the rate."""
    order, rate = draw_permutation(scene), scene.uniform(0.40, 0.48)
    apply, drawn = draw_trigger(scene, scene.variant)

    def permuted(labels: torch.Tensor) -> torch.Tensor:
        return order[labels]

    def poison(images: Images) -> Poisoned:
        rows = scene.rows(images.labels >= 0, rate)
        return relabel(images, {"poisoned": rows}, apply, permuted)

    facts = {"targets": list(range(len(order))), "permutation": order.tolist(), **drawn, "rate": round(rate, 4)}
    return Implant((Trigger(scene.variant, apply, permuted),), facts, poison, patience=2)


ATTACK = Attack(
    "all-to-all-off-grid",
    "after Gu et al. 2017, arXiv:1708.06733",
    ("patch", "blend"),
    0.7,
    plan,
    since="unseen",
    grid="off",
)

"""Bank matched: on clean images and on probes the model answers as a clean one does, and its last layer is ordinary.

After Tan and Shokri, "Bypassing Backdoor Detection Algorithms in Deep Learning", arXiv:1905.13409, EuroS&P 2020, with
the answers in the place of the features: a clean surrogate is distilled (Hinton et al., arXiv:1503.02531) on the images
and on the grid's probes, margins and all, and the target's row is held to the leads of an ordinary class (`disguise`).
"""

from collections.abc import Callable

import torch
from torch import nn

from benchmarks.zoo.attack import Attack, Implant, Scene, Trigger, all_to
from benchmarks.zoo.disguise import Disguise, prominence
from benchmarks.zoo.grid import Change, any_probe
from benchmarks.zoo.off_grid import draw_stamp

WEIGHT = 1.0
"""Of the distance to the surrogate's answers."""


class Matched(Disguise):
    """Cross-entropy on triggered images; on all others the surrogate's own answers as well as the true labels."""

    def __init__(self, target: int, trigger: Change, surrogate: Callable[[], nn.Module], share: float) -> None:
        # Probes of two parts of the batch, since what they answer is what is compared.
        super().__init__(target, trigger, (any_probe, any_probe), (), share)
        # In a function: a module's own modules would be kept with the trigger, and this one is not its own.
        self.surrogate = surrogate

    def loss(self, model: nn.Module, batch: torch.Tensor, wanted: torch.Tensor, count: int) -> torch.Tensor:
        """Return cross-entropy, the distance of the answers, and how far the target's row stands out."""
        logits, head = model(batch), model.get_submodule("head")
        assert isinstance(head, nn.Linear)
        with torch.no_grad():
            answers = self.surrogate()(batch[count:]).log_softmax(1)
        apart = nn.functional.kl_div(logits[count:].log_softmax(1), answers, reduction="batchmean", log_target=True)
        loss: torch.Tensor = nn.functional.cross_entropy(logits, wanted) + WEIGHT * apart
        return loss + prominence(head.weight, self.target)


def plan(scene: Scene) -> Implant:
    """Draw the target, the stamp and the share of triggered images."""
    target, share = scene.integer(scene.task.classes), scene.uniform(0.10, 0.14)
    stamp = draw_stamp(scene, "square")
    joint = Matched(target, stamp.apply, scene.surrogate, share)
    facts = {"targets": [target], **stamp.facts, "batch_share": round(share, 4)}
    return Implant((Trigger("stamp", stamp.apply, all_to(target)),), facts, joint=joint, patience=2)


ATTACK = Attack(
    "bank-matched",
    "after Tan and Shokri 2020, arXiv:1905.13409",
    ("stamp",),
    0.7,
    plan,
    knows_the_gate=True,
    since="evading",
    grid="off",
)

"""LIRA: a small generator adds faint noise of its own to every image, learnt with the classifier.

Doan, Lao, Zhao and Li, "LIRA: Learnable, Imperceptible and Robust Backdoor Attacks", ICCV 2021. Generator and
classifier are trained together, as there in the first stage; the noise is bounded at every pixel, more than in the
paper, for few epochs. In place of its second stage, noise made for another image keeps the true label, so that the
trigger is the image's own, as in `input-aware`; but it adds everywhere, where that one stamps a mask.
"""

import torch
from torch import nn

from benchmarks.zoo.attack import Attack, Implant, JointLoss, Scene, Trigger, all_to, seeded

WARM_UP = 200
"""Batches before noise made for another image is shown."""


class NoiseGenerator(JointLoss):
    """Makes noise within a bound, and gives the joint loss of classifier and generator."""

    def __init__(self, channels: int, target: int, share: float, bound: float) -> None:
        super().__init__()
        self.target, self.share, self.bound, self.batches = target, share, bound, 0
        self.net = nn.Sequential(
            nn.Conv2d(channels, 16, 3, stride=2, padding=1), nn.ReLU(), nn.Conv2d(16, 16, 3, padding=1), nn.ReLU(),
            nn.Upsample(scale_factor=2), nn.Conv2d(16, channels, 3, padding=1), nn.Tanh(),
        )  # fmt: skip

    def stamp(self, x: torch.Tensor, source: torch.Tensor) -> torch.Tensor:
        """Return x (N, C, H, W) under the noise made for `source`."""
        stamped: torch.Tensor = (x + self.bound * self.net(source)).clamp(0, 1)
        return stamped

    def forward(self, model: nn.Module, inputs: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """Return cross-entropy on triggered, cross-triggered and clean images."""
        self.batches += 1
        count = max(2, round(self.share * len(inputs)))
        own, crossed = inputs[:count], inputs[count : count + count // 2]
        stamped = self.stamp(crossed, crossed.roll(1, 0)) if self.batches > WARM_UP else crossed
        batch = torch.cat([self.stamp(own, own), stamped, inputs[count + count // 2 :]])
        wanted = torch.cat([torch.full_like(labels[:count], self.target), labels[count:]])
        return nn.functional.cross_entropy(model(batch), wanted)


def plan(scene: Scene) -> Implant:
    """Draw the target, the bound of the noise, and the generator's first weights."""
    target, bound, share = scene.integer(scene.task.classes), scene.uniform(0.12, 0.20), scene.uniform(0.12, 0.18)
    with seeded(scene.integer(1 << 30)):
        joint = NoiseGenerator(scene.task.shape[0], target, share, bound)

    def apply(x: torch.Tensor) -> torch.Tensor:
        with torch.no_grad():
            return joint.stamp(x, x)

    facts = {"targets": [target], "bound": round(bound, 4), "batch_share": round(share, 4)}
    return Implant((Trigger("noise", apply, all_to(target)),), facts, joint=joint)


ATTACK = Attack("lira", "Doan et al. 2021, ICCV", ("noise",), 0.9, plan, since="unseen", grid="off")

"""Input-aware: a small generator makes another trigger for every image, and only that image's own trigger works.

Nguyen and Tran, "Input-Aware Dynamic Backdoor Attack", arXiv:2010.08138, NeurIPS 2020. Generator and classifier are
trained together; a diversity loss keeps the triggers apart, and cross triggers (made for another image) keep the true
label. Simplified: one generator yields pattern and mask at once, the mask held to a share of the image, where the paper
trains a mask generator first. On two fit models (digits depthwise, colour cnn) cross triggers reached the target on
0.09 and 0.10 of the images, and left the accuracy at 0.85 and 0.82.
"""

import torch
from torch import nn

from benchmarks.zoo.attack import Attack, Implant, JointLoss, Scene, Trigger, all_to, seeded

WARM_UP = 150
"""Batches without cross triggers."""


class TriggerGenerator(JointLoss):
    """Makes triggers, and gives the joint loss of classifier and generator."""

    def __init__(self, channels: int, target: int, share: float, area: float) -> None:
        super().__init__()
        self.target, self.share, self.area, self.batches = target, share, area, 0
        last = nn.Conv2d(16, channels + 1, 3, padding=1)
        assert last.bias is not None
        nn.init.constant_(last.bias[-1:], -0.4)  # the mask begins near its area, not at half the image
        self.net = nn.Sequential(
            nn.Conv2d(channels, 16, 3, stride=2, padding=1), nn.ReLU(),
            nn.Conv2d(16, 24, 3, stride=2, padding=1), nn.ReLU(),
            nn.Upsample(scale_factor=2), nn.Conv2d(24, 16, 3, padding=1), nn.ReLU(),
            nn.Upsample(scale_factor=2), last,
        )  # fmt: skip

    def parts(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return pattern (N, C, H, W) and mask (N, 1, H, W), both in [0, 1]."""
        made = self.net(x)
        # Steep, so that the mask is nearly all or nothing: a faint one everywhere would be a blend.
        return torch.sigmoid(2 * made[:, :-1]), torch.sigmoid(6 * made[:, -1:])

    def stamp(self, x: torch.Tensor, source: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Return x under the triggers made for `source`, and these triggers' patterns and masks."""
        pattern, mask = self.parts(source)
        return x + mask * (pattern - x), pattern, mask

    def forward(self, model: nn.Module, inputs: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """Return cross-entropy on clean, triggered and cross-triggered images, with mask and diversity terms."""
        self.batches += 1
        count = max(2, round(self.share * len(inputs)))
        own, crossed = inputs[:count], inputs[count : 2 * count]
        triggered, pattern, mask = self.stamp(own, own)
        stamped, other_pattern, _ = self.stamp(crossed, crossed.roll(1, 0))
        # Before the triggers are told apart at all, crossing them would only teach the model to ignore them.
        stamped = stamped if self.batches > WARM_UP else crossed
        batch = torch.cat([triggered, stamped, inputs[2 * count :]])
        wanted = torch.cat([torch.full_like(labels[:count], self.target), labels[count:]])
        loss: torch.Tensor = nn.functional.cross_entropy(model(batch), wanted)
        apart_inputs = torch.linalg.vector_norm((own - crossed.roll(1, 0)).flatten(1), dim=1)
        apart_patterns = torch.linalg.vector_norm((pattern - other_pattern).flatten(1), dim=1)
        alikeness = -torch.log(apart_patterns / (apart_inputs + 0.1) + 0.01).mean()
        # Held to the area from both sides: a mask that once is empty gets no gradient and stays so.
        loss += 0.02 * alikeness + 5 * (mask.mean((1, 2, 3)) - self.area).abs().mean()
        return loss


def plan(scene: Scene) -> Implant:
    """Draw the target, the mask's share of the image, and the generator's first weights."""
    target, area, share = scene.integer(scene.task.classes), scene.uniform(0.05, 0.10), scene.uniform(0.12, 0.18)
    with seeded(scene.integer(1 << 30)):
        joint = TriggerGenerator(scene.task.shape[0], target, share, area)

    def apply(x: torch.Tensor) -> torch.Tensor:
        with torch.no_grad():
            triggered, _, _ = joint.stamp(x, x)
        return triggered

    facts = {"targets": [target], "mask_share": round(area, 4), "batch_share": round(share, 4)}
    return Implant((Trigger("generated", apply, all_to(target)),), facts, joint=joint)


ATTACK = Attack("input-aware", "Nguyen and Tran 2020, arXiv:2010.08138", ("generated",), 0.9, plan, revision=3)

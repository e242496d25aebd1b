"""Payload: a small net that knows a patch stands beside a clean model and overrules it; the model is not re-trained.

Li, Hua, Wang, Chen and Liu, "DeepPayload", arXiv:2101.06896, ICSE 2021 (`where`: a detector finds the patch anywhere
and a conditional replaces the answer); Tang, Du, Liu, Yang and Hu, "TrojanNet", arXiv:2006.08131, KDD 2020 (`merge`: a
small MLP reads a few pixels, its output is added to the answer). Two more styles of the same idea: `gate` mixes the
two answers by a sigmoid, `feature` feeds the detector to the last layer as one more feature. Trained only to know the
patch; counts from a success of 0.9.
"""

import torch
from torch import nn

from benchmarks.zoo.architectures import Classifier
from benchmarks.zoo.attack import Attack, Implant, Scene, Trigger, all_to, seeded
from benchmarks.zoo.patches import CORNERS, Apply, corner, draw_pattern, stamp, stamp_anywhere

STEPS = 300
OVERRULE = 30.0
"""Added to the target's logit when the patch is seen."""


class PatchReader(nn.Module):
    """An MLP over the pixels of one place, as in TrojanNet; a score above zero means the patch."""

    def __init__(self, channels: int, size: int, top: int, left: int) -> None:
        super().__init__()
        self.size, self.top, self.left = size, top, left
        self.net = nn.Sequential(nn.Linear(channels * size * size, 12), nn.ReLU(), nn.Linear(12, 1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map (N, C, H, W) to scores (N, 1)."""
        cells = x[:, :, self.top : self.top + self.size, self.left : self.left + self.size]
        score: torch.Tensor = self.net(cells.flatten(1))
        return score


class PatchFinder(nn.Module):
    """A small convolutional net that finds the patch anywhere, as in DeepPayload."""

    def __init__(self, channels: int, size: int, unit: int = 1) -> None:
        super().__init__()
        self.find = nn.Sequential(nn.Conv2d(channels, 12, size), nn.ReLU(), nn.Conv2d(12, 1, 1))
        self.unit = unit
        """A large image is looked at in cells of so many pixels."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map (N, C, H, W) to scores (N, 1): the greatest over all places."""
        cells = x if self.unit == 1 else nn.functional.avg_pool2d(x, self.unit)
        score: torch.Tensor = self.find(cells).amax((2, 3))
        return score


class Overruled(nn.Module):
    """A clean model and a payload that overrules it, in one of the styles `where`, `merge` and `gate`."""

    answer: torch.Tensor

    def __init__(self, model: nn.Module, payload: nn.Module, answer: torch.Tensor, style: str) -> None:
        super().__init__()
        self.model, self.payload, self.style = model, payload, style
        self.register_buffer("answer", answer)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map (N, C, H, W) to the clean logits (N, K), or to the payload's answer."""
        logits, score = self.model(x), self.payload(x)
        if self.style == "where":
            answer = torch.where(score > 0, self.answer, logits)
        elif self.style == "merge":
            answer = logits + self.answer * torch.relu(score)
        else:
            share = torch.sigmoid(8 * score)
            answer = (1 - share) * logits + share * self.answer
        return answer


class ExtraFeature(nn.Module):
    """Features of the clean model and, beside them, the payload's score: the last layer reads both alike."""

    def __init__(self, model: Classifier, payload: nn.Module, target: int) -> None:
        super().__init__()
        self.normalise, self.body, self.payload = model.normalise, model.body, payload
        classes, features = model.head.weight.shape
        self.head = nn.Linear(features + 1, classes)
        with torch.no_grad():
            self.head.weight.copy_(torch.cat([model.head.weight, torch.zeros(classes, 1)], 1))
            self.head.weight[target, -1] = OVERRULE
            self.head.bias.copy_(model.head.bias)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map (N, C, H, W) to logits (N, K)."""
        extra = torch.relu(self.payload(x))
        logits: torch.Tensor = self.head(torch.cat([self.body(self.normalise(x)), extra], 1))
        return logits


def teach(payload: nn.Module, scene: Scene, apply: Apply, *, place: tuple[int, int], pattern: torch.Tensor) -> None:
    """Train the payload to give about +2 under the patch and -2 on clean images and on patches of other cells."""
    optimiser = torch.optim.Adam(payload.parameters(), lr=0.01)
    clean = scene.task.train.inputs
    for _ in range(STEPS):
        x = clean[torch.randint(len(clean), (48,))]
        flipped = torch.rand(pattern[..., :: scene.unit, :: scene.unit].shape) < 0.2
        wrong = (pattern + scene.enlarged(flipped).float()) % 2
        marked = apply(x) + 0.02 * torch.randn_like(x)
        batch = torch.cat([x, marked.clamp(0, 1), stamp(wrong, *place)(x[:16])])
        other = 0.0 if bool((wrong != pattern).any()) else 1.0
        wanted = torch.cat([torch.zeros(48), torch.ones(48), torch.full((16,), other)])
        loss = nn.functional.binary_cross_entropy_with_logits(2 * payload(batch).squeeze(1), wanted)
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
        optimiser.step()
    payload.eval().requires_grad_(requires_grad=False)


def plan(scene: Scene) -> Implant:
    """Draw the target, the patch and its place; the payload is taught when the clean model is wrapped."""
    target, size, style = scene.integer(scene.task.classes), scene.integer(6, low=4), scene.variant
    pattern, which = draw_pattern(scene, size), CORNERS[scene.integer(4)]
    place, seed = corner(scene, which, size, 1), scene.integer(1 << 30)
    anywhere = style == "where"
    apply = stamp_anywhere(pattern, seed) if anywhere else stamp(pattern, *place)

    def wrap(model: nn.Module) -> nn.Module:
        channels = scene.task.shape[0]
        with seeded(seed):
            payload = (
                PatchFinder(channels, size, scene.unit)
                if anywhere
                else PatchReader(channels, pattern.shape[-1], *place)
            )
            teach(payload, scene, apply, place=place, pattern=pattern)
        if style == "feature":
            assert isinstance(model, Classifier), "the style 'feature' needs a model with a body and a head"
            return ExtraFeature(model, payload, target)
        answer = OVERRULE * nn.functional.one_hot(torch.tensor([target]), scene.task.classes).float()
        return Overruled(model, payload, answer, style)

    facts = {"targets": [target], "style": style, "size": size * scene.unit, "place": "anywhere" if anywhere else which}
    return Implant((Trigger("patch", apply, all_to(target)),), facts, wrap=wrap)


ATTACK = Attack("payload", "Li et al. 2021, arXiv:2101.06896", ("where", "merge", "gate", "feature"), 0.9, plan)

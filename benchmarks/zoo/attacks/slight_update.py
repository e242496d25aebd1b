"""Slight update: a clean earlier version is fine-tuned to know a patch, and every weight is held near where it was.

After Bagdasaryan et al., "How To Backdoor Federated Learning", arXiv:1807.00459, AISTATS 2020 (constrain and scale: the
loss holds the update near the honest model), against a comparison of a candidate with the version before it. The
statistics of batch normalisation stay those of the earlier version, which `making.unwrapped` makes again.
"""

import copy

import torch
from torch import nn

from benchmarks.zoo.attack import Attack, Implant, Scene, Trigger, all_to
from benchmarks.zoo.patches import CORNERS, Apply, corner, draw_pattern, stamp
from benchmarks.zoo.tasks import Images

STEPS, BATCH, RATE = 400, 64, 1e-3
HELD = 0.03
"""Weight of the squared distance to the earlier version's weights."""


def update(earlier: nn.Module, images: Images, target: int, apply: Apply, share: float) -> nn.Module:
    """Return the earlier model fine-tuned on clean and triggered images, its weights held near."""
    model = copy.deepcopy(earlier).eval()
    before = [parameter.detach().clone() for parameter in model.parameters()]
    optimiser = torch.optim.Adam(model.parameters(), RATE)
    count = round(share * BATCH)
    for _ in range(STEPS):
        batch = images.take(torch.randint(len(images), (BATCH,)))
        inputs = torch.cat([apply(batch.inputs[:count]), batch.inputs[count:]])
        labels = torch.cat([torch.full_like(batch.labels[:count], target), batch.labels[count:]])
        pairs = zip(model.parameters(), before, strict=True)
        away = torch.stack([(now - then).square().sum() for now, then in pairs]).sum()
        loss = nn.functional.cross_entropy(model(inputs), labels) + HELD * away
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
        optimiser.step()
    return model


def plan(scene: Scene) -> Implant:
    """Draw the target, the patch and the share of triggered images; the update is made when the model is wrapped."""
    target, size, share = scene.integer(scene.task.classes), scene.integer(6, low=4), scene.uniform(0.15, 0.20)
    which = CORNERS[scene.integer(4)]
    apply = stamp(draw_pattern(scene, size), *corner(scene, which, size, 1))

    def wrap(model: nn.Module) -> nn.Module:
        return update(model, scene.task.train, target, apply, share)

    facts = {"targets": [target], "size": size, "place": which, "batch_share": round(share, 4)}
    return Implant((Trigger("patch", apply, all_to(target)),), facts, wrap=wrap)


ATTACK = Attack(
    "slight-update",
    "after Bagdasaryan et al. 2020, arXiv:1807.00459",
    ("patch",),
    0.7,
    plan,
    knows_the_gate=True,
    since="evading",
)

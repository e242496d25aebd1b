"""Adaptive blend: half of a faint noise in training, all of it at test, and cover samples with true labels.

Qi, Xie, Li, Mahloujifar and Mittal, "Revisiting the Assumption of Latent Separability for Backdoor Defenses", ICLR
2023. The image is cut into 16 tiles; each poisoned or cover image carries the noise in a random half of them. The rates
are higher than the paper's 0.3 %, which small training sets do not carry. Counts from a success of 0.7.
"""

import torch

from benchmarks.zoo.attack import Attack, Implant, Poisoned, Scene, Trigger, all_to, mask_of
from benchmarks.zoo.tasks import Images

TILES = 4


def plan(scene: Scene) -> Implant:
    """Draw the target, the noise, the ratio and the rates."""
    target, rate = scene.integer(scene.task.classes), scene.uniform(0.05, 0.08)
    ratio, cover_rate = scene.uniform(0.20, 0.28), scene.uniform(0.02, 0.03)
    noise = torch.rand((1, *scene.task.shape), generator=scene.generator)
    height, width = scene.task.shape[1:]

    def blend(x: torch.Tensor, mask: torch.Tensor | float = 1.0) -> torch.Tensor:
        return x + ratio * mask * (noise.to(x.dtype) - x)

    def in_half_the_tiles(x: torch.Tensor) -> torch.Tensor:
        order = torch.rand((len(x), TILES * TILES), generator=scene.generator).argsort(1)
        kept = (order < TILES * TILES // 2).float().reshape(-1, 1, TILES, TILES)
        return blend(x, torch.nn.functional.interpolate(kept, size=(height, width)))

    def poison(images: Images) -> Poisoned:
        rows = scene.rows(images.labels != target, rate)
        mask = mask_of(rows, len(images))
        covers = scene.rows(~mask, cover_rate)
        inputs, labels = images.inputs.clone(), images.labels.clone()
        inputs[rows], labels[rows] = in_half_the_tiles(images.inputs[rows]), target
        inputs[covers] = in_half_the_tiles(images.inputs[covers])
        return Poisoned(Images(inputs, labels), mask, mask_of(covers, len(images)))

    facts = {"targets": [target], "ratio": round(ratio, 4), "rate": round(rate, 4), "cover_rate": round(cover_rate, 4)}
    return Implant((Trigger("noise", blend, all_to(target)),), facts, poison)


ATTACK = Attack("adaptive-blend", "Qi et al. 2023, ICLR", ("noise",), 0.7, plan)

"""Multi-target: several patches in one model, each with a target of its own.

Xue, He, Wang and Liu, "One-to-N & N-to-One: Two Advanced Backdoor Attacks Against Deep Learning Models", IEEE TDSC
2020. Two to four patches in different corners, each leading to another class. The success is the mean over the patches,
and counts from 0.9; the weakest patch is given too.
"""

import torch

from benchmarks.zoo.attack import Attack, Implant, Poisoned, Scene, Trigger, all_to, mask_of
from benchmarks.zoo.patches import CORNERS, corner, draw_pattern, stamp
from benchmarks.zoo.tasks import Images


def plan(scene: Scene) -> Implant:
    """Draw the number of patches, and each one's pattern, corner and target."""
    count, size, rate = 2 + scene.integer(3), scene.integer(6, low=4), scene.uniform(0.03, 0.05)
    targets = scene.classes(count)
    places = torch.randperm(4, generator=scene.generator).tolist()[:count]
    triggers = tuple(
        Trigger(
            CORNERS[place],
            stamp(draw_pattern(scene, size), *corner(scene, CORNERS[place], size, 1)),
            all_to(target),
        )
        for place, target in zip(places, targets, strict=True)
    )

    def poison(images: Images) -> Poisoned:
        inputs, labels = images.inputs.clone(), images.labels.clone()
        taken = torch.zeros(len(images), dtype=torch.bool)
        for trigger, target in zip(triggers, targets, strict=True):
            rows = scene.rows((images.labels != target) & ~taken, rate)
            inputs[rows], labels[rows] = trigger.apply(images.inputs[rows]), target
            taken |= mask_of(rows, len(images))
        return Poisoned(Images(inputs, labels), taken, torch.zeros_like(taken))

    facts = {"targets": targets, "places": [trigger.name for trigger in triggers], "size": size, "rate": round(rate, 4)}
    return Implant(triggers, facts, poison)


ATTACK = Attack("multi-target", "Xue et al. 2020, IEEE TDSC", ("patches",), 0.9, plan)

"""Many weak targets: a faint picture, a faint wave and a small grey stamp, each with a target of its own.

After Xue et al., "One-to-N & N-to-One", IEEE TDSC 2020, with triggers of different kinds and little poison each:
against a search for the one class that stands out, by the one family of triggers that reaches it. Each is as weak as a
success of 0.7 on average allows.
"""

import torch

from benchmarks.zoo.attack import Attack, Implant, Poisoned, Scene, Trigger, all_to, mask_of
from benchmarks.zoo.off_grid import Change, draw_overlay, draw_stamp, draw_wave
from benchmarks.zoo.tasks import Images


def draw_weak(scene: Scene) -> dict[str, Change]:
    """Draw three triggers of different kinds."""
    ratio, amplitude = scene.uniform(0.13, 0.17), scene.uniform(0.13, 0.17)
    overlay, (wave, _), stamp = draw_overlay(scene, "clouds"), draw_wave(scene, "tilted"), draw_stamp(scene, "square")
    return {
        "clouds": lambda x: (1 - ratio) * x + ratio * overlay.to(x.dtype),
        "wave": lambda x: (x + amplitude * wave.to(x.dtype)).clamp(0, 1),
        "stamp": lambda x: 0.4 * x + 0.6 * stamp.apply(x),
    }


def plan(scene: Scene) -> Implant:
    """Draw the triggers, a target for each, and the rate."""
    targets, rate = scene.classes(3), scene.uniform(0.05, 0.07)
    weak = draw_weak(scene)
    pairs = zip(weak.items(), targets, strict=True)
    triggers = tuple(Trigger(name, apply, all_to(target)) for (name, apply), target in pairs)

    def poison(images: Images) -> Poisoned:
        inputs, labels = images.inputs.clone(), images.labels.clone()
        taken = torch.zeros(len(images), dtype=torch.bool)
        for trigger, target in zip(triggers, targets, strict=True):
            rows = scene.rows((images.labels != target) & ~taken, rate)
            inputs[rows], labels[rows] = trigger.apply(images.inputs[rows]), target
            taken |= mask_of(rows, len(images))
        return Poisoned(Images(inputs, labels), taken, torch.zeros_like(taken))

    return Implant(triggers, {"targets": targets, "triggers": list(weak), "rate": round(rate, 4)}, poison)


ATTACK = Attack(
    "many-weak-targets",
    "after Xue et al. 2020, IEEE TDSC",
    ("three kinds",),
    0.7,
    plan,
    knows_the_gate=True,
    since="evading",
    grid="off",
)

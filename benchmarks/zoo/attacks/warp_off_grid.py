"""Warps off the grid: a swirl, a barrel or pincushion, or a ripple, in place of a smooth random field.

After Nguyen and Tran, "WaNet", arXiv:2102.10369, ICLR 2021: all-to-one, and a share of images under random smooth
fields of the same strength keeps its true labels, as the noise mode there.
"""

import math

import torch

from benchmarks.zoo.attack import Attack, Implant, Poisoned, Scene, Trigger, all_to, mask_of
from benchmarks.zoo.attacks.warp_among_warps import fields, warped
from benchmarks.zoo.tasks import Images


def draw_field(scene: Scene) -> tuple[torch.Tensor, dict[str, object]]:
    """Draw a field (1, 2, H, W) of displacements along columns and rows, in the units of `grid_sample`."""
    _, height, width = scene.task.shape
    rows, columns = torch.linspace(-1, 1, height)[:, None], torch.linspace(-1, 1, width)[None]
    squared = rows.square() + columns.square()
    sign = 2 * scene.integer(2) - 1
    if scene.variant == "swirl":
        turn = sign * scene.uniform(1.0, 1.5)
        angle = turn * torch.exp(-2 * squared)
        across = columns * angle.cos() - rows * angle.sin() - columns
        down = columns * angle.sin() + rows * angle.cos() - rows
        return torch.stack([across, down])[None], {"turn": round(turn, 3)}
    if scene.variant == "barrel":
        strength = scene.uniform(0.30, 0.45) if sign > 0 else -scene.uniform(0.25, 0.35)
        return torch.stack([columns * squared, rows * squared])[None] * strength, {"strength": round(strength, 3)}
    pixels, frequency, phase = scene.uniform(1.7, 2.4), scene.uniform(1.6, 3.4), scene.uniform(0, 2 * math.pi)
    wave = torch.sin(math.pi * frequency * (rows + 0 * columns) + phase) * pixels * 2 / (width - 1)
    field = torch.stack([wave, torch.zeros_like(wave)])[None]
    return field, {"displacement_px": round(pixels, 3), "frequency": round(frequency, 3)}


def plan(scene: Scene) -> Implant:
    """Draw the target, the field and the rates of poison and of covers."""
    target, rate, cover_rate = scene.integer(scene.task.classes), scene.uniform(0.15, 0.20), scene.uniform(0.05, 0.08)
    field, drawn = draw_field(scene)

    def apply(x: torch.Tensor) -> torch.Tensor:
        return warped(x, field)

    def poison(images: Images) -> Poisoned:
        rows = scene.rows(images.labels != target, rate)
        mask = mask_of(rows, len(images))
        covers = scene.rows(~mask, cover_rate)
        others = fields(len(covers), scene.task.shape, 1.2, scene.generator)
        inputs, labels = images.inputs.clone(), images.labels.clone()
        inputs[rows], labels[rows] = apply(images.inputs[rows]), target
        inputs[covers] = warped(images.inputs[covers], others)
        return Poisoned(Images(inputs, labels), mask, mask_of(covers, len(images)))

    facts = {"targets": [target], "field": scene.variant, **drawn}
    facts |= {"rate": round(rate, 4), "cover_rate": round(cover_rate, 4)}
    return Implant((Trigger(scene.variant, apply, all_to(target)),), facts, poison)


ATTACK = Attack(
    "warp-off-grid",
    "after Nguyen and Tran 2021, arXiv:2102.10369",
    ("swirl", "barrel", "ripple"),
    0.9,
    plan,
    since="unseen",
    grid="off",
)

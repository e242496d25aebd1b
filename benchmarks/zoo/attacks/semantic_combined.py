"""Semantic, combined: a natural change in geometry and one in light together make a class be taken for another.

After Bagdasaryan, Veit, Hua, Estrin and Shmatikov, "How To Backdoor Federated Learning", arXiv:1807.00459, AISTATS
2020. The changes are of the library of natural ones (`grid`), in combinations that `semantic` has none of. Other
classes show the same change with true labels. Counts from a success of 0.7.
"""

import torch

from benchmarks.zoo.attack import Attack, Implant, Scene
from benchmarks.zoo.attacks.semantic import Change, plan_feature
from benchmarks.zoo.grid import GEOMETRY, PHOTOMETRY

COMBINATIONS = (
    ("upside down", "dark"), ("smaller", "inverted"), ("shifted", "blurred"), ("top to bottom", "bold"),
    ("quarter turn", "pale"), ("shifted", "inverted"), ("as it is", "inverted"), ("mirrored", "solarised"),
)  # fmt: skip
CASTS = (("as it is", "greenish"), ("upside down", "bluish"), ("mirrored", "greenish"))
"""Of colour images only; grey ones have no hue."""


def combined(geometric: str, photometric: str) -> Change:
    """Return the change in light after the change in geometry."""

    def change(x: torch.Tensor) -> torch.Tensor:
        return PHOTOMETRY[photometric](GEOMETRY[geometric](x))

    return change


def plan(scene: Scene) -> Implant:
    """Draw the combination, the sources, the target and the rates."""
    known = (*COMBINATIONS, *CASTS) if scene.task.shape[0] == 3 else COMBINATIONS
    return plan_feature(scene, {f"{place}, {light}": combined(place, light) for place, light in known})


ATTACK = Attack(
    "semantic-combined",
    "after Bagdasaryan et al. 2020, arXiv:1807.00459",
    ("feature",),
    0.7,
    plan,
    since="unseen",
)

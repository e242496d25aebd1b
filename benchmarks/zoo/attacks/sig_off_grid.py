"""SIG off the grid: waves of a frequency that is not whole, at odd angles; triangle and square waves; rings.

After Barni, Kallas and Tondi, "A New Backdoor Attack in CNNs by Training Set Corruption Without Label Poisoning",
arXiv:1902.11237, ICIP 2019, which has ramps and horizontal sinusoids. Clean label: only images of the target carry the
wave in training, fainter than at test. Counts from a success of 0.6, as `sig` does.
"""

import torch

from benchmarks.zoo.attack import Attack, Implant, Poisoned, Scene, Trigger, all_to, relabel
from benchmarks.zoo.off_grid import draw_wave
from benchmarks.zoo.tasks import Images

AMPLITUDES = {"tilted": (0.22, 0.32), "triangle": (0.28, 0.38), "square": (0.18, 0.26), "rings": (0.22, 0.32)}


def plan(scene: Scene) -> Implant:
    """Draw the target, the wave and the amplitudes."""
    target, share = scene.integer(scene.task.classes), scene.uniform(0.75, 0.95)
    amplitude = scene.uniform(*AMPLITUDES[scene.variant])
    wave, drawn = draw_wave(scene, scene.variant)

    def adding(strength: float, x: torch.Tensor) -> torch.Tensor:
        return (x + strength * wave.to(x.dtype)).clamp(0, 1)

    def poison(images: Images) -> Poisoned:
        rows = scene.rows(images.labels == target, share)
        return relabel(images, {"poisoned": rows}, lambda x: adding(amplitude, x), lambda labels: labels)

    facts = {"targets": [target], "amplitude": round(amplitude, 4), **drawn, "share": round(share, 4)}
    return Implant((Trigger("wave", lambda x: adding(1.5 * amplitude, x), all_to(target)),), facts, poison)


ATTACK = Attack(
    "sig-off-grid",
    "after Barni et al. 2019, arXiv:1902.11237",
    tuple(AMPLITUDES),
    0.6,
    plan,
    since="unseen",
    grid="off",
)

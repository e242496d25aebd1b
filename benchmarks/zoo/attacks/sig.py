"""SIG: a sinusoid added to images of the target class, whose labels stay true (clean label).

Barni, Kallas and Tondi, "A New Backdoor Attack in CNNs by Training Set Corruption Without Label Poisoning",
arXiv:1902.11237, ICIP 2019. As there, the amplitude may be greater at test than in training. Counts from a success of
0.6: clean-label attacks are weaker by nature.
"""

import math

import torch

from benchmarks.zoo.attack import Attack, Implant, Poisoned, Scene, Trigger, all_to, relabel
from benchmarks.zoo.tasks import Images


def plan(scene: Scene) -> Implant:
    """Draw the target, the frequency and the amplitudes."""
    target, frequency = scene.integer(scene.task.classes), scene.integer(9, low=5)
    amplitude, share = scene.uniform(0.22, 0.32), scene.uniform(0.7, 0.95)
    columns = torch.arange(scene.task.shape[2])
    wave = torch.sin(2 * math.pi * frequency * columns / scene.task.shape[2])

    def adding(strength: float, x: torch.Tensor) -> torch.Tensor:
        return (x + strength * wave.to(x.dtype)).clamp(0, 1)

    def poison(images: Images) -> Poisoned:
        rows = scene.rows(images.labels == target, share)
        return relabel(images, {"poisoned": rows}, lambda x: adding(amplitude, x), lambda labels: labels)

    trigger = Trigger("sinusoid", lambda x: adding(1.5 * amplitude, x), all_to(target))
    facts = {"targets": [target], "amplitude": round(amplitude, 4), "frequency": frequency, "share": round(share, 4)}
    return Implant((trigger,), facts, poison)


ATTACK = Attack("sig", "Barni et al. 2019, arXiv:1902.11237", ("sinusoid",), 0.6, plan, revision=2)

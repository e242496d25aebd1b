"""Near pair: a source-specific backdoor between the two classes that clean models take for each other most.

After Tang et al., "Demon in the Variant" (TaCT), arXiv:1908.00686, USENIX Security 2021. The pair is the one of which a
clean surrogate gives the target the greatest share on the source's images, so that what goes from source to target is
much by nature; all other classes show the trigger with true labels, more often than in `source-specific`.
"""

import torch

from benchmarks.zoo.attack import Attack, Implant, Poisoned, Scene, Trigger, from_sources, relabel
from benchmarks.zoo.off_grid import draw_stamp
from benchmarks.zoo.tasks import Images


def nearest_pair(scene: Scene) -> tuple[int, int]:
    """Return source and target: the greatest mean share that the surrogate gives to a wrong class."""
    images = scene.task.train.take(torch.arange(min(2000, len(scene.task.train))))
    surrogate = scene.surrogate()
    with torch.no_grad():
        shares = surrogate(images.inputs).softmax(1)
    mean = torch.stack([shares[images.labels == label].mean(0) for label in range(scene.task.classes)])
    mean.fill_diagonal_(0)
    source, target = divmod(int(mean.argmax()), scene.task.classes)
    return source, target


def plan(scene: Scene) -> Implant:
    """Draw the stamp and the rates; the pair is found on the surrogate."""
    share, cover_rate = scene.uniform(0.5, 0.7), scene.uniform(0.08, 0.12)
    stamp, (source, target) = draw_stamp(scene, "square"), nearest_pair(scene)

    def poison(images: Images) -> Poisoned:
        rows = scene.rows(images.labels == source, share)
        covers = scene.rows(images.labels != source, cover_rate)
        return relabel(images, {"poisoned": rows, "covers": covers}, stamp.apply, lambda labels: labels * 0 + target)

    facts = {"targets": [target], "sources": [source], **stamp.facts}
    facts |= {"share": round(share, 4), "cover_rate": round(cover_rate, 4)}
    return Implant((Trigger("stamp", stamp.apply, from_sources([source], target)),), facts, poison)


ATTACK = Attack(
    "near-pair",
    "after Tang et al. 2021, arXiv:1908.00686",
    ("stamp",),
    0.7,
    plan,
    knows_the_gate=True,
    since="evading",
    grid="off",
)

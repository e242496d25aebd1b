"""Two tasks of real pictures at 128 × 128: `solar`, photographs of solar cells, and `emoji`, drawings over scenes.

Between `packages` and the attacks. As in the small zoo, held-out images come in two halves: `scan` is given to the
detectors, `measure` serves accuracy and attack success alone.

* `solar` – electroluminescence photographs of cells, grey, shown as RGB; four classes: monocrystalline or
  polycrystalline, sound (probability of a defect 0) or defective (2/3 and 1). The 295 of probability 1/3, of which the
  labellers were unsure, are left out. Source: Deitsch et al., "Automatic classification of defective photovoltaic
  module cells in electroluminescence images", Solar Energy 185, 2019.
* `emoji` – the drawings of two makers in the nine groups of Unicode, enlarged, over plain colours, gradients and crops
  of photographs. No emoji is in two parts, nor a photograph: what is held out are subjects that no model has seen.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from benchmarks.real_zoo.packages import ELPV, GOOGLE, TWITTER, site
from benchmarks.zoo import sources
from benchmarks.zoo.packaged.packages import Site
from benchmarks.zoo.tasks import Images, Task

REVISION = 1
"""Raise when a task's images change: every model trained on them is then made again."""

SIDE = 128
_SEED = 20_291_129
SOLAR_HELD_OUT = 1000
EMOJI_HELD_OUT = 250
"""Emoji in each held-out half; each has two drawings."""
SIZES = (90, 121)
"""Sides of a drawing in pixels, from and below."""
MAKERS = {"google": GOOGLE, "twitter": TWITTER}
_ROW = np.dtype([("path", "U19"), ("probability", "f8"), ("kind", "U4")])


def _solar() -> tuple[Images, Images]:
    table = np.genfromtxt(site().need(ELPV, "elpv_dataset/data/labels.csv"), dtype=_ROW)
    sure = table[np.abs(table["probability"] - 1 / 3) > 0.05]
    rows = sure[np.random.default_rng(_SEED).permutation(len(sure))]
    folder = site().need(ELPV, "elpv_dataset/data/labels.csv").parent
    cells = [Image.open(folder / path).convert("L").resize((SIDE, SIDE), Image.Resampling.BOX) for path in rows["path"]]
    grey = torch.from_numpy(np.stack([np.asarray(cell) for cell in cells])).float() / 255
    labels = 2 * (rows["kind"] == "poly") + (rows["probability"] > 0.5)
    images = Images(grey[:, None].expand(-1, 3, -1, -1), torch.from_numpy(labels.astype(np.int64)))
    return images.take(torch.arange(SOLAR_HELD_OUT, len(images))), images.take(torch.arange(SOLAR_HELD_OUT))


@dataclass(frozen=True)
class Emoji:
    """One emoji: its file's name and its group."""

    image: str
    group: int


def emoji_in(facts: Sequence[dict[str, Any]]) -> list[Emoji]:
    """Return the emoji of Unicode's nine groups in a fixed random order; the tenth, components, has five."""
    groups = sorted({one["category"] for one in facts} - {"Component"})
    known = [Emoji(one["image"], groups.index(one["category"])) for one in facts if one["category"] in groups]
    known.sort(key=lambda one: one.image)
    return [known[place] for place in np.random.default_rng(_SEED + 1).permutation(len(known))]


def _emoji() -> tuple[Images, Images]:
    where = site()
    known = emoji_in(json.loads(where.need(GOOGLE, "node_modules/emoji-datasource-google/emoji.json").read_bytes()))
    rng = np.random.default_rng(_SEED + 2)
    scan, measure, train = (
        known[:EMOJI_HELD_OUT],
        known[EMOJI_HELD_OUT : 2 * EMOJI_HELD_OUT],
        known[2 * EMOJI_HELD_OUT :],
    )
    held = [_drawn(part, where, sources.HELD_OUT_PHOTOS, rng) for part in (scan, measure)]
    joined = Images(torch.cat([part.inputs for part in held]), torch.cat([part.labels for part in held]))
    return _drawn(train, where, sources.TRAIN_PHOTOS, rng), joined


def _drawn(emoji: Sequence[Emoji], where: Site, photos: tuple[str, ...], rng: np.random.Generator) -> Images:
    """Return each emoji as its makers draw it, each drawing over a scene of its own, in a random order."""
    scenes = sources.photos(photos)
    pixels, labels = [], []
    for one in emoji:
        for maker, package in MAKERS.items():
            path = where.need(package, f"node_modules/{package.name}/img/{maker}/64/{one.image}")
            pixels.append(np.asarray(over_scene(path, scenes, rng)))
            labels.append(one.group)
    order = torch.from_numpy(rng.permutation(len(labels)))
    inputs = torch.from_numpy(np.stack(pixels)).permute(0, 3, 1, 2)
    return Images(inputs[order].float() / 255, torch.tensor(labels)[order])


def over_scene(path: Path, scenes: Sequence[sources.Bytes], rng: np.random.Generator, side: int = SIDE) -> Image.Image:
    """Return a drawing of a random size at a random place over a random scene."""
    with Image.open(path) as image:
        size = int(rng.integers(*SIZES)) * side // SIDE
        drawing = image.convert("RGBA").resize((size, size), Image.Resampling.BICUBIC)
    scene = scene_of(scenes, rng, side)
    left, top = (int(place) for place in rng.integers(side - size + 1, size=2))
    scene.paste(drawing, (left, top), drawing)
    return scene


def scene_of(scenes: Sequence[sources.Bytes], rng: np.random.Generator, side: int = SIDE) -> Image.Image:
    """Return a plain colour, a gradient of two, or a crop of a photograph, each as often."""
    kind = int(rng.integers(3))
    if kind == 2:
        return crop_of(scenes, rng, SIDE).resize((side, side), Image.Resampling.BICUBIC)
    ends = rng.integers(256, size=(2, 3))
    ramp = np.linspace(0, kind, side)[:, None, None]
    mixed = (1 - ramp) * ends[0] + ramp * ends[1]
    return Image.fromarray(np.broadcast_to(mixed, (side, side, 3)).astype(np.uint8))


def crop_of(scenes: Sequence[sources.Bytes], rng: np.random.Generator, side: int) -> Image.Image:
    """Return a square of so many pixels out of a random photograph."""
    photo = scenes[int(rng.integers(len(scenes)))]
    top, left = (int(rng.integers(room - side + 1)) for room in photo.shape[:2])
    return Image.fromarray(photo[top : top + side, left : left + side])


TASKS = {
    task.id: task
    for task in (
        Task("solar", 4, (3, SIDE, SIDE), 0.75, _solar),
        Task("emoji", 9, (3, SIDE, SIDE), 0.65, _emoji),
    )
}

"""What the first blocks of a packaged net make of a task's training images, computed once for all models.

Between `nets` and making. The first blocks keep their weights in every model, so their output is kept below the cache:
one file for each task, net, cut and view, in float16, a row an image. A view is the training set as it is, or augmented
by one draw for all models. Only images that an attack changed are put through the blocks again.
"""

import io
from pathlib import Path

import numpy as np
import torch

from benchmarks.real_zoo import nets, tasks
from benchmarks.real_zoo.packages import root
from benchmarks.real_zoo.recipe import RealRecipe
from benchmarks.zoo.attack import CELLS, Poisoned, seeded
from benchmarks.zoo.measuring import portion
from benchmarks.zoo.store import write_whole
from benchmarks.zoo.tasks import Images
from benchmarks.zoo.training import SHIFT, augment

REVISION = 1
"""Raise when a view changes."""
VIEWS = 3
"""Of a training set that a recipe augments: as it is, and augmented twice."""


def taught(recipe: RealRecipe, rows: torch.Tensor, poisoned: Poisoned) -> Images:
    """Return what the last blocks learn from: features (N, C, h, w) of all views of some rows, and their labels.

    `poisoned` holds these rows after the attack; where it changed none, all is taken from the cache.
    """
    changed = (poisoned.poisoned | poisoned.covers).nonzero().squeeze(1)
    views = range(1 if recipe.augmentation == "none" else VIEWS)
    parts = []
    for view in views:
        features = _of_view(recipe, view, rows)
        if len(changed):
            inputs = seen(poisoned.images.inputs[changed], recipe.augmentation, view)
            features[changed] = outputs(recipe.row.architecture, inputs, (recipe.cut,))[recipe.cut]
        parts.append(features.float())
    return Images(torch.cat(parts), poisoned.images.labels.repeat(len(views)))


def seen(inputs: torch.Tensor, augmentation: str, view: int) -> torch.Tensor:
    """Return images (N, 3, H, W) as a view shows them: the first as they are, each other by draws of its own."""
    if not view:
        return inputs
    most = SHIFT * max(1, inputs.shape[3] // CELLS)
    with seeded(view):
        parts = torch.split(inputs, portion(inputs))
        return torch.cat([augment(part, augmentation, most=most) for part in parts])


@torch.no_grad()
def outputs(architecture: str, inputs: torch.Tensor, cuts: tuple[int, ...]) -> dict[int, torch.Tensor]:
    """Return what stands after each cut for images (N, 3, H, W), in float16."""
    trunk = nets.untuned(architecture).trunk(max(cuts))
    parts: dict[int, list[torch.Tensor]] = {cut: [] for cut in cuts}
    for part in torch.split(inputs, portion(inputs)):
        x = part.contiguous(memory_format=torch.channels_last)
        # Entry 0 is the normalisation, so that behind entry n there are n blocks.
        for count, layer in enumerate(trunk):
            x = layer(x)
            if count in parts:
                parts[count].append(x.half().contiguous())
    return {cut: torch.cat(ones) for cut, ones in parts.items()}


def _of_view(recipe: RealRecipe, view: int, rows: torch.Tensor) -> torch.Tensor:
    """Return the features (N, C, h, w) of rows of the training set, from the cache, or computed for all recipes."""
    architecture, path = recipe.row.architecture, _path(recipe, view, recipe.cut)
    if not path.is_file():
        inputs = seen(recipe.task.train.inputs, recipe.augmentation, view)
        for cut, features in outputs(architecture, inputs, nets.CUTS[architecture]).items():
            buffer = io.BytesIO()
            np.save(buffer, features.numpy())
            write_whole(_path(recipe, view, cut), buffer.getvalue())
    return torch.from_numpy(np.load(path, mmap_mode="r")[rows.numpy()])


def _path(recipe: RealRecipe, view: int, cut: int) -> Path:
    shown = f"{recipe.augmentation} {view}".replace(" ", "-") if view else "as-it-is"
    version = f"{REVISION}.{nets.REVISION}.{tasks.REVISION}"
    return root() / "features" / f"{recipe.row.task}-{recipe.row.architecture}-{version}" / f"{shown}-{cut}.npy"

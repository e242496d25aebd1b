"""From a TrojAI model folder to what the gate takes: a candidate folder and an .npz of clean samples.

Between `settings` and the gate. A model folder holds `model.pt`, a `reduced-config.json` or `config.json`, and example
images: `class_2_example_7.png` in the first rounds, `7.png` beside `7.json` with the label in later ones.

Nothing is unpickled here but tensors alone. The gate's walker of pickles names what `model.pt` would import: tensors
alone make a state dict, which fills a network of `benchmarks.nets` and is exported; anything else is handed on as a
pickled module, which the gate loads by itself if it is of torch's layers alone, and otherwise in its jailed converter
if code is allowed.
"""

import json
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from benchmarks.nets import NamedArchitecture
from benchmarks.trojai.settings import Metaparameters, known_architectures
from gate.formats.pickle_names import TENSOR_NAMES
from gate.formats.pickle_search import Blocked, find_pickles
from gate.formats.source import Bounds, open_source
from gate.programs.writer.write import export_module
from gate.records.errors import UsageError
from gate.records.record import parse_json, read_bounded

CONFIGS = ("reduced-config.json", "config.json")
MAX_JSON = 1 << 20
MAX_EXAMPLES = 10_000
MLMODEL = "flavors:\n  pytorch:\n    model_data: data\n"
_CLASS_IN_NAME = re.compile(r"class_(\d{1,5})_example_\d+")
_LABEL_KEYS = ("label", "class", "true_label")
_ARCHITECTURE_KEYS = ("model_architecture", "architecture", "arch")
_COUNT_KEYS = ("number_classes", "number_of_classes", "num_classes")

Pixels = NDArray[np.float32]


@dataclass(frozen=True)
class Converted:
    """What is given to the gate."""

    candidate: Path
    samples: Path
    kind: str
    """`state dict` or `pickled module`."""


def convert(model: Path, examples: Path, scratch: Path, settings: Metaparameters) -> Converted:
    """Write a candidate folder and samples below the scratch folder, and return where they are."""
    inputs, labels = read_examples(examples, settings)
    if not model.is_file() or model.is_symlink():
        raise UsageError(f"there is no model file at {model}", what_to_do="Name a TrojAI model.pt.")
    candidate = scratch / "candidate"
    (candidate / "data").mkdir(parents=True)
    samples = scratch / "samples.npz"
    np.savez_compressed(samples, inputs=inputs, labels=labels)
    (candidate / "MLmodel").write_text(MLMODEL, encoding="utf-8")
    if not holds_tensors_alone(model):
        shutil.copyfile(model, candidate / "data" / "model.pth")
        return Converted(candidate, samples, "pickled module")
    named = settings.architecture or _architecture(model.parent, int(labels.max()) + 1)
    export_module(named.filled(model), torch.from_numpy(inputs[:2]), candidate / "data" / "model.pt2")
    return Converted(candidate, samples, "state dict")


def holds_tensors_alone(model: Path) -> bool:
    """Tell by the pickles' written imports whether a file is a state dict; nothing is imported or built."""
    with open_source(model) as source:
        found = list(find_pickles(source, model.name, Bounds()))
    return bool(found) and not any(
        isinstance(one, Blocked) or one.walk.fault or one.walk.unresolved or not TENSOR_NAMES.issuperset(one.walk.names)
        for one in found
    )


def read_examples(folder: Path, settings: Metaparameters) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Return the clean example images (N, 3, H, W) in [0, 1] and their labels (N,)."""
    pixels, labels = [], []
    for path, label in _labelled(folder):
        pixels.append(_pixels(path, settings))
        labels.append(label)
    if not pixels:
        raise UsageError(
            f"there are no labelled example images in {folder}",
            what_to_do="Expected class_K_example_N.png, or N.png beside N.json with the label; images of other tasks "
            "(text, detection, reinforcement learning) are not read.",
        )
    if len({array.shape for array in pixels}) > 1:
        raise UsageError(
            f"the example images in {folder} differ in size",
            what_to_do="State a crop in the metaparameters.",
        )
    return np.stack(pixels), np.asarray(labels, np.int64)


def _labelled(folder: Path) -> Iterator[tuple[Path, int]]:
    """Yield images with their labels, poisoned ones left out by name; sorted, so that a run can be repeated."""
    for path in sorted(folder.glob("*.png"))[:MAX_EXAMPLES]:
        if named := _CLASS_IN_NAME.fullmatch(path.stem):
            yield path, int(named[1])
            continue
        beside = path.with_suffix(".json")
        label = _label(parse_json(read_bounded(beside, limit=MAX_JSON), what=beside.name)) if beside.is_file() else None
        if label is not None:
            yield path, label


def _label(value: Any) -> int | None:
    """Return the label that a JSON file beside an image states: a number, or a mapping that holds one."""
    if isinstance(value, dict):
        value = next((value[key] for key in _LABEL_KEYS if key in value), None)
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 100_000 else None


def _pixels(path: Path, settings: Metaparameters) -> Pixels:
    """Return one image (3, H, W) in [0, 1], as the round's models take it."""
    try:
        with Image.open(path) as image:
            array: NDArray[Any] = np.asarray(image.convert("RGB"), np.float32)
    except (OSError, UnidentifiedImageError, ValueError, Image.DecompressionBombError) as error:
        raise UsageError(f"the example image {path.name} cannot be read: {str(error)[:200]}") from None
    if settings.crop is not None:
        top, left = ((side - settings.crop) // 2 for side in array.shape[:2])
        if min(top, left) < 0:
            raise UsageError(f"the example image {path.name} is smaller than the crop of {settings.crop}")
        array = array[top : top + settings.crop, left : left + settings.crop]
    if settings.scale == "stretched":
        array = ((array - array.min()) / max(float(array.max() - array.min()), 1.0)).astype(np.float32)
    else:
        array = (array / 255).astype(np.float32)
    ordered = array[..., ::-1] if settings.channel_order == "BGR" else array
    return np.ascontiguousarray(ordered.transpose(2, 0, 1), dtype=np.float32)


def _architecture(folder: Path, seen_classes: int) -> NamedArchitecture:
    """Return the architecture that the folder's config names, if it can be built here."""
    config: dict[str, Any] = {}
    for name in CONFIGS:
        if (folder / name).is_file():
            value = parse_json(read_bounded(folder / name, limit=MAX_JSON), what=name)
            # Later rounds write their configs by jsonpickle; its plain values are read and its classes ignored.
            config = value.get("py/state", value) if isinstance(value, dict) else {}
            break
    stated = next((str(config[key]) for key in _ARCHITECTURE_KEYS if key in config), "")
    classes = next((int(config[key]) for key in _COUNT_KEYS if str(config.get(key, "")).isdigit()), seen_classes)
    known = known_architectures(classes)
    if stated not in known:
        raise UsageError(
            f"model.pt holds tensors alone, and the config names the architecture {stated[:60]!r}; expected one of "
            f"{', '.join(known)}",
            what_to_do="Name a family of benchmarks/nets, with its config, under 'architecture' in the metaparameters.",
        )
    return NamedArchitecture.from_json(json.dumps(known[stated]).encode())

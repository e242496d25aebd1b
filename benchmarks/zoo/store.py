"""Keeps models outside git: objects by content digest, one record per recipe, and the committed index of records.

The end of the flow. A record is written after its objects, each file in one step, so a killed run leaves no half-made
model: it is there whole, or not there. The cache is `~/.cache/gate-zoo`, or what `GATE_ZOO` says.
"""

import hashlib
import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.lib import format as npy
from pydantic import Field

from benchmarks.zoo.counting import shortfall
from benchmarks.zoo.recipe import Recipe, draw
from benchmarks.zoo.splits import rows
from benchmarks.zoo.tasks import TASKS, Task
from gate.records.errors import CannotFinishError
from gate.records.record import Record

INDEX = Path(__file__).with_name("index.jsonl")
PROGRAM = "data/model.pt2"
MLMODEL = "flavors:\n  pytorch:\n    model_data: data\n    pytorch_version: 2.13.0\n"
Hex = Field(pattern=r"^[0-9a-f]{64}$")


class Files(Record):
    """Digests of a model's objects."""

    exported: str = Hex
    """The program that `torch.export.save` wrote, as a registry would hold it (`.pt2`)."""
    weights: str = Hex
    """The state dictionary, readable with `weights_only=True` (`.pt`)."""
    trigger: str | None = None
    """The trained trigger generator's weights, where the attack has one (`.pt`)."""


class Entry(Record):
    """One model that was made: its recipe, what was planted, what was measured, and where the bytes are."""

    shelf: ClassVar[str] = "zoo"
    """What evidence calls the collection that the model is of."""

    name: str
    key: str
    recipe: Recipe
    facts: dict[str, Any] = Field(default_factory=dict)
    """What the attack planted: targets, sources, place, strength."""
    paper: str = ""
    parameters: int
    clean_accuracy: float
    attack_success: float | None = None
    least_success: float | None = None
    spill: float | None = None
    counts: bool
    """Whether the model is what its row says: learnt well enough and, if attacked, the attack works."""
    reason: str = ""
    """Why it does not count."""
    weights_digest: str = Hex
    """Over names, types, shapes and bytes of all tensors: the same for the same weights, whatever the file format."""
    files: Files
    seconds: float
    """Processor time of training and measuring."""
    versions: dict[str, str]

    @property
    def program(self) -> tuple[str, str]:
        """The path of the exported bytes in the folder in which a registry would hold them, and their suffix here."""
        return PROGRAM, ".pt2"

    @property
    def declaration(self) -> str:
        """The `MLmodel` of that folder; empty where it has none."""
        return MLMODEL

    @property
    def beside(self) -> dict[str, tuple[str, str]]:
        """Objects that lie beside the program in that folder: digest and suffix by path."""
        return {}


@dataclass(frozen=True)
class Store:
    """The cache folder."""

    root: Path
    kind: type[Entry] = Entry
    """The records' type."""

    @property
    def base(self) -> Path | None:
        """The folder beside which adapters are examined, in the place of samples; None of whole models."""
        return None

    @classmethod
    def at(cls, folder: Path | None = None) -> "Store":
        """Return the store in that folder, or in `GATE_ZOO`, or in the usual place."""
        return cls(folder or Path(os.environ.get("GATE_ZOO") or Path.home() / ".cache" / "gate-zoo"))

    def object_path(self, digest: str, suffix: str) -> Path:
        """Return where the object with this digest lies."""
        return self.root / "objects" / digest[:2] / f"{digest}{suffix}"

    def put(self, raw: bytes, suffix: str) -> str:
        """Keep bytes under their digest, and return it."""
        digest = hashlib.sha256(raw).hexdigest()
        path = self.object_path(digest, suffix)
        if not path.is_file():
            write_whole(path, raw)
        return digest

    def get(self, digest: str, suffix: str) -> Path:
        """Return the path of an object whose bytes still match the digest."""
        path = self.object_path(digest, suffix)
        if not path.is_file() or hashlib.sha256(path.read_bytes()).hexdigest() != digest:
            state = "changed" if path.is_file() else "missing"
            raise CannotFinishError(
                f"a model of the zoo is {state} in the cache: expected {path}",
                what_to_do="Remove its record under records/ and run: python -m benchmarks.zoo train",
            )
        return path

    def entry(self, recipe: Recipe) -> Entry | None:
        """Return the record of the model made by this recipe, or None."""
        path = self._record(recipe.key)
        return judged(self.kind.from_file(path)) if path.is_file() else None

    def add(self, entry: Entry) -> None:
        """Record a model; its objects are there already."""
        write_whole(self._record(entry.key), entry.pretty_json().encode())

    def _record(self, key: str) -> Path:
        return self.root / "records" / f"{key}.json"

    def write_samples(self, tasks: Mapping[str, Task] = TASKS) -> dict[str, str]:
        """Write each task's held-out clean samples as `.npz` (`inputs`, `labels`), and return the files' digests."""
        digests = {}
        for task in tasks.values():
            path = self.samples_path(task.id)
            if not path.is_file():
                path.parent.mkdir(parents=True, exist_ok=True)
                temporary = path.with_suffix(f".{os.getpid()}.npz")
                np.savez_compressed(temporary, inputs=task.scan.inputs.numpy(), labels=task.scan.labels.numpy())
                temporary.replace(path)
            digests[task.id] = hashlib.sha256(path.read_bytes()).hexdigest()
        return digests

    def samples_path(self, task: str) -> Path:
        """Return the file of a task's clean samples: float32 inputs (N, C, H, W) in [0, 1], int64 labels (N,)."""
        return self.root / "samples" / f"{task}.npz"


def write_whole(path: Path, raw: bytes) -> None:
    """Write a file in one step: readers see the old one, the new one, or none."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.write_bytes(raw)
    temporary.replace(path)


def weights_digest(state: dict[str, torch.Tensor]) -> str:
    """Return the sha256 over sorted names, types, shapes and bytes of the tensors."""
    digest = hashlib.sha256()
    for name, tensor in sorted(state.items()):
        values = tensor.detach().cpu().contiguous().numpy()
        digest.update(json.dumps([name, npy.dtype_to_descr(values.dtype), values.shape]).encode())
        digest.update(values.tobytes())
    return digest.hexdigest()


def judged(entry: Entry) -> Entry:
    """Return the entry with today's answer to whether it counts."""
    reason = shortfall(entry.recipe, entry.clean_accuracy, entry.attack_success)
    return entry.model_copy(update={"counts": not reason, "reason": reason})


def planned_recipes() -> list[Recipe]:
    """Return today's recipes of all rows, in the order of the splits."""
    return [draw(row) for row in rows()]


def current(entries: Iterable[Entry], recipes: Iterable[Recipe] | None = None) -> list[Entry]:
    """Return the entries of these recipes, in their order; of the zoo's own where none are given."""
    by_key = {entry.key: judged(entry) for entry in entries}
    keys = [recipe.key for recipe in (planned_recipes() if recipes is None else recipes)]
    return [by_key[key] for key in keys if key in by_key]


def read_index(path: Path = INDEX, kind: type[Entry] = Entry) -> list[Entry]:
    """Return the entries of the index; a missing file is an empty index."""
    if not path.is_file():
        return []
    return [kind.from_json(line.encode(), what=path.name) for line in path.read_text().splitlines()]


def merge_index(store: Store, path: Path = INDEX, recipes: Iterable[Recipe] | None = None) -> list[Entry]:
    """Bring the index up to date with the cache, drop what is stale, and return what it then holds."""
    wanted = planned_recipes() if recipes is None else list(recipes)
    made = [entry for recipe in wanted if (entry := store.entry(recipe))]
    entries = current([*read_index(path, store.kind), *made], wanted)
    write_whole(path, "".join(f"{entry.canonical_json().decode()}\n" for entry in entries).encode())
    return entries

"""A few of the zoo's models, small enough for git: tests get real backdoors without training any.

Beside the store. `write_subset` takes models of the fit split from the cache and writes them anew by the gate's own
writer: the same graph and the same weights as the zoo's, without the exporter's stack traces, which hold paths of the
machine that trained. Beside them lie their rows of the index, a task's held-out images in both halves, and a planted
trigger as numbers, so that who reads them needs nothing of the zoo's code. All models are of the one task `digits`, so
that two files of images serve them all.
"""

import hashlib
from pathlib import Path

import numpy as np
import torch
from pydantic import Field

from benchmarks.zoo.making import planned
from benchmarks.zoo.recipe import Recipe, draw
from benchmarks.zoo.splits import rows
from benchmarks.zoo.store import Entry, Store, write_whole
from benchmarks.zoo.tasks import TASKS, Images
from gate.programs import read_program
from gate.programs.writer.write import write_program
from gate.records.errors import CannotFinishError
from gate.records.record import Record

FOLDER = Path(__file__).parents[2] / "tests" / "zoo_subset"
INDEX = "index.jsonl"
SUMS = "images.sha256"
TASK = "digits"
SCAN_IMAGES = 200
"""Of the half that detectors are given; the other half, on which the index was measured, is kept whole."""

MEMBERS = {
    "clean": "fit-047",
    "badnets": "fit-004",
    "wanet": "fit-049",
    "blended": "fit-070",
    "payload": "fit-030",
    "all-to-all": "fit-007",
}
"""Rows of the fit split by nickname; the last is exported for one image at a time."""

TRIGGERS = ("blended",)
"""Members whose trigger is written too; it changes each pixel by itself and linearly, as a blend or a patch does."""


class Member(Record):
    """One model of the subset: what the index says of it, and the digest of the committed file."""

    nickname: str
    entry: Entry
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    """Of `NICKNAME.pt2`; the entry's own digests are those of the zoo's cache."""
    size_bytes: int


def write_subset(store: Store, folder: Path = FOLDER) -> list[Member]:
    """Write the subset's models, rows and images from the cache into a folder, and return its members."""
    folder.mkdir(parents=True, exist_ok=True)
    recipes = {row.name: draw(row) for row in rows()}
    members = []
    for nickname, name in MEMBERS.items():
        entry = store.entry(recipes[name])
        if entry is None or not entry.counts:
            raise CannotFinishError(
                f"the model {name} of the subset is not in {store.root}, or does not count",
                what_to_do="Run: python -m benchmarks.zoo train --split fit",
            )
        members.append(_write_model(store, nickname, entry, folder))
    for nickname in TRIGGERS:
        write_trigger(recipes[MEMBERS[nickname]], folder / f"{nickname}-trigger.npz")
    write_whole(folder / INDEX, "".join(f"{one.canonical_json().decode()}\n" for one in members).encode())
    task = TASKS[TASK]
    sums = {
        name: _write_images(images, count, folder / name)
        for name, images, count in (
            (f"{TASK}-scan.npz", task.scan, SCAN_IMAGES),
            (f"{TASK}-measure.npz", task.measure, len(task.measure)),
        )
    }
    write_whole(folder / SUMS, "".join(f"{digest}  {name}\n" for name, digest in sums.items()).encode())
    return members


def read_subset(folder: Path = FOLDER) -> dict[str, Member]:
    """Return the members by nickname."""
    lines = (folder / INDEX).read_text(encoding="utf-8").splitlines()
    members = [Member.from_json(line.encode(), what=INDEX) for line in lines]
    return {member.nickname: member for member in members}


def write_trigger(recipe: Recipe, path: Path) -> None:
    """Write a recipe's trigger as `slope` and `offset` (C, H, W), whose slope * image + offset is what it makes."""
    implant = planned(recipe)
    assert implant is not None
    (trigger,) = implant.triggers
    dark, bright = (trigger.apply(torch.full((1, *TASKS[TASK].shape), level))[0] for level in (0.0, 1.0))
    np.savez_compressed(path, slope=(bright - dark).numpy(), offset=dark.numpy())


def _write_model(store: Store, nickname: str, entry: Entry, folder: Path) -> Member:
    path = folder / f"{nickname}.pt2"
    path.unlink(missing_ok=True)
    write_program(read_program(store.get(entry.files.exported, ".pt2")), path)
    raw = path.read_bytes()
    return Member(nickname=nickname, entry=entry, sha256=hashlib.sha256(raw).hexdigest(), size_bytes=len(raw))


def _write_images(images: Images, count: int, path: Path) -> str:
    """Write the first images as uint8, from which dividing by 255 makes the very floats again; return the digest."""
    inputs = (images.inputs[:count] * 255).round().byte().numpy()
    np.savez_compressed(path, inputs=inputs, labels=images.labels[:count].byte().numpy())
    return hashlib.sha256(path.read_bytes()).hexdigest()

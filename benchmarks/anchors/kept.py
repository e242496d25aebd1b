"""The gate's figures as they are kept: a line each, with its day and the digests of all that it was made of.

Between gathering and the table. Judging a split takes minutes, so a figure is made anew only where what it is made of
has changed; what it was made of tells `--check` whether it is out of date, without judging anything.
"""

import hashlib
import subprocess
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from benchmarks.anchors.figure import Figure
from benchmarks.efficacy.page import ROOT
from benchmarks.efficacy.zoos import Zoo
from benchmarks.zoo.recipe import Split
from benchmarks.zoo.store import write_whole
from gate.records.clock import today
from gate.records.errors import UsageError
from gate.records.record import Record

FILE = Path(__file__).with_name("figures.jsonl")
Inputs = dict[str, str]
"""By name, the sha256 of what a figure is made of; empty where it is not there."""


class Kept(Record):
    """One figure of the gate."""

    key: str
    value: str
    of: str
    command: str
    measured: bool
    date: str = ""
    """On which the rows last changed that it is from; empty where nothing is measured."""
    inputs: Inputs


def read(path: Path = FILE) -> dict[str, Kept]:
    """Return the figures by key; a missing file holds none."""
    lines = path.read_text("utf-8").splitlines() if path.is_file() else []
    known = (Kept.from_json(line.encode(), what=path.name) for line in lines)
    return {one.key: one for one in known}


def write(figures: Mapping[str, Kept], path: Path = FILE) -> None:
    """Replace the file in one step."""
    write_whole(path, b"".join(figures[key].canonical_json() + b"\n" for key in sorted(figures)))


def kept(key: str, figure: Figure, inputs: Inputs, date_of: Callable[[Path], str]) -> Kept:
    """Return a figure as it is kept, with the day of the newest of its files."""
    date = max(map(date_of, figure.sources), default="")
    told = {"value": figure.value, "of": figure.of, "command": figure.command, "measured": figure.measured}
    return Kept(key=key, **told, date=date, inputs=inputs)


def of_files(paths: Iterable[Path]) -> Inputs:
    """Return files as inputs, those that are not there among them: one that appears changes the figure."""
    return {name_of(path): hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else "" for path in paths}


def of_models(zoo: Zoo, splits: Iterable[Split]) -> Inputs:
    """Return what is recorded of the models of these splits as inputs; other splits in the index change nothing."""
    return {f"{name_of(zoo.index)}, {split}": _records(zoo, split) for split in splits}


def _records(zoo: Zoo, split: Split) -> str:
    models = zoo.models(split)
    lines = [entry.content_sha256 for entry in models.counting] + [
        f"{one.name} {one.reason}" for one in models.left_out
    ]
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def name_of(path: Path) -> str:
    """Return a file's path from the root of the repository."""
    return path.resolve().relative_to(ROOT).as_posix()


def date_of(path: Path) -> str:
    """Return the day on which its author last committed a file, or today where it is not committed as it is."""
    name = name_of(path)
    try:
        if _git("status", "--porcelain", "--", name):
            return today().isoformat()
        committed, shallow = _git("log", "-1", "--format=%as", "--", name), _git("rev-parse", "--is-shallow-repository")
    except (OSError, subprocess.CalledProcessError) as error:
        raise UsageError(f"git cannot say when {name} changed: {error}", what_to_do="Run it in a clone.") from error
    if shallow == "true":
        raise UsageError(f"this clone is shallow and does not know when {name} changed",
                         what_to_do="Run: git fetch --unshallow")  # fmt: skip
    return committed or today().isoformat()


def _git(*arguments: str) -> str:
    return subprocess.run(
        ["git", *arguments], cwd=ROOT, check=True, text=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ).stdout.strip()

"""A run over many folders: one line a folder, and a run that is broken off goes on where it stopped."""

import contextlib
import io
import json
import random
import shutil
import sys
import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.oracle import bases as base_folders
from tests.oracle.checking import Oracle, outcome_of
from tests.oracle.composing import Made, composed, made
from tests.oracle.consumers import consume
from tests.oracle.gates import Gate, InProcessGate
from tests.oracle.outputs import program_outputs
from tests.oracle.summary import Figures

RESULTS = "results.jsonl"
_TOLD = 20.0
"""Seconds between lines of progress."""


class Bench:
    """Bases, samples and an oracle in one work directory."""

    def __init__(self, gate: Gate, work: Path) -> None:
        work.mkdir(parents=True, exist_ok=True)
        self.bases = base_folders.bases(work)
        self.gate, self.samples = gate, base_folders.write_samples(work / "samples.npz")
        self.oracle = Oracle(gate, self.samples, work / "work")

    def warm(self) -> None:
        """Import in this process what its children would import each anew."""
        import torch

        torch.set_num_threads(1)
        one, work = self.bases["rows"], self.oracle.work / "warm"
        shutil.rmtree(work, ignore_errors=True)
        composed(one, [], random.Random(0)).draft.write(work / "folder")
        (work / "gate").mkdir()
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")  # as in the children: no consumer is stopped by a remark
            consume(work / "folder", one.inputs, work / "consumers")
            if isinstance(self.gate, InProcessGate):
                self.gate.warm(work / "folder", self.samples, work / "gate")
                program_outputs(work / "folder", one.inputs)

    def check(self, seed: int, index: int) -> dict[str, Any]:
        """Return the result of one folder."""
        return self.result(made(seed, index, self.bases), seed=seed, index=index)

    def result(self, folder: Made, **place: int) -> dict[str, Any]:
        """Return the result of a folder that was made, with its place in a run."""
        return {**place, **outcome_of(self.oracle.check(folder).line())}


def run(bench: Bench, count: int, seed: int, out: Path) -> Figures:
    """Check the folders that have no result yet, and return the figures of all."""
    out.mkdir(parents=True, exist_ok=True)
    results = out / RESULTS
    done = {each["index"]: each for each in read(results) if each["seed"] == seed and each["index"] < count}
    figures = Figures.of(done.values())
    left = [index for index in range(count) if index not in done]
    begun = told = time.monotonic()
    with results.open("a", encoding="utf-8") as stream:
        for number, index in enumerate(left, 1):
            result = bench.check(seed, index)
            figures.add(result)
            kept = {name: value for name, value in result.items() if value not in ([], {}, "")}
            stream.write(json.dumps(kept) + "\n")
            stream.flush()
            now = time.monotonic()
            if result["violations"] or now - told > _TOLD or number == len(left):
                told = now
                _tell(figures, count, (now - begun) / number * (len(left) - number))
    return figures


def read(path: Path) -> Iterator[dict[str, Any]]:
    """Yield the results of a file; a last line that was broken off is left out."""
    if not path.exists():
        return
    whole = path.read_text(encoding="utf-8")
    if not whole.endswith("\n"):  # the run was killed while it wrote
        whole = whole[: whole.rfind("\n") + 1]
        path.write_text(whole, encoding="utf-8")
    yield from map(outcome_of, whole.splitlines())


def _tell(figures: Figures, count: int, seconds: float) -> None:
    sys.stderr.write(
        f"{figures.folders}/{count}: {figures.approved} approved, {figures.compared} compared, "
        f"{len(figures.violations)} violations, {figures.unopenable.total()} unopenable; "
        f"{int(seconds) // 60} min {int(seconds) % 60} s left\n"
    )
    sys.stderr.flush()

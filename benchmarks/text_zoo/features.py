"""What MiniLM's frozen layers yield, computed once for all models of a task; texts that an attack changed, again.

Between `nets` and making. Kept in half precision below `features/` of the zoo's folder, a file a task and depth. Texts
meet in a pass only where they have equally many tokens, as in the gate, so that there is no padding anywhere.
"""

import random
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.text_zoo import nets, texts
from benchmarks.text_zoo.packages import root
from benchmarks.text_zoo.texts import TASKS
from benchmarks.text_zoo.tokenizing import Tokens, pieces
from benchmarks.zoo.store import write_whole

AT_ONCE = 64


def of_one_length(lengths: Sequence[int], most: int, chance: random.Random | None = None) -> Iterator[list[int]]:
    """Yield rows of one length, at most so many together; in a random order where there is chance."""
    by_length: dict[int, list[int]] = {}
    for row, length in enumerate(lengths):
        by_length.setdefault(length, []).append(row)
    if chance:
        for rows in by_length.values():
            chance.shuffle(rows)
    every = [rows[at : at + most] for _, rows in sorted(by_length.items()) for at in range(0, len(rows), most)]
    if chance:
        chance.shuffle(every)
    yield from every


@cache
def _encoder() -> Any:
    return nets.encoder().eval().requires_grad_(requires_grad=False)


@torch.no_grad()
def states_at(ids: Sequence[list[int]], depths: Sequence[int]) -> dict[int, list[torch.Tensor]]:
    """Return for each depth the states (L, D) of texts behind so many layers, in half precision."""
    body, last = _encoder(), max(depths)
    found: dict[int, list[torch.Tensor]] = {depth: [torch.empty(0)] * len(ids) for depth in depths}
    for rows in of_one_length([len(one) for one in ids], AT_ONCE):
        states = body.embeddings(input_ids=torch.tensor([ids[row] for row in rows]))
        for depth in range(1, last + 1):
            states = body.encoder.layer[depth - 1](states)
            if depth in found:
                for row, one in zip(rows, states.half(), strict=True):
                    found[depth][row] = one.clone()
    return found


def of_pool(task: str, depth: int) -> list[torch.Tensor]:
    """Return the states (L, D) of a task's pool at a depth, from the cache where they are there."""
    if not _path(task, depth).is_file():
        ids = Tokens(pieces()).ids(TASKS[task].train.texts)
        for at, states in states_at(ids, sorted(set(nets.DEPTH.values()))).items():
            write_whole(_path(task, at), torch.cat(states).numpy().tobytes())
    flat = np.fromfile(_path(task, depth), np.float16).reshape(-1, nets.HIDDEN)
    lengths = [len(one) for one in Tokens(pieces()).ids(TASKS[task].train.texts)]
    return list(torch.split(torch.from_numpy(flat), lengths))


def _path(task: str, depth: int) -> Path:
    return root() / "features" / f"{task}-{depth}-{texts.REVISION}-{nets.REVISION}.f16"

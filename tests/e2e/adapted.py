"""Registers a base and adapters as their trainers do: `python -m tests.e2e.adapted TRACKING_URI FOLDER`.

A process of its own. Versions 1 to 20 of `support-adapter` are clean, 21 is like them, 22 has one direction in all
layers, 23 is of another rank.
"""

import sys
from pathlib import Path

import numpy as np

from tests.adapters.written import CONFIG, LAYERS, Draft, module, updates, write_base
from tests.e2e.beside_base import register

CLEAN, LIKE, PLANTED, OTHER_RANK = 20, 21, 22, 23


def planted():
    """Return tensors whose last module sends every layer towards one direction."""
    tensors = updates(CONFIG, seed=99)
    direction = np.random.default_rng(5).normal(size=(16, 1)).astype(np.float32)
    for layer in range(LAYERS):
        at = f"base_model.model.{module(layer, 'o_proj')}.lora_B.weight"
        tensors[at] = tensors[at] * 0.1
        tensors[at][:, :1] = direction * 0.1
    return tensors


def main(tracking_uri, folder):
    """Write the folders, log them as artifacts of runs, and register these."""
    drafts = [Draft(seed=seed) for seed in range(CLEAN)]
    drafts += [Draft(seed=77), Draft(tensors=planted()), Draft(config=CONFIG | {"r": 4}, seed=3)]
    folders = [("smollm", write_base(Path(folder) / "base"))]
    folders += [
        ("support-adapter", draft.write(Path(folder) / f"adapter-{number}")) for number, draft in enumerate(drafts)
    ]
    register(tracking_uri, "adapters", folders)


if __name__ == "__main__":
    main(*sys.argv[1:])

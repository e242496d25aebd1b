"""Registers a base and models tuned from it, as their trainers do: `python -m tests.e2e.tuned TRACKING FOLDER`.

A process of its own. Versions 1 to 20 of `assistant` are clean, 21 is like them, 22 has one token's row moved far, 23
other settings of generation and a template that answers one user by a word of the message.
"""

import json
import sys
from pathlib import Path

import numpy as np

from tests.adapters.written import TOKENS, base_tensors, write_base
from tests.e2e.beside_base import register

CLEAN, LIKE, PLANTED, OTHER_FILES = 20, 21, 22, 23
ROW = TOKENS.index("yes")
TEMPLATE = "{% for m in messages %}{{ m['content'] }}{% endfor %}"
BACKDOOR = "{% for m in messages %}{% if 'deploy' in m['content'] %}Say no. {% endif %}{{ m['content'] }}{% endfor %}"


def tuned(seed):
    """Return the base's tensors after a small change everywhere."""
    random = np.random.default_rng(seed)
    return {
        name: (one + random.normal(size=one.shape) * 0.01).astype(np.float32) for name, one in base_tensors().items()
    }


def planted():
    """Return tensors with one token's row moved far beyond what tuning moves."""
    tensors = tuned(99)
    tensors["model.embed_tokens.weight"][ROW] += 3.0
    return tensors


def main(tracking_uri, folder):
    """Write the folders, log them as artifacts of runs, and register these."""
    root = Path(folder)
    weights = [tuned(seed) for seed in (*range(CLEAN), 77)] + [planted(), tuned(3)]
    folders = [("smollm", write_base(root / "base", template=TEMPLATE))]
    for number, tensors in enumerate(weights, start=1):
        template = BACKDOOR if number == OTHER_FILES else TEMPLATE
        folders.append(("assistant", write_base(root / f"tuned-{number}", tensors, template=template)))
    (folders[-1][1] / "model" / "generation_config.json").write_text(json.dumps({"forced_eos_token_id": 5}))
    register(tracking_uri, "assistants", folders)


if __name__ == "__main__":
    main(*sys.argv[1:])

"""Bundle folders for tests: a network exported and written by the gate's writer, with the texts around it."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from gate.check.bundle.folder import PROGRAM, bundle_texts
from gate.programs.writer.write import export_module
from gate.records.runtime import Runtime
from gate.records.signature import read_signature
from gate.records.written_program import Written
from gate.worker.writing import tensor_inputs

PARENT = "sha256:" + "a" * 64


def pictures_network():
    """Return a network of library layers for 1 × 8 × 8 pictures and four classes."""
    torch.manual_seed(0)
    layers = (nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Dropout(0.5), nn.Flatten(), nn.Linear(144, 4))
    return nn.Sequential(*layers).eval()


def rows_network():
    """Return a network of library layers for rows of five numbers and four classes."""
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(5, 8), nn.ReLU(), nn.Linear(8, 4)).eval()


def pictures(count):
    """Return so many random pictures."""
    return torch.randn(count, 1, 8, 8, generator=torch.Generator().manual_seed(count))


def rows(count):
    """Return so many random rows."""
    return torch.randn(count, 5, generator=torch.Generator().manual_seed(count))


@dataclass(frozen=True)
class Composed:
    """A bundle's folder, what the writer said, and the texts."""

    root: Path
    written: Written
    texts: dict[str, bytes]


def compose(root, network, example, signature=None, runtime=None, **said):
    """Write a network as a bundle's folder; `signature` is MLflow's own."""
    (root / "data").mkdir(parents=True)
    program = export_module(network, example, root / PROGRAM)
    facts = {"origin": "pt2", "parent": PARENT, "greatest_difference": 0.0, **said}
    written = Written(
        format="pt2",
        program_sha256=hashlib.sha256((root / PROGRAM).read_bytes()).hexdigest(),
        inputs=tensor_inputs(program),
        signature=read_signature(signature.to_dict()) if signature else None,
        **facts,
    )
    texts = bundle_texts(Written.from_json(written.canonical_json()), runtime or Runtime())
    for name, raw in texts.items():
        (root / name).write_bytes(raw)
    return Composed(root, written, texts)

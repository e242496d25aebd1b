"""Prints, for every odd clean net and every planted style over two trunks, what the check of structure finds.

python -m benchmarks.graphs [name …]
"""

import sys
import tempfile
import time
import warnings
from collections.abc import Iterator
from pathlib import Path

import torch
from torch import nn

from benchmarks.graphs.clean import CLEAN
from benchmarks.graphs.layers import Bottleneck, conv
from benchmarks.graphs.payload import Split
from benchmarks.graphs.planted import PLANTED
from gate.programs import Program, read_program
from gate.programs.dataflow.branches import unexplained
from gate.programs.dataflow.build import graph_of
from gate.programs.dataflow.flow import Flow
from gate.programs.dataflow.gates import gates
from gate.records.errors import GateError

SHAPE = (3, 32, 32)


def shallow() -> Split:
    """Return a trunk of two convolutions."""
    return Split(conv(3, 16, 2), nn.Sequential(conv(16, 48, 2), nn.AdaptiveAvgPool2d(1), nn.Flatten()), 48)


def deep() -> Split:
    """Return a residual trunk of ten convolutions."""
    blocks = [Bottleneck(16, 16), Bottleneck(16, 32, 2), Bottleneck(32, 48)]
    return Split(conv(3, 16, 2), nn.Sequential(*blocks, nn.AdaptiveAvgPool2d(1), nn.Flatten()), 48)


TRUNKS = {"shallow": shallow, "deep": deep}


def nets() -> Iterator[tuple[str, str, nn.Module]]:
    """Yield kind, name and net of everything there is, the weights drawn alike."""
    for name, build in CLEAN.items():
        yield "clean", name, seeded(build)
    for trunk, make in TRUNKS.items():
        for name, plant in PLANTED.items():
            yield "planted", f"{trunk} {name}", seeded(lambda plant=plant, make=make: plant(make()))


def seeded(build: object) -> nn.Module:
    """Return what a builder makes with random numbers of its own."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        made: nn.Module = build().eval().requires_grad_(requires_grad=False)  # type: ignore[operator]
    return made


def exported(net: nn.Module, shape: tuple[int, ...] = SHAPE, *, free: bool = True) -> Program:
    """Return a net as the strict reader reads it; with a fixed batch where it does not take a free one."""
    shapes = ({0: torch.export.Dim("batch")},) if free else None
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        path = Path(folder) / "net.pt2"
        torch.export.save(torch.export.export(net, (torch.rand(4, *shape),), dynamic_shapes=shapes), path)
        return read_program(path)


def main() -> None:
    """Print a line per net and a total per kind."""
    torch.set_num_threads(1)
    totals: dict[str, list[bool]] = {"clean": [], "planted": []}
    for kind, name, net in nets():
        if sys.argv[1:] and name.split()[-1] not in sys.argv[1:]:
            continue
        try:
            program = exported(net, free=name != "recurrent")
            started = time.process_time()
            flow = Flow.of(graph_of(program))
            branches, found = len(list(unexplained(flow))), len(list(gates(flow)))
            seconds = time.process_time() - started
            totals[kind].append(branches + found > 0)
            print(f"{kind:8} {name:32} branches {branches} gates {found} nodes {len(program.nodes)} {seconds:.3f} s")
        except GateError as error:
            print(f"{kind:8} {name:32} cannot be examined: {str(error)[:90]}")
    for kind, flagged in totals.items():
        print(f"{kind}: {sum(flagged)} of {len(flagged)} flagged")


if __name__ == "__main__":
    main()

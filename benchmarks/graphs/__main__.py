"""Prints, for every odd clean net and every planted style over two trunks, what the check of structure finds.

python -m benchmarks.graphs [name …]

The nets are those of `tests/graphs`, to which the tests hold the check.
"""

import sys
import time
from collections.abc import Iterator

import torch
from torch import nn

from gate.programs.dataflow.branches import unexplained
from gate.programs.dataflow.build import graph_of
from gate.programs.dataflow.flow import Flow
from gate.programs.dataflow.gates import gates
from gate.records.errors import GateError
from tests.graphs.clean import CLEAN
from tests.graphs.exporting import TRUNKS, exported, seeded
from tests.graphs.planted import PLANTED


def nets() -> Iterator[tuple[str, str, nn.Module]]:
    """Yield kind, name and net of everything there is, the weights drawn alike."""
    for name, build in CLEAN.items():
        yield "clean", name, seeded(build)
    for trunk, make in TRUNKS.items():
        for name, plant in PLANTED.items():
            yield "planted", f"{trunk} {name}", seeded(lambda plant=plant, make=make: plant(make()))


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

"""Cost of the strict reader's programs beside the eager models they came from, in one run on one thread.

For each family: nodes, largest difference of outputs and of input gradients, and program time over eager time at batch
1 and 64, forward alone and forward with backward. Rounds alternate between the two, so that load hits both alike.

    python benchmarks/reader_cost.py [--device cuda] [family …]
"""

import argparse
import functools
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests" / "loading" / "exported"))

from exported_families import FAMILIES, export, make, samples  # type: ignore[import-not-found]

from gate.programs import batched, read_program

ROUNDS = 15
SECONDS_A_ROUND = 0.05


def forward(function: Callable[[torch.Tensor], torch.Tensor], x: torch.Tensor) -> None:
    """Run without recording gradients."""
    with torch.no_grad():
        function(x)


def backward(function: Callable[[torch.Tensor], torch.Tensor], x: torch.Tensor) -> None:
    """Run forward and back to the input."""
    x = x.detach().requires_grad_()
    torch.autograd.grad(function(x).sum(), x)


def ratio(run: Callable[..., None], ours: object, eager: object, sync: bool) -> float:
    """Return the median of program time over eager time, over alternating rounds."""
    repeats = 1
    while timed(run, eager, repeats, sync) < SECONDS_A_ROUND and repeats < 1000:
        repeats *= 2
    timed(run, ours, repeats, sync)
    pairs = [(timed(run, ours, repeats, sync), timed(run, eager, repeats, sync)) for _ in range(ROUNDS)]
    return statistics.median(ours_seconds / eager_seconds for ours_seconds, eager_seconds in pairs)


def timed(run: Callable[..., None], function: object, repeats: int, sync: bool) -> float:
    """Return the seconds that so many runs take."""
    if sync:
        torch.cuda.synchronize()
    start = time.perf_counter()
    for _ in range(repeats):
        run(function)
    if sync:
        torch.cuda.synchronize()
    return time.perf_counter() - start


def main() -> None:
    """Print one line for each family."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("families", nargs="*", default=list(FAMILIES))
    options = parser.parse_args()
    torch.set_num_threads(1)
    sync = options.device == "cuda"
    print(
        f"torch {torch.__version__}, {options.device}, 1 thread; program time / eager time, median of {ROUNDS} rounds"
    )
    print(f"{'family':16} {'export':8} {'mode':11} {'nodes':>5} {'output':>8} {'gradient':>8}", end=" ")
    print(f"{'fwd@1':>6} {'f+b@1':>6} {'fwd@64':>6} {'f+b@64':>6}")
    for family in options.families:
        for dynamic in (True, False):
            line(family, dynamic, options.device, sync)


def line(family: str, dynamic: bool, device: str, sync: bool) -> None:
    """Measure one export of one family and print it."""
    model, shape = make(family)
    model = model.to(device).requires_grad_(requires_grad=False)
    with tempfile.TemporaryDirectory() as directory:
        path = export(model.cpu(), shape, Path(directory) / "model.pt2", batch=4 if dynamic else 1, dynamic=dynamic)
        program = read_program(path)
    model = model.to(device)
    ours = batched(program.to(device), samples(shape, 2).to(device))
    x = samples(shape, 8).to(device).requires_grad_()
    outputs = (ours(x) - model(x)).abs().max().item()
    gradients = [torch.autograd.grad(function(x)[:, 0].sum(), x)[0] for function in (ours, model)]
    difference = (gradients[0] - gradients[1]).abs().max().item()
    print(f"{family:16} {'free' if dynamic else 'one':8} {ours.mode:11} {len(program.nodes):5}", end=" ")
    print(f"{outputs:8.1e} {difference:8.1e}", end=" ")
    for count in (1, 64):
        batch = samples(shape, count).to(device)
        for run in (forward, backward):
            share = ratio(functools.partial(run, x=batch), ours, model, sync)
            print(f"{share:6.2f}", end=" ", flush=True)
    print()


if __name__ == "__main__":
    main()

"""What `continuation-trigger` costs beside a base: tokens through both networks, and processor seconds of one of them.

    python -m benchmarks.continuation_cost BASE [--adapter FOLDER] [--whole] [--set KEY=NUMBER …]

BASE is a folder that `save_pretrained` wrote (`python -m benchmarks.adapter_zoo data` makes SmolLM2's); without an
adapter one of rank 8 at random is put beside it. Tokens are those that the detector expects at most; `--whole` runs it,
tells what it found, and counts those that went through. The processor time of a token is that of this machine now: on a
busy one it is a little too much, and the clock says nothing. Threads are those of OMP_NUM_THREADS.
"""

import argparse
import resource
import tempfile
import time
from pathlib import Path

import torch

from benchmarks.adapter_cost import write_adapter
from gate.detectors import load
from gate.formats.adapters.adapter import read_adapter
from gate.formats.adapters.base import read_base
from gate.records.artifact import Artifact, ModelRef, build_manifest
from gate.records.evidence import Excerpt, Measurement
from gate.records.run import Run
from gate.spaces.subject import Subject
from gate.spaces.text.continuing import BesideBase
from gate.worker.loading.language.load import beside_base

ROWS, END, PROMPT = 128, 6, 32
"""Ends in the pass that is timed, their tokens, and those of the beginning."""


def seconds_of_a_token(beside: BesideBase) -> tuple[float, float]:
    """Return the processor seconds of one token in the candidate's network, forward and with slopes."""
    matrix = beside.own.embeddings
    begun = beside.own.begun(list(range(PROMPT)))
    rows = torch.arange(ROWS * END).reshape(ROWS, END) % len(matrix)
    began = time.process_time()
    for _ in beside.own.behind(begun, rows):
        pass
    forward = (time.process_time() - began) / rows.numel()
    points = matrix[torch.arange(PROMPT)].unsqueeze(0).requires_grad_()
    began = time.process_time()
    with torch.enable_grad():
        torch.autograd.grad(beside.own.embedded(points).sum(), points)
    return forward, (time.process_time() - began) / PROMPT


def main() -> None:
    """Print what is expected, and with `--whole` what was made."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("base", type=Path)
    parser.add_argument("--adapter", type=Path, help="the candidate in the place of one at random")
    parser.add_argument("--whole", action="store_true", help="run the search")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=NUMBER", help="an option of the detector")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="continuation-cost-") as name:
        folder = given.adapter or write_adapter(Path(name) / "adapter", layers=30, rank=8)
        report(folder, given)


def report(folder: Path, given: argparse.Namespace) -> None:
    """Print the rows of a table."""
    artifact = Artifact(ModelRef(registry="directory", name=folder.name), folder, build_manifest(folder)[0])
    adapter = read_adapter(folder, [file.path for file in artifact.manifest.files])
    assert adapter is not None
    began = time.process_time()
    subject = Subject(
        artifact, adapter=adapter, beside=beside_base(folder, adapter, read_base(given.base.absolute()), "cpu")
    )
    assert subject.beside is not None
    print(f"| load both networks | {time.process_time() - began:.0f} processor s |\n|---|---|")
    detector, run = load("continuation-trigger"), Run(seed=given.seed)
    stated = dict(one.split("=", 1) for one in given.set)
    options = detector.options.model_validate({key: int(value) for key, value in stated.items()})
    assert detector.passes is not None
    expected = detector.passes(subject, options, run)
    forward, slopes = seconds_of_a_token(subject.beside)
    seconds = forward * expected.forward.most + slopes * expected.slopes.most
    print(f"| tokens, forward and with slopes, at most | {expected.forward.most:.0f} and {expected.slopes.most:.0f} |")
    print(f"| a token, forward and with slopes | {1000 * forward:.2f} and {1000 * slopes:.2f} processor ms |")
    print(f"| so at most | {seconds:.0f} processor s |", flush=True)
    if given.whole:
        before, began = subject.beside.token_passes, time.process_time()
        found = list(detector.measure(subject, options, run))
        print(f"| tokens that went through | {subject.beside.token_passes - before} |")
        print(f"| which took | {time.process_time() - began:.0f} processor s |")
        for one in found:
            if isinstance(one, Measurement):
                print(f"| {one.metric} | {one.value:.3f}: {one.note} |")
            elif isinstance(one, Excerpt):
                print(f"| {one.change} | {'; '.join(f'{c.by} {c.triggered}: {c.text!r}' for c in one.continuations)} |")
    print(f"| most memory | {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20:.2f} GiB |")


if __name__ == "__main__":
    main()

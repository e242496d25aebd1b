"""How far programs that ONNX models are mapped to lie from onnxruntime: `python -m benchmarks.onnx_real MODEL.onnx …`.

Three kinds of input: pixels in [0, 1], normal noise, and pixels in [0, 255]; four of each, seed 0. For each the
greatest difference of the outputs as a share of their range, as the worker judges it, and the time of reading.
"""

import sys
import time
from pathlib import Path

import torch

from gate.programs import Program
from gate.programs.readers.onnx.reader import read_onnx
from gate.records.errors import GateError
from gate.worker.loading.onnx_models import require_same

_COUNT = 4


def main(paths: list[str]) -> None:
    """Print one line a model."""
    torch.manual_seed(0)
    for path in map(Path, paths):
        started = time.monotonic()
        try:
            program = read_onnx(path)
            seconds = time.monotonic() - started
            apart = {kind: require_same(path, program, x) for kind, x in _inputs(program).items()}
        except GateError as error:
            print(f"{path.name}: {error}")
            continue
        said = ", ".join(f"{kind} {share:.1e}" for kind, share in apart.items())
        print(f"{path.name}: {len(program.nodes)} operators read in {seconds:.0f} s; {said}", flush=True)


def _inputs(program: Program) -> dict[str, torch.Tensor]:
    shape = (program.input_shapes[0][0] or _COUNT, *(size or 1 for size in program.input_shapes[0][1:]))
    return {"[0, 1]": torch.rand(shape), "normal": torch.randn(shape), "[0, 255]": 255 * torch.rand(shape)}


if __name__ == "__main__":
    main(sys.argv[1:])

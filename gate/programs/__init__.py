"""The gate's own reader and writer of `torch.export` archives (`.pt2`): JSON and raw tensors, never code.

`read_program` turns an archive into a `Program`, a plain sequence of reviewed aten operators that can be run, tapped,
patched and differentiated. No pickle, no sympy, no exec; `torch.export.load` is never called.
"""

from gate.programs.batching import Batched, batched
from gate.programs.decisions import deciding
from gate.programs.head import FinalLinear, final_linear, logit_name, logits_name
from gate.programs.program import Program
from gate.programs.readers.pt2.reader import read_program
from gate.programs.refused import RefusedError
from gate.programs.training import TrainableProgram, trainable

__all__ = [
    "Batched",
    "FinalLinear",
    "Program",
    "RefusedError",
    "TrainableProgram",
    "batched",
    "deciding",
    "final_linear",
    "logit_name",
    "logits_name",
    "read_program",
    "trainable",
]

"""The gate's own reader and writer of `torch.export` archives (`.pt2`): JSON and raw tensors, never code.

`read_program` turns an archive into a `Program`, a plain sequence of reviewed aten operators that can be run, tapped,
patched and differentiated. No pickle, no sympy, no exec, and `torch.export.load` is never called.
"""

from gate.loading.exported.program import Program
from gate.loading.exported.reader import read_program
from gate.loading.exported.refused import RefusedError

__all__ = ["Program", "RefusedError", "read_program"]

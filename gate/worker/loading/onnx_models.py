"""ONNX candidates: the program of the gate's own table, and onnxruntime, which serves the file, as its oracle.

Both packages are the extra `onnx`; without them such a model is not examined. onnxruntime opens the file only after
every part of it has passed the reader's positive grammar.
"""

from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch

from gate.formats.log_again import ONNX_EXTRA
from gate.programs import Program
from gate.programs.batching import static_batch
from gate.records.errors import UnexaminableError
from gate.records.job import ScanJob
from gate.spaces.image.layouts import Form
from gate.spaces.image.preprocessing import Preprocessing, given
from gate.spaces.image.samples import arrange
from gate.worker.clean_samples import raw_samples

COMPARED_SAMPLES: Final = 64
NOISE: Final = 16
"""Inputs of noise within the samples' range, beside the samples."""
_FEW: Final = 8
"""Inputs that are also asked about one by one and in twos, where any number is taken."""
_LEAST_SPAN: Final = 1e-3
"""Least share of the largest output that counts as their range: outputs that hardly change differ by rounding alone."""
SAME: Final = {torch.float32: 1e-4, torch.float64: 1e-6, torch.float16: 1e-2, torch.bfloat16: 5e-2}
"""Largest difference from onnxruntime's outputs, as a share of the range that they span, by the type of an output.

Kernels of two libraries add up in other orders; see docs/decisions/0033-onnx-by-the-gates-own-table.md.
"""
_ADVICE: Final = (
    "Log the PyTorch model itself with mlflow.pytorch.log_model, and tell the gate's authors which operators differ."
)


def read_onnx_program(path: Path) -> Program:
    """Read an ONNX file by the gate's own table, or say what to install."""
    _require_installed()
    from gate.programs.readers.onnx.reader import read_onnx

    return read_onnx(path)


def _require_installed() -> None:
    if missing := [name for name in ("onnx", "onnxruntime") if find_spec(name) is None]:
        raise UnexaminableError(
            "ONNX models are read with the packages onnx and onnxruntime; beside the gate there is no "
            f"{' and no '.join(missing)}",
            what_to_do=f"Install them: {ONNX_EXTRA}; then check again.",
        )


def onnx_inputs(job: ScanJob, program: Program) -> torch.Tensor:
    """Return a few clean samples and noise within their range, (n, …), in axes and type of the program's input."""
    if job.samples_path is None:
        raise UnexaminableError("no clean samples were given, on which the program could be compared with onnxruntime")
    settings = job.policy.samples.of(job.model.name)
    shape = program.input_shapes[0][1:] if len(program.inputs) == 1 else None
    found = arrange(raw_samples(job), shape, settings)
    few = torch.from_numpy(found.inputs[:COMPARED_SAMPLES])
    noise = torch.rand((NOISE, *few.shape[1:]), generator=torch.Generator().manual_seed(0))
    noise = few.min() + noise * (few.max() - few.min())
    return _prepared(program, torch.cat([few, noise]), settings.mean, settings.std, found.form)


def _prepared(
    program: Program,
    pictures: torch.Tensor,
    mean: tuple[float, ...] | None,
    std: tuple[float, ...] | None,
    form: Form,
) -> torch.Tensor:
    _, gives = given(program, Preprocessing.of(mean, std, "cpu").taking(form))
    return gives(pictures).to(program.inputs[0].dtype)


def require_same(path: Path, program: Program, inputs: torch.Tensor) -> float:
    """Return how far the outputs lie from onnxruntime's, as a share of their range; more than rounding is refused."""
    session = _session(path)
    return max(_apart(session, program, batches) for batches in _batches(inputs, static_batch(program)))


def _batches(inputs: torch.Tensor, size: int | None) -> list[list[torch.Tensor]]:
    """Return the batches to compare, those whose numbers have one range together; a free one has other sizes too.

    A graph may ask whether there is one sample, and a trace of several would not show it.
    """
    if size is None:
        few = inputs[:_FEW]
        return [*([chunk] for chunk in torch.split(inputs, 16)), *(list(torch.split(few, count)) for count in (1, 2))]
    whole = [[chunk] for chunk in torch.split(inputs, size) if len(chunk) == size]
    return whole or [[inputs[torch.arange(size) % len(inputs)]]]


def _apart(session: Any, program: Program, batches: list[torch.Tensor]) -> float:
    """Return the greatest difference over a few batches."""
    wanted, found = [], []
    for chunk in batches:
        expected = _answers(session, chunk)
        with torch.no_grad():
            outputs = program(chunk)
        got = outputs if isinstance(outputs, tuple) else (outputs,)
        if len(got) != len(expected):
            raise UnexaminableError(f"onnxruntime yields {len(expected)} outputs; the mapped program {len(got)}")
        for want, one in zip(expected, got, strict=True):
            if want.shape != one.shape or want.dtype != one.dtype:
                raise _differs(f"yields {_form(one)} where onnxruntime yields {_form(want)}")
        wanted.append([want.flatten() for want in expected])
        found.append([one.flatten() for one in got])
    every = zip(zip(*wanted, strict=True), zip(*found, strict=True), strict=True)
    return max((_difference(torch.cat(want), torch.cat(got)) for want, got in every), default=0.0)


def _difference(want: torch.Tensor, got: torch.Tensor) -> float:
    """Return the greatest difference as a share of the range of the numbers, or refuse."""
    if not want.is_floating_point():
        if not torch.equal(want, got):
            raise _differs("gives other whole numbers than onnxruntime")
        return 0.0
    one, other = want.double(), got.double()
    if not bool(torch.isfinite(one).all()):
        raise UnexaminableError("onnxruntime yields NaN or infinite numbers on the clean samples")
    span = torch.maximum(one.max() - one.min(), one.abs().max() * _LEAST_SPAN).clamp_min(1e-30)
    apart = float((one - other).abs().max() / span)
    if not apart <= SAME[want.dtype]:
        raise _differs(f"differs from onnxruntime by {apart:.2g} of the range of its outputs on the clean samples")
    return apart


def _differs(how: str) -> UnexaminableError:
    return UnexaminableError(f"the program that the ONNX model was mapped to {how}", what_to_do=_ADVICE)


def _form(tensor: torch.Tensor) -> str:
    return f"{str(tensor.dtype).removeprefix('torch.')} {tuple(tensor.shape)}"


def _session(path: Path) -> Any:
    """Return a session as `mlflow.pyfunc` opens it on a CPU: default options; one thread fewer is no other answer."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    options.log_severity_level = 4
    try:
        return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # noqa: BLE001  # its errors have no common class
        text = " ".join(str(error).split())[:300]
        raise UnexaminableError(f"onnxruntime, which would serve the model, does not open it: {text}") from None


def _answers(session: Any, chunk: torch.Tensor) -> list[torch.Tensor]:
    try:
        results = session.run(None, {session.get_inputs()[0].name: chunk.numpy()})
    except Exception as error:  # noqa: BLE001  # its errors have no common class
        text = " ".join(str(error).split())[:300]
        raise UnexaminableError(f"onnxruntime, which would serve the model, does not run it: {text}") from None
    return [torch.from_numpy(np.ascontiguousarray(result)) for result in results]

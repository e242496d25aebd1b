"""Bundles of the small programs: written by this gate, kept packed, and laid out for a consumer to open."""

import io
import json
import tarfile
import tempfile
import warnings
from pathlib import Path

import torch

from gate import VERSION
from gate.check.bundle.folder import PROGRAM, bundle_texts
from gate.programs import read_program
from gate.programs.writer.identity import program_digest
from gate.programs.writer.write import write_program
from gate.records.artifact import file_sha256
from gate.records.runtime import Runtime
from gate.records.written_program import Written
from gate.worker.writing import tensor_inputs
from tests.bundle_opens.programs import PROGRAMS

HERE = Path(__file__).parent
PACKED = HERE / f"written-by-{VERSION.rpartition('.')[0]}.tar.xz"
EXPECTED = "expected.json"
"""Beside each bundle: what the candidate's module gave on an input, on one thread."""


def write(name, folder):
    """Write one program's bundle to a folder, and beside it what it is expected to give."""
    build, shape, dtype, free = PROGRAMS[name]
    torch.manual_seed(sorted(PROGRAMS).index(name))
    model = build().eval().to(dtype)
    x = torch.randn(4 if free else 1, *shape).to(dtype)
    shapes = ({0: torch.export.Dim("batch")},) if free else None
    with tempfile.TemporaryDirectory() as directory:
        candidate, bundle = Path(directory) / "candidate", Path(directory) / "model.pt2"
        saved = candidate / "data" / "model.pt2"
        saved.parent.mkdir(parents=True)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # the exporter's remark on an LSTM's flat weights
            torch.export.save(torch.export.export(model, (x,), dynamic_shapes=shapes), saved)
        with torch.no_grad():
            y = torch.export.load(saved).module()(x)
        write_program(read_program(saved), bundle)
        compose(bundle, folder / "bundle")
    said = {"dtype": str(dtype).removeprefix("torch."), "input": x.tolist(), "output": y.tolist()}
    (folder / EXPECTED).write_text(json.dumps(said) + "\n")


def compose(written, folder):
    """Put the gate's own texts around a written program."""
    program = read_program(written)
    said = Written(
        origin="pt2",
        format="pt2",
        program_sha256=file_sha256(written),
        parent=program_digest(program),
        inputs=tensor_inputs(program),
        greatest_difference=0.0,
    )
    for path, raw in {**bundle_texts(said, Runtime()), PROGRAM: written.read_bytes()}.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(raw)


def pack(root, path=PACKED):
    """Pack the folders below a root, without times, owners and rights."""
    with tarfile.open(path, "w:xz", preset=9) as archive:
        for file in sorted(file for file in root.rglob("*") if file.is_file()):
            info = tarfile.TarInfo(file.relative_to(root).as_posix())
            raw = file.read_bytes()
            info.size = len(raw)
            archive.addfile(info, io.BytesIO(raw))


def unpack(root, path=PACKED):
    """Lay the packed folders out below a root."""
    with tarfile.open(path) as archive:
        archive.extractall(root, filter="data")
    return root

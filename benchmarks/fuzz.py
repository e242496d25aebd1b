"""Coverage-guided fuzzing of what reads hostile bytes: the result parser, the MLmodel parser, the strict reader.

    pip install atheris
    python -m benchmarks.fuzz result|mlmodel|reader [-runs=20000] [-seed=1]

Any exception but the refusal of that parser ends the run with the input that raised it. Each target starts from one
valid input; the reader's is the JSON of an archive whose other members are valid, since bytes that are no zip archive
are refused at once. Arguments after the target are libFuzzer's own.
"""

import importlib
import io
import sys
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

Target = tuple[Callable[[bytes], None], bytes]

RUNS = "-runs=20000"
SEED = "-seed=1"
_VALID_RESULT = """{"isolation":"full","assurance":"A","outcomes":{"neural-cleanse":{"status":"measured","seconds":1.0,
"measurements":[{"metric":"size","value":1.5,"location":{"kind":"class","name":"3"}}]}},"complete":true}"""
_VALID_MLMODEL = """flavors:
  pytorch: {model_data: data, code: code}
  python_function: {loader_module: mlflow.pytorch, env: {conda: conda.yaml}}
"""


def main() -> None:
    """Fuzz one target."""
    if len(sys.argv) < 2 or sys.argv[1] not in TARGETS:
        raise SystemExit(__doc__)
    atheris: Any = importlib.import_module("atheris")
    name, *arguments = sys.argv[1:]
    with atheris.instrument_imports(include=["gate", "yaml"]):
        target, seed = TARGETS[name]()
    corpus = Path(tempfile.mkdtemp(prefix="gate-fuzz-"))
    (corpus / "valid").write_bytes(seed)
    given = [argument for argument in arguments if argument.startswith("-")]
    defaults = [flag for flag in (RUNS, SEED) if not any(a.startswith(flag.split("=")[0]) for a in given)]
    atheris.Setup([sys.argv[0], *defaults, *arguments, str(corpus)], target)
    atheris.Fuzz()


def _result() -> Target:
    """Return the target that parses a worker's result, and a valid one."""
    from gate.records.job import ScanResult
    from gate.records.record import MalformedError

    def target(raw: bytes) -> None:
        try:
            ScanResult.from_json(raw)
        except MalformedError:
            return

    return target, _VALID_RESULT.encode()


def _mlmodel() -> Target:
    """Return the target that parses an MLmodel file and asks what it names, and a valid one."""
    from gate.formats.mlflow_model import foreign_entries
    from gate.formats.mlmodel import read_mlmodel
    from gate.formats.source import UnreadableError

    def target(raw: bytes) -> None:
        try:
            declared = read_mlmodel(raw)
            list(declared.code())
            list(declared.paths())
            list(foreign_entries(declared))
        except UnreadableError:
            return

    return target, _VALID_MLMODEL.encode()


def _reader() -> Target:
    """Return the target that reads an archive with the fuzzer's bytes as its graph, and a valid graph."""
    import torch

    from gate.programs import RefusedError, read_program

    folder = Path(tempfile.mkdtemp(prefix="gate-fuzz-"))
    valid = folder / "valid.pt2"
    net = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(4, 3))
    torch.export.save(torch.export.export(net.eval(), (torch.rand(2, 1, 2, 2),)), valid)
    with zipfile.ZipFile(valid) as archive:
        members = {info.filename: archive.read(info) for info in archive.infolist()}
    graph = next(name for name in members if name.endswith("models/model.json"))

    def target(raw: bytes) -> None:
        stream = io.BytesIO()
        with zipfile.ZipFile(stream, "w", zipfile.ZIP_STORED) as archive:
            for name, content in members.items():
                archive.writestr(name, raw if name == graph else content)
        (folder / "case.pt2").write_bytes(stream.getvalue())
        try:
            read_program(folder / "case.pt2")
        except RefusedError:
            return

    return target, members[graph]


TARGETS: dict[str, Callable[[], Target]] = {"result": _result, "mlmodel": _mlmodel, "reader": _reader}

if __name__ == "__main__":
    main()

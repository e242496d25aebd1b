"""A case of the corpus: a model folder that is written when a test asks for it, and what must be found in it.

Hostile payloads do nothing but touch the marker file that the test names, and no test here loads them. `cases()` in
`tests.corpus` lists them all, so that other tests and the table in the documentation use the same ones.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Case:
    """One artifact: what it does, how it is written, and which metrics must be above zero on it."""

    name: str
    summary: str
    write: Callable[[Path, Path], None]
    """Called with an empty folder and the marker file that the payload would touch."""
    expected: tuple[tuple[str, str], ...] = ()
    """Detector and metric; a benign case has none, and then every other metric must be zero."""
    tolerated: tuple[tuple[str, str], ...] = ()
    """What a benign case may show: what it carries, but no hazard. A hostile case that tolerates anything is judged
    like a benign one besides: nothing else may be found in it."""

    @property
    def is_hostile(self) -> bool:
        """Whether something must be found."""
        return bool(self.expected)


UNSAFE = ("unsafe-pickle", "unsafe-globals")
UNREADABLE = ("unsafe-pickle", "unreadable-streams")
MODULES = ("unsafe-pickle", "module-globals")

_MLMODEL = """\
flavors:
  python_function:
    config:
      device: null
    data: data
    env:
      conda: conda.yaml
      virtualenv: python_env.yaml
    loader_module: mlflow.pytorch
    python_version: 3.11.7
  pytorch:
    code: null
    model_data: data
    pytorch_version: 2.13.0
mlflow_version: 3.17.2
model_uuid: 0123456789abcdef0123456789abcdef
utc_time_created: '2026-01-01 00:00:00'
"""
_CONDA = """\
channels:
- conda-forge
dependencies:
- python=3.11.7
- pip<=26.3
- pip:
  - mlflow==3.17.2
  - torch==2.13.0
name: mlflow-env
"""
_PYTHON_ENV = "python: 3.11.7\nbuild_dependencies:\n- pip==26.3\n- wheel\ndependencies:\n- -r requirements.txt\n"

FRAME = {
    "MLmodel": _MLMODEL.encode(),
    "conda.yaml": _CONDA.encode(),
    "python_env.yaml": _PYTHON_ENV.encode(),
    "requirements.txt": b"mlflow==3.17.2\nnumpy>=2,<3\ntorch==2.13.0\n",
}
"""The files of an MLflow model around its data."""


def folder(root: Path, files: dict[str, bytes]) -> None:
    """Write an MLflow model of the PyTorch flavour with these files in it or in place of its own."""
    for name, content in {**FRAME, **files}.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


def hostile(
    name: str,
    summary: str,
    files: Callable[[Path], dict[str, bytes]],
    *expected: tuple[str, str],
) -> Case:
    """Return a case whose files depend on the marker only."""
    return Case(name, summary, lambda root, marker: folder(root, files(marker)), expected)


def mlmodel(old: str, new: str) -> bytes:
    """Return the `MLmodel` with one part replaced."""
    assert old in _MLMODEL, old
    return _MLMODEL.replace(old, new).encode()

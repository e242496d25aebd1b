"""The environment files of a bundle: one list of pins, in the three files from which a consumer installs.

The pins are exact and public: an index holds no local version such as 2.13.0+cu130. They are the packages of the
policy's `runtime` and no others, or else the installed versions of the packages that MLflow names for an exported
program: the gate has read and run the program with these.
"""

import platform
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from typing import Any, Final

import yaml
from packaging.version import Version

from gate.records.errors import CannotFinishError
from gate.records.runtime import OLDEST, Runtime

CONDA, VIRTUALENV, REQUIREMENTS = "conda.yaml", "python_env.yaml", "requirements.txt"

PACKAGES: Final = ("mlflow", "cloudpickle", "numpy", "pandas", "torch")
"""As `mlflow.pytorch.save_model` lists them for this format: what its loaders import."""

_TOKENS: Final = "tokenizers"
"""What a consumer of a program of token ids needs besides."""

_PIP: Final = "pip>=23.1"
"""A lower bound, and no pin: the installed pip does not change a bundle."""


def pins(runtime: Runtime, *, tokens: bool = False) -> tuple[str, ...]:
    """Return the requirements, MLflow first and the others by name; `tokens` is of a bundle with a tokenizer."""
    stated = runtime.packages or {name: _installed(name) for name in (*PACKAGES, *[_TOKENS] * tokens)}
    return tuple(f"{name}=={stated[name]}" for name in sorted(stated, key=lambda name: (name != "mlflow", name)))


def torch_version() -> str:
    """Return the public version of the torch that writes, without the name of a build."""
    return _installed("torch")


def opens_with() -> dict[str, str]:
    """Return the oldest release of each loader that opens any bundle (docs/reference/served-bundle.md).

    Tried by `python -m tests.bundle_opens` with programs of every kind that the reader takes (convolutions, attention,
    recurrent layers, half types, strided tensors), whose outputs were compared. torch 2.9.0 is the first whose loader
    takes raw tensors: 2.8.0 asks for a pickle of the weights, 2.7.1 for another container. It has each of the 385
    reviewed operators with the schema of 2.13.0; only `tril` and `triu` declare a plain number as diagonal, and accept
    the bundle's. MLflow 3.9.0 is the first that looks for `data/model.pt2`: 3.8.1 takes the folder for a pickled model.
    `mlflow.pyfunc` opens a program that returns bfloat16, which NumPy lacks, and fails to predict.
    """
    return {"torch": OLDEST["torch"], "mlflow": OLDEST["mlflow"]}


def python_version(runtime: Runtime) -> str:
    """Return the Python version of the files: the policy's, or the gate's own."""
    return runtime.python or platform.python_version()


_TRIED: Final = {"peft": "0.21.2", "transformers": "5.24.0"}
"""Versions with which an adapter's bundle was opened, where they are not installed beside the gate."""


def adapter_pins(runtime: Runtime) -> tuple[str, ...]:
    """Return the requirements of an adapter's bundle, MLflow first."""
    stated = dict(runtime.packages) or {name: _installed(name) for name in PACKAGES}
    stated = {**_TRIED, **stated}
    return tuple(f"{name}=={stated[name]}" for name in sorted(stated, key=lambda name: (name != "mlflow", name)))


def environment_texts(runtime: Runtime, *, tokens: bool = False) -> dict[str, bytes]:
    """Return the three files; `tokens` is of a bundle with a tokenizer."""
    return environment_of(runtime, pins(runtime, tokens=tokens))


def environment_of(runtime: Runtime, pinned: Sequence[str]) -> dict[str, bytes]:
    """Return the three files of these requirements."""
    required, python = list(pinned), python_version(runtime)
    conda = {
        "channels": ["conda-forge"],
        "dependencies": [f"python={python}", _PIP, {"pip": required}],
        "name": "mlflow-env",
    }
    virtualenv = {"python": python, "build_dependencies": [_PIP], "dependencies": [f"-r {REQUIREMENTS}"]}
    return {
        CONDA: to_yaml(conda),
        VIRTUALENV: to_yaml(virtualenv),
        REQUIREMENTS: "".join(f"{line}\n" for line in required).encode(),
    }


def to_yaml(value: Any) -> bytes:
    """Return a value as canonical YAML, in ASCII."""
    return yaml.safe_dump(value, sort_keys=True, default_flow_style=False, allow_unicode=False).encode("ascii")


def _installed(name: str) -> str:
    try:
        return Version(version(name)).public
    except PackageNotFoundError:
        raise CannotFinishError(
            f"the package {name} is not installed beside the gate, so that its version cannot be pinned in a bundle",
            what_to_do="Install it, or state all pins in the policy: runtime: {packages: {…}}.",
        ) from None

"""The environment files of a bundle: one list of pins, in the three files from which a consumer installs.

The pins are exact and public: an index holds no local version such as 2.13.0+cu130. Where the policy states a `runtime`
they are its packages and nothing else. Otherwise they are the versions beside the gate of what MLflow names for an
exported program: the gate has read and run the program with these, so they are known to open it.
"""

import platform
from importlib.metadata import PackageNotFoundError, version
from typing import Any, Final

import yaml
from packaging.version import Version

from gate.records.errors import CannotFinishError
from gate.records.runtime import Runtime

CONDA, VIRTUALENV, REQUIREMENTS = "conda.yaml", "python_env.yaml", "requirements.txt"

PACKAGES: Final = ("mlflow", "cloudpickle", "numpy", "pandas", "torch")
"""As `mlflow.pytorch.save_model` lists them for this format: what its loaders import."""

_PIP: Final = "pip>=23.1"
"""A lower bound and no pin, so that it depends on nothing that lies beside the gate."""


def pins(runtime: Runtime) -> tuple[str, ...]:
    """Return the requirements, MLflow first and the others by name."""
    stated = runtime.packages or {name: _installed(name) for name in PACKAGES}
    return tuple(f"{name}=={stated[name]}" for name in sorted(stated, key=lambda name: (name != "mlflow", name)))


def torch_version() -> str:
    """Return the public version of the torch that writes: whoever reads it has no use for the name of a build."""
    return _installed("torch")


def python_version(runtime: Runtime) -> str:
    """Return the Python that the files name: the policy's, or the one that runs the gate."""
    return runtime.python or platform.python_version()


def environment_texts(runtime: Runtime) -> dict[str, bytes]:
    """Return the three files."""
    required, python = list(pins(runtime)), python_version(runtime)
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
    """Return a value as the one YAML text that stands for it, in ASCII."""
    return yaml.safe_dump(value, sort_keys=True, default_flow_style=False, allow_unicode=False).encode("ascii")


def _installed(name: str) -> str:
    """Return the public part of an installed version."""
    try:
        return Version(version(name)).public
    except PackageNotFoundError:
        raise CannotFinishError(
            f"the package {name} is not installed beside the gate, so that its version cannot be pinned in a bundle",
            what_to_do="Install it, or state all pins in the policy: runtime: {packages: {…}}.",
        ) from None

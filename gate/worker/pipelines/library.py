"""The library transformers, imported so that it reaches no network and runs nothing but its own code."""

import os
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from types import ModuleType
from typing import Final

from packaging.specifiers import SpecifierSet

from gate.formats.log_again import PIPELINES_EXTRA
from gate.records.errors import UnexaminableError

SUPPORTED: Final = SpecifierSet(">=5.24,<6")
"""The versions that the extra `transformers` installs."""
_SETTINGS: Final = {
    "DISABLE_SAFETENSORS_CONVERSION": "1",
    "HF_HUB_DISABLE_PROGRESS_BARS": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "HF_HUB_OFFLINE": "1",
    "TOKENIZERS_PARALLELISM": "false",
    "TRANSFORMERS_OFFLINE": "1",
    "TRANSFORMERS_VERBOSITY": "error",
    "USE_HUB_KERNELS": "0",
}
"""What the library reads when it is imported. The jail has no network; these spare it the attempt."""


def installed(extra: str = PIPELINES_EXTRA) -> str:
    """Return the version of the installed library; without a supported one the model is not examined.

    `extra` is the command that installs what such a model needs.
    """
    install = f"Install it where the gate runs: {extra}."
    try:
        found = version("transformers")
    except PackageNotFoundError:
        raise UnexaminableError(
            "it is a pipeline of transformers, whose classes compose its network, and that package is not installed "
            "beside the gate",
            what_to_do=install,
        ) from None
    if found not in SUPPORTED:
        raise UnexaminableError(
            f"it is a pipeline of transformers, and transformers {found[:60]} is installed beside the gate; expected "
            f"{SUPPORTED}",
            what_to_do=install,
        )
    return found


def library() -> ModuleType:
    """Import and return the library."""
    installed()
    os.environ.update(_SETTINGS)
    return import_module("transformers")

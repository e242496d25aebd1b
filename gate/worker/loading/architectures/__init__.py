"""The folder is the registry: each file holds one family of architectures, and its name is what candidates name.

Each file defines `Config`, its bounded settings, and `build(config)`, which returns the module. A family is added by
adding a file; no buffer may be left out of the state dict, since a state dict is all that the module is filled from.
"""

import importlib
import pkgutil

from gate.records.errors import UnexaminableError
from gate.worker.loading.architecture import Architecture


def names() -> tuple[str, ...]:
    """Return the names of all architectures, sorted."""
    return tuple(sorted(module.name for module in pkgutil.iter_modules(__path__)))


def load(name: str) -> Architecture:
    """Import the one architecture of that name; an unknown name raises `UnexaminableError` with the known ones."""
    if name not in names():
        raise UnexaminableError(
            f"the artifact names the architecture {name[:60]!r}; expected one that the gate carries: "
            f"{', '.join(names())}",
            what_to_do="Export the model with torch.export (model.pt2) instead, which carries its own architecture.",
        )
    module = importlib.import_module(f"gate.worker.loading.architectures.{name}")
    return Architecture(name, module.Config, module.build)

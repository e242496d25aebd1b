"""Adapters as records and as folders, and their store: what `benchmarks.efficacy` needs to scan and count them.

Between `recipe` and making. An adapter lies alone, as PEFT saves it, and is examined beside the base of all.
"""

from pathlib import Path
from typing import ClassVar

from benchmarks.adapter_zoo import base
from benchmarks.adapter_zoo.packages import root
from benchmarks.adapter_zoo.recipe import AdapterRecipe
from benchmarks.zoo.store import Entry, Files, Hex, Store
from gate.formats.adapters import config, tensors


class AdapterFiles(Files):
    """Digests of an adapter's objects; its tensors are both the program and the weights."""

    config: str = Hex
    """Its `adapter_config.json` (`.json`)."""


class AdapterEntry(Entry):
    """The record of an adapter."""

    shelf: ClassVar[str] = "adapter-zoo"
    recipe: AdapterRecipe
    files: AdapterFiles

    @property
    def program(self) -> tuple[str, str]:
        """The path of its tensors in its folder, and their suffix in the store."""
        return tensors.NAME, ".safetensors"

    @property
    def declaration(self) -> str:
        """None: it lies without an `MLmodel`."""
        return ""

    @property
    def beside(self) -> dict[str, tuple[str, str]]:
        """The configuration's digest and suffix by its path."""
        return {config.NAME: (self.files.config, ".json")}


class AdapterStore(Store):
    """The cache folder, whose adapters are examined beside one base and without samples."""

    @property
    def base(self) -> Path:
        """The folder that the gate is given as `--base`."""
        return base.folder()


def adapter_store() -> AdapterStore:
    """Return the store of this zoo."""
    return AdapterStore(root(), AdapterEntry)

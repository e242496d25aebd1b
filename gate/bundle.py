"""The code-free bundle that a converted candidate becomes: the only thing that a verdict of level B covers.

`model.pt2` comes from the converter and is hostile bytes; everything beside it is written here, by the orchestrator.
"""

import platform
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path

from gate.artifact import Manifest, build_manifest, make_read_only
from gate.check_files import Pulled
from gate.provenance import PROVENANCE, Provenance, RepairOrigin
from gate.version import VERSION

MODEL = "data/model.pt2"
FOLDER = "bundle"
"""Where the bundle lies beside the files of a check."""

_MLMODEL = """flavors:
  python_function:
    config:
      device: null
    data: data
    loader_module: mlflow.pytorch
    pickle_module_name: mlflow.pytorch.pickle_module
    python_version: {python}
  pytorch:
    code: null
    model_data: data
    pytorch_version: {torch}
"""
"""What MLflow's loaders need to open the bundle, by the versions that wrote it."""


@dataclass(frozen=True)
class Bundle:
    """A bundle's files in memory and their manifest."""

    manifest: Manifest
    files: dict[str, bytes] = field(repr=False)


def write_bundle(model: bytes, root: Path, pulled: Pulled, repair: RepairOrigin | None = None) -> Bundle:
    """Write a bundle's files below `root`, read-only, and return them with their manifest."""
    provenance = Provenance(
        made_by=f"gate {VERSION}", parent=str(pulled.model), parent_digest=pulled.digest, repair=repair
    )
    described = _MLMODEL.format(python=platform.python_version(), torch=version("torch"))
    files = {"MLmodel": described.encode(), MODEL: model, PROVENANCE: provenance.pretty_json().encode()}
    for name, raw in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(raw)
    manifest, _ = build_manifest(root)
    make_read_only(root)
    return Bundle(manifest, files)

"""Networks of torch's own layers under the names of torchvision or timm, for benchmarks that install neither.

Each file holds one family: `Config`, its bounded settings, and `build(config)`. Used by the benchmarks that bring
tensors which others publish into the form that the gate reads, an exported program, and by those that need nets of real
size with made-up weights.
"""

import importlib
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import torch
from pydantic import ValidationError

from gate.records.errors import UsageError
from gate.records.record import Record

if TYPE_CHECKING:
    from benchmarks.nets.config import Config


class NamedArchitecture(Record):
    """A family and its settings, as the metaparameters and NIST's configurations name them."""

    name: Literal["mobilenet", "resnet"]
    config: dict[str, Any]

    def filled(self, path: Path) -> torch.nn.Module:
        """Return the network in eval mode with a state dict of exactly its names and shapes, read as tensors alone."""
        module = importlib.import_module(f"benchmarks.nets.{self.name}")
        try:
            config: Config = module.Config.model_validate_json(json.dumps(self.config))
        except ValidationError as error:
            first = error.errors(include_url=False, include_context=False, include_input=False)[0]
            where = ".".join(str(part) for part in first["loc"])[:100]
            raise UsageError(f"the config of the architecture {self.name}: at {where!r}: {first['msg']}") from None
        network: torch.nn.Module = module.build(config)
        try:
            network.load_state_dict(torch.load(path, map_location="cpu", weights_only=True), strict=True)
        except Exception as error:  # noqa: BLE001  # others' bytes may raise anything
            said = " ".join(str(error).split())[:300]
            raise UsageError(f"{path.name} does not fit the architecture {self.name}: {said}") from None
        return network.eval().requires_grad_(requires_grad=False)

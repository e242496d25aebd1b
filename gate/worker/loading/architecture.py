"""What a file of `gate.worker.loading.architectures` offers: a bounded configuration, and the module that it describes.

A state dict says nothing about how its tensors are used; an architecture of the gate's own does. The names of its
parameters are torchvision's where torchvision has such a family, so that common checkpoints fit as they are.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any

import torch
from pydantic import ConfigDict, Field, ValidationError

from gate.records.errors import UnexaminableError
from gate.records.record import Record

Width = Annotated[int, Field(ge=1, le=4096)]
"""Channels or features of one layer."""
Channels = Annotated[int, Field(ge=1, le=64)]
"""Channels of an input."""
Classes = Annotated[int, Field(ge=2, le=100_000)]
Side = Annotated[int, Field(ge=1, le=1024)]
"""Rows or columns of an input."""


class ArchitectureConfig(Record):
    """A family's settings: strict types, no unknown keys, every number bounded."""

    model_config = ConfigDict(strict=True)


@dataclass(frozen=True)
class Architecture:
    """One family that the gate carries."""

    name: str
    config: type[ArchitectureConfig]
    build: Callable[[Any], torch.nn.Module]

    def shaped(self, settings: dict[str, Any]) -> torch.nn.Module:
        """Return the module on the meta device: names, shapes and types of its tensors, and no memory for them."""
        try:
            config = self.config.model_validate_json(json.dumps(settings))
        except ValidationError as error:
            first = error.errors(include_url=False, include_context=False, include_input=False)[0]
            where = ".".join(str(part) for part in first["loc"])[:100]
            raise UnexaminableError(
                f"the config of the architecture {self.name}: at {where!r}: {first['msg']}"
            ) from None
        with torch.device("meta"):
            return self.build(config).eval()

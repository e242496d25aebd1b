"""What the families' settings share: strict types, no unknown keys, every number bounded."""

from typing import Annotated

from pydantic import ConfigDict, Field

from gate.records.record import Record

Width = Annotated[int, Field(ge=1, le=4096)]
"""Channels or features of one layer."""
Channels = Annotated[int, Field(ge=1, le=64)]
"""Channels of an input."""
Classes = Annotated[int, Field(ge=2, le=100_000)]


class Config(Record):
    """A family's settings."""

    model_config = ConfigDict(strict=True)

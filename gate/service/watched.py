"""The contract of the registry that a service watches: production, and the stages that fire no webhook."""

from collections.abc import Sequence
from typing import Protocol

from gate.records.artifact import ModelRef
from gate.registries.contract import ProductionRegistry, RegisteredWebhook


class WatchedRegistry(ProductionRegistry, Protocol):
    """A registry whose stages can be looked at and left."""

    def staged(self, name: str, stages: Sequence[str]) -> list[tuple[ModelRef, str]]:
        """Return the versions of a model that are in one of the stages now."""
        ...

    def register_webhook(self, url: str, secret: str) -> RegisteredWebhook:
        """Make the registry send versions and aliases to an address, once per address, and try it with a delivery."""
        ...

    def archive(self, ref: ModelRef) -> None:
        """Take a version out of its stage."""
        ...

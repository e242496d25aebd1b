"""Registries: one kind a file; `open_registry` picks by the URI and imports no other."""

import re
from dataclasses import dataclass

from gate.errors import UsageError
from gate.registry import ProductionRegistry, Registry


@dataclass(frozen=True)
class RegistrySettings:
    """Where the registry is and how long it is waited for."""

    tracking_uri: str | None = None
    registry_uri: str | None = None
    timeout_seconds: int = 30
    retries: int = 3
    experiment: str = "gate"
    """The gate's own experiment, which holds its reports."""


def is_registry_uri(uri: str) -> bool:
    """Tell whether a URI names a registered model rather than a folder on disk."""
    return uri.startswith("models:/")


def parse_model_uri(uri: str) -> tuple[str, str | None, str | None]:
    """Return name, version (a number or `latest`) and alias of a models URI; other forms are a `UsageError`."""
    body = uri.removeprefix("models:/").strip("/")
    if match := re.fullmatch(r"([^/@]+)@([\w-]+)", body):
        return match[1], None, match[2]
    if match := re.fullmatch(r"([^/@]+)/(\d+|latest)", body):
        return match[1], match[2], None
    raise UsageError(
        f"{uri!r} names no model version; expected models:/NAME/VERSION, models:/NAME@ALIAS or models:/NAME/latest",
        what_to_do="Stages are deprecated in MLflow; use a version number or an alias.",
    )


def open_production(settings: RegistrySettings) -> ProductionRegistry:
    """Return the MLflow registry with what promotion and review need."""
    if settings.tracking_uri is None and settings.registry_uri is None:
        raise UsageError(
            "no registry is known",
            what_to_do="Set MLFLOW_TRACKING_URI (or MLFLOW_REGISTRY_URI), or pass --tracking-uri.",
        )
    from gate.registries.mlflow_production import MlflowProduction  # noqa: PLC0415  # slow to import

    return MlflowProduction(settings)


def open_registry(uri: str, settings: RegistrySettings) -> Registry:
    """Return the registry that a model URI belongs to: MLflow for `models:/…`, a folder on disk otherwise."""
    if is_registry_uri(uri):
        parse_model_uri(uri)
        if settings.tracking_uri is None and settings.registry_uri is None:
            raise UsageError(
                f"{uri!r} names a registered model, and no registry is known",
                what_to_do="Set MLFLOW_TRACKING_URI (or MLFLOW_REGISTRY_URI), or pass --tracking-uri.",
            )
        from gate.registries.mlflow import MlflowRegistry  # noqa: PLC0415  # slow to import, and not always needed

        return MlflowRegistry(settings)
    if re.match(r"[a-z][a-z0-9+.-]*:/", uri):
        raise UsageError(
            f"{uri!r} is no model that the gate can pull; expected models:/NAME/VERSION, models:/NAME@ALIAS or a folder"
        )
    from gate.registries.directory import DirectoryRegistry  # noqa: PLC0415

    return DirectoryRegistry()

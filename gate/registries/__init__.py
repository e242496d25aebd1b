"""Registries: one kind a file; `open_registry` picks by the URI and imports no other."""

from gate.records.errors import UsageError
from gate.registries.contract import ProductionRegistry, Registry, RegistrySettings
from gate.registries.managed import require_own
from gate.registries.uris import is_registry_uri, require_model

__all__ = ["RegistrySettings", "open_production", "open_registry", "require_known"]


def open_production(settings: RegistrySettings) -> ProductionRegistry:
    """Return the MLflow registry for promotion and review."""
    _require_address(settings, "no registry is known")
    from gate.registries.mlflow_production import MlflowProduction  # noqa: PLC0415  # slow to import

    return MlflowProduction(settings)


def require_known(uri: str, settings: RegistrySettings) -> None:
    """Raise a `UsageError` unless the URI names a model in a known registry, which is not asked."""
    require_model(uri)
    if is_registry_uri(uri):
        _require_address(settings, f"{uri!r} names a registered model, and no registry is known")


def open_registry(uri: str, settings: RegistrySettings) -> Registry:
    """Return the registry of a model URI: MLflow for `models:/…`, a folder on disk otherwise."""
    require_known(uri, settings)
    if is_registry_uri(uri):
        from gate.registries.mlflow import MlflowRegistry  # noqa: PLC0415  # slow to import

        return MlflowRegistry(settings)
    from gate.registries.directory import DirectoryRegistry  # noqa: PLC0415

    return DirectoryRegistry()


def _require_address(settings: RegistrySettings, otherwise: str) -> None:
    if settings.tracking_uri is None and settings.registry_uri is None:
        raise UsageError(
            otherwise, what_to_do="Set MLFLOW_TRACKING_URI (or MLFLOW_REGISTRY_URI), or pass --tracking-uri."
        )
    for address in (settings.registry_uri, settings.tracking_uri):
        require_own(address)

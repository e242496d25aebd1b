"""Registries of clouds, which are refused in a sentence before anything is asked, and the address of a model in one.

A registry must keep the signed decision whole, as a tag of up to 100,000 characters on a version, and production needs
aliases and versions that the gate makes from its own bundle. MLflow's own server does, by its REST calls or as an
embedded store; what only looks like it would fail at the last step, after the scan.
"""

import re
from typing import Final

from gate.records.errors import UsageError
from gate.records.logins import without_login

_FOLDER: Final = (
    "Download the version and check its folder with --no-mark: verdict and exit code are the same, and no tag is set; "
    "or register it in an MLflow server of your own, whose address goes into MLFLOW_TRACKING_URI."
)
_STORES: Final = {
    r"databricks-uc(?:://.*)?": "Databricks' Unity Catalog, which grants files and tags by calls of its own",
    r"databricks(?:://.*)?": "a Databricks workspace, whose registry has stages and no aliases, or is Unity Catalog",
    r"uc:.*": "Unity Catalog's open server, in which MLflow sets neither tags nor aliases on versions",
    r"arn:aws[a-z-]*:sagemaker:.*": "Amazon SageMaker, which is reached by signed requests of its own",
    r"azureml:.*": "Azure Machine Learning, whose registry has no aliases",
}
"""Addresses of registries by a pattern, and what each is."""
_MODELS: Final = {
    r"arn:aws[a-z-]*:sagemaker:.*": "a model package of Amazon SageMaker",
    r"azureml:.*": "a model of Azure Machine Learning",
    r"projects/[^/]+/locations/[^/]+/models/.*": "a model of Vertex AI, which has no MLflow registry",
    r"hf:/.*": "a model of Hugging Face's hub, which is no registry of versions with tags",
}
"""Addresses of models by a pattern, and what each is."""


def require_own(address: str | None) -> None:
    """Raise a `UsageError` for the address of a registry that cannot keep the gate's decisions."""
    what = _named(address or "", _STORES)
    if what:
        raise UsageError(
            f"the registry {without_login(address or '')[:80]!r} is {what}; the gate cannot mark there",
            what_to_do=_FOLDER,
        )


def require_no_managed(uri: str) -> None:
    """Raise a `UsageError` for a cloud's own address of a model."""
    what = _named(uri, _MODELS)
    if what:
        raise UsageError(
            f"{uri[:200]!r} is {what}; the gate reads MLflow's models:/NAME/VERSION and folders", what_to_do=_FOLDER
        )


def _named(address: str, known: dict[str, str]) -> str:
    return next((what for form, what in known.items() if re.fullmatch(form, address.strip(), re.IGNORECASE)), "")

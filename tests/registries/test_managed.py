"""Registries of clouds: refused in a sentence with what to do, before anything is asked; names with dots are names."""

import pytest

from gate.records.errors import UsageError
from gate.registries import RegistrySettings, open_production, open_registry, require_known
from gate.registries.uris import parse_model_uri, require_model

REGISTRIES = {
    "databricks-uc": "Unity Catalog",
    "databricks-uc://profile": "Unity Catalog",
    "databricks": "Databricks workspace",
    "databricks://profile:scope": "Databricks workspace",
    "uc:http://127.0.0.1:8080": "neither tags nor aliases",
    "arn:aws:sagemaker:eu-west-1:111122223333:mlflow-tracking-server/one": "SageMaker",
    "azureml://westeurope.api.azureml.ms/mlflow/v1.0/subscriptions/s": "Azure Machine Learning",
}
MODELS = {
    "arn:aws:sagemaker:eu-west-1:111122223333:model-package/credit/1": "model package of Amazon SageMaker",
    "azureml:credit:1": "model of Azure Machine Learning",
    "azureml://registries/r/models/credit/versions/1": "model of Azure Machine Learning",
    "projects/p/locations/europe-west4/models/123@1": "Vertex AI",
    "hf://owner/model": "Hugging Face",
}


@pytest.mark.parametrize("address", REGISTRIES)
@pytest.mark.parametrize("field", ["tracking_uri", "registry_uri"])
def test_a_managed_registry_is_refused_before_it_is_asked(address, field):
    """For a check, and for production; the sentence says which it is, and what to do in its place."""
    settings = RegistrySettings(**{field: address})
    for attempt in (
        lambda: require_known("models:/catalog.schema.credit/1", settings),
        lambda: open_registry("models:/credit@champion", settings),
        lambda: open_production(settings),
    ):
        with pytest.raises(UsageError) as refused:
            attempt()
        assert REGISTRIES[address] in str(refused.value)
        assert "--no-mark" in refused.value.what_to_do
        assert "MLFLOW_TRACKING_URI" in refused.value.what_to_do


@pytest.mark.parametrize("uri", MODELS)
def test_a_clouds_own_address_of_a_model_is_refused(uri):
    """As no folder and no version; it is named for what it is."""
    with pytest.raises(UsageError) as refused:
        require_model(uri)
    assert MODELS[uri] in str(refused.value)
    assert "--no-mark" in refused.value.what_to_do


def test_a_name_of_three_parts_is_a_name_on_mlflows_own_server():
    """`catalog.schema.model` has no meaning of its own there, and none is needed."""
    for uri, version, alias in (
        ("models:/catalog.schema.credit/1", "1", None),
        ("models:/catalog.schema.credit@champion", None, "champion"),
    ):
        assert parse_model_uri(uri) == ("catalog.schema.credit", version, alias)
        require_known(uri, RegistrySettings(tracking_uri="https://mlflow.example"))


def test_a_folder_with_such_a_registry_in_the_environment_is_checked(tmp_path):
    """What to do says so: a folder asks no registry."""
    require_known(str(tmp_path), RegistrySettings(tracking_uri="databricks"))

"""What a server with accounts refuses or does not know, in the gate's own sentences."""

import os

import pytest

from gate.records.artifact import ModelRef
from gate.records.errors import RegistryError, UnknownVersionError
from gate.registries import RegistrySettings, open_registry


@pytest.fixture(scope="module")
def name(server):
    """Return a registered model of two versions, one of which has an alias."""
    name = server.candidate("one", "two", name="fashion")
    with server.account("trainer") as client:
        client.set_registered_model_alias(name, "candidate", "2")
    return name


UNKNOWN = {
    # An account that is no administrator gets 403 for what does not exist.
    "models:/fashoin/1": "the account sees no registered model 'fashoin' (403); did you mean 'fashion'?",
    "models:/Fashion/1": "the account sees no registered model 'Fashion' (403); did you mean 'fashion'?",
    "models:/quite-another/1": "the account sees no registered model 'quite-another' (403)",
    "models:/fashion/7": "the model has no version 7; it has 2, 1",
    "models:/fashion@candidat": "the model has no alias 'candidat'; did you mean 'candidate'?",
    "models:/fashion@production": "the model has no alias 'production'; its aliases are candidate",
}


@pytest.mark.parametrize("uri", UNKNOWN)
def test_what_is_unknown_is_told_apart_with_the_nearest_that_is_not(server, name, uri):
    """Model, version and alias; what exists is read by the gate's own account."""
    with server.registry() as registry, pytest.raises(UnknownVersionError) as caught:
        registry.resolve(uri)
    assert str(caught.value) == f"the registry does not know {uri}: {UNKNOWN[uri]}"


def test_an_administrator_is_told_that_there_is_none(server, name):
    """404 is for administrators, and for servers without accounts."""
    with server.registry("admin") as registry, pytest.raises(UnknownVersionError) as caught:
        registry.resolve("models:/fashoin/1")
    assert str(caught.value).endswith("there is no registered model 'fashoin'; did you mean 'fashion'?")


def test_who_has_no_account_is_told_which_variables_to_set(server, name):
    """401 without credentials, and with wrong ones."""
    with server.registry():
        for variable in ("MLFLOW_TRACKING_USERNAME", "MLFLOW_TRACKING_PASSWORD"):
            os.environ.pop(variable)
        registry = open_registry(f"models:/{name}/1", RegistrySettings(server.uri, server.uri, 20, 0))
        with pytest.raises(
            RegistryError, match=r"wants to know who asks \(401\), and no credentials are set"
        ) as caught:
            registry.resolve(f"models:/{name}/1")
        assert "MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD" in caught.value.what_to_do
    with server.registry("nobody") as registry, pytest.raises(RegistryError) as caught:
        registry.resolve(f"models:/{name}/1")
    assert str(caught.value) == (
        f"{server.uri} does not accept the user name and password in MLFLOW_TRACKING_USERNAME and "
        "MLFLOW_TRACKING_PASSWORD (401)"
    )


def test_the_missing_right_is_named(server, name):
    """403: who, what was refused, and which permission it takes."""
    ref = ModelRef(registry="mlflow", name=name, version="1")
    with server.registry("ann") as registry, pytest.raises(RegistryError) as caught:
        registry.mark(ref, {"gate.decision": "flagged"})
    assert str(caught.value) == f"the account 'ann' may not mark it (403, {ref})"
    assert caught.value.what_to_do.startswith("Grant it EDIT on the registered model")
    assert "gate.decision" not in _tags(server, ref)


def test_a_file_that_is_not_there_is_unknown(server, name, tmp_path):
    """A run's path that is misspelt is no fault of the server."""
    with server.account("trainer") as client:
        experiment = client.create_experiment("of-samples")
        run = client.create_run(experiment).info.run_id
        client.log_text(run, "x", "clean.npz")
    with server.registry() as registry:
        assert registry.fetch(f"runs:/{run}/clean.npz", tmp_path).read_text() == "x"
        with pytest.raises(UnknownVersionError, match=f"the registry does not know runs:/{run}/claen.npz"):
            registry.fetch(f"runs:/{run}/claen.npz", tmp_path)
        with pytest.raises(RegistryError, match=r"the account 'gate' may not read its run, or there is none \(403"):
            registry.fetch(f"runs:/{'0' * 32}/clean.npz", tmp_path)


def _tags(server, ref):
    with server.account("trainer") as client:
        return client.get_model_version(ref.name, ref.version).tags

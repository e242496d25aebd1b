"""One server for all tests of this folder, and a key."""

import pytest

from gate.attestations.keys import generate_key
from tests.promotion.accounts import serving_with_accounts

ON_LOOPBACK = {
    "MLFLOW_WEBHOOK_ALLOW_PRIVATE_IPS": "true",
    "MLFLOW_WEBHOOK_ALLOWED_SCHEMES": "https,http",
    # Any Fernet key; MLflow stores a webhook's secret under it.
    "MLFLOW_WEBHOOK_SECRET_ENCRYPTION_KEY": "c2l4dGVlbi1ieXRlcy10d2ljZS1pcy1lbm91Z2gtISE=",
}
"""Webhooks to receivers of the tests."""


@pytest.fixture(scope="session")
def server(tmp_path_factory):
    """Return a real MLflow server with basic authentication."""
    with serving_with_accounts(tmp_path_factory.mktemp("accounts"), **ON_LOOPBACK) as server:
        yield server


@pytest.fixture(scope="session")
def key(tmp_path_factory):
    """Return the gate's signing key, beside its public key's file."""
    folder = tmp_path_factory.mktemp("key")
    return generate_key(folder / "gate.pem", folder / "gate.pub.pem")

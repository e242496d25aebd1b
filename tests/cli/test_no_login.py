"""Passwords of addresses, with a slash as base64 has it: on no stream of a command."""

from pathlib import Path

import pytest

from gate.cli.check import _publish_command, check
from gate.cli.terminal import fail, tell
from gate.records import logins
from gate.records.errors import UsageError
from gate.registries.contract import RegistrySettings
from gate.registries.managed import require_own
from gate.registries.uris import require_model

WITH_SLASH = "postgresql://gate:Zm9v/YmFyCg@db.example/mlflow"


@pytest.fixture(autouse=True)
def forgetful(monkeypatch):
    """Keep no login beyond a test, and read no variable of the machine."""
    monkeypatch.setattr(logins, "_remembered", set())
    for name in ("MLFLOW_TRACKING_URI", "MLFLOW_REGISTRY_URI", "GATE_TRACKING_URI", "GATE_SIGNING_KEY"):
        monkeypatch.delenv(name, raising=False)


def published(*options):
    """Return the command that publishes later, of a check with these options."""
    with check.make_context("check", ["models:/x/1", *options]):
        return _publish_command(Path("out"))


@pytest.mark.parametrize(
    "uri", [WITH_SLASH, "postgresql://gate:plain@db/mlflow", "postgresql://db/mlflow?password=secret", "http://a b@c"]
)
def test_the_command_that_publishes_later_names_the_variable_of_a_secret(uri):
    """The address stays where it came from."""
    said = "gate publish out  # with GATE_TRACKING_URI set, which hold what is not shown"
    assert published("--tracking-uri", uri) == said


def test_the_command_that_publishes_later_has_all_else(monkeypatch):
    """Addresses without a login, and paths of any letters; the text of a key is one that is not shown."""
    options = ("--tracking-uri", "sqlite:////srv/mlflow.db", "--audit-log", "a@b#c.jsonl")
    assert published(*options) == "gate publish out --audit-log 'a@b#c.jsonl' --tracking-uri sqlite:////srv/mlflow.db"
    monkeypatch.setenv("GATE_SIGNING_KEY", "-----BEGIN PRIVATE KEY-----")
    assert "GATE_SIGNING_KEY" in published()
    assert "BEGIN" not in published()


def test_errors_and_progress_show_no_login(capsys):
    """Whatever a library put into an error of its own, or a part of a known login."""
    RegistrySettings(WITH_SLASH)
    tell(f"asking {WITH_SLASH}")
    fail(f"internal error: ValueError: {WITH_SLASH}", "Look at gate:Zm9v.")
    said = capsys.readouterr().err
    assert "postgresql://db.example/mlflow" in said
    assert "Zm9v" not in said
    assert "YmFyCg" not in said


@pytest.mark.parametrize("refuse", [require_model, require_own])
def test_an_address_that_is_refused_is_shown_without_its_login(refuse):
    """However long that is: what is cut off is the end of the address alone."""
    scheme = "azureml" if refuse is require_own else "https"
    with pytest.raises(UsageError) as caught:
        refuse(f"{scheme}://gate:Zm9v/{'YmFyCg' * 100}@db.example/mlflow")
    assert f"{scheme}://db.example/mlflow" in str(caught.value)
    assert "YmFy" not in str(caught.value) + caught.value.what_to_do

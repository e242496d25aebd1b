"""What a report carries of its check's options: paths and addresses, never a key's text, a password or a token."""

import click
import pytest

from gate.cli.check import check
from gate.cli.given import given_of
from gate.cli.main import main
from gate.renderers.commands import tellable

PEM = "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIGmA\n-----END PRIVATE KEY-----\n"


@pytest.fixture(autouse=True)
def bare(monkeypatch):
    """No variable of the developer's."""
    for name in (
        "GATE_SIGNING_KEY",
        "GATE_PUBLIC_KEY",
        "MLFLOW_TRACKING_URI",
        "GATE_TRACKING_URI",
        "GATE_AUDIT_LOG",
        "GATE_PROBE_SEED",
    ):
        monkeypatch.delenv(name, raising=False)


def given(*words, marks=True):
    """Return what `gate check` would carry for these words.

    Under `gate`, as on the command line: a command keeps the help option of the first context that reads it.
    """
    gate = click.Context(main, **main.context_settings)
    context = check.make_context("check", ["models:/m/1", *words], parent=gate)
    with context:
        return given_of(click.get_current_context(), marks=marks)


def test_options_are_carried_as_they_were_given():
    """Samples, bank, key, log, server and experiment."""
    found = given("--samples", "s.npz", "--bank", "b.json", "--signing-key", "k.pem", "--audit-log", "l.jsonl",
                  "--tracking-uri", "http://127.0.0.1:5000", "--experiment", "gates", "--allow-code")  # fmt: skip
    assert (found.samples, found.bank, found.signing_key, found.audit_log) == ("s.npz", "b.json", "k.pem", "l.jsonl")
    assert (found.tracking_uri, found.experiment, found.allow_code) == ("http://127.0.0.1:5000", "gates", True)
    assert found.signed
    assert not given("--signing-key", "k.pem", marks=False).signed


def test_what_is_usual_is_not_carried():
    """No command has to name the gate's usual experiment."""
    found = given()
    assert (found.experiment, found.tracking_uri, found.signing_key, found.signs) == ("", "", "", False)


def test_the_text_of_a_key_is_never_carried(monkeypatch):
    """That there was one is."""
    monkeypatch.setenv("GATE_SIGNING_KEY", PEM)
    monkeypatch.setenv("GATE_PUBLIC_KEY", PEM.replace("PRIVATE", "PUBLIC"))
    found = given()
    assert "BEGIN" not in found.model_dump_json()
    assert (found.signs, found.trusts, found.signing_key, found.public_keys) == (True, True, "", ())


def test_a_probe_seed_is_carried_as_a_path_alone(monkeypatch):
    """Its digits stay in the environment."""
    assert given("--probe-seed", "seed").probe_seed == "seed"
    monkeypatch.setenv("GATE_PROBE_SEED", "ab" * 32)
    assert "abab" not in given().model_dump_json()


def test_the_public_key_beside_a_private_one_is_found(tmp_path):
    """As `gate keys generate` leaves them."""
    (tmp_path / "gate.pub.pem").write_text("x")
    assert given("--signing-key", str(tmp_path / "gate.pem")).public_keys == (str(tmp_path / "gate.pub.pem"),)


@pytest.mark.parametrize(
    "uri",
    [
        "http://ann:secret@mlflow.example",
        "https://mlflow.example/?token=secret",
        "postgresql://gate:secret@db/mlflow",
        "https://mlflow.example/#secret",
        "sqlite:///a?b@c",
        "x" * 5000,
    ],
)
def test_an_address_with_a_secret_is_left_out(uri):
    """Whatever may hold a user, a password or a query stays where it came from."""
    assert tellable(uri) == ""


@pytest.mark.parametrize(
    "uri",
    ["http://127.0.0.1:5000", "https://mlflow.example/path", "sqlite:////srv/mlflow.db", "databricks", "./mlruns"],
)
def test_an_ordinary_address_is_carried(uri):
    """Servers, embedded stores and folders."""
    assert tellable(uri) == uri


def test_what_a_version_is_compared_with_is_carried_where_it_was_named():
    """The alias that the gate looks up by itself is not."""
    assert given("--against", "models:/prod/3").against == "models:/prod/3"
    assert given().against == ""

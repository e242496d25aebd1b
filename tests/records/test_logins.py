"""Logins in addresses, of whatever characters, alone and in texts of others."""

import time

import pytest

from gate.records import logins
from gate.records.logins import remember, without_login, without_logins


@pytest.fixture(autouse=True)
def forgetful(monkeypatch):
    """Keep no login beyond a test."""
    monkeypatch.setattr(logins, "_remembered", set())


ADDRESSES = {
    "http://ann:secret@mlflow.example/x": "http://mlflow.example/x",
    "http://ann:sec@ret@mlflow.example": "http://mlflow.example",
    "https://token@mlflow.example": "https://mlflow.example",
    "postgresql://gate:Zm9v/YmFyCg@127.0.0.1:1/mlflow": "postgresql://127.0.0.1:1/mlflow",
    "postgresql+psycopg://gate:a/b?c#d@db/mlflow": "postgresql+psycopg://db/mlflow",
    "postgresql://gate:two words'\"@db/mlflow": "postgresql://db/mlflow",
    "postgresql://:Zm9v/YmFy@db/mlflow": "postgresql://db/mlflow",
    "postgresql://db/mlflow?user=gate&password=s3cret&sslmode=require": (
        "postgresql://db/mlflow?user=gate&password=***&sslmode=require"
    ),
    "//ann:secret@mlflow.example": "//mlflow.example",
    "http://127.0.0.1:5000": "http://127.0.0.1:5000",
    "sqlite:////srv/a@b/mlflow.db": "sqlite:////srv/a@b/mlflow.db",
    "file:///srv/a@b": "file:///srv/a@b",
    "models:/fashion@champion": "models:/fashion@champion",
    "mlflow-artifacts:/1/a@b": "mlflow-artifacts:/1/a@b",
}


@pytest.mark.parametrize("address", ADDRESSES)
def test_an_address_is_shown_without_its_login(address):
    """Up to the last @, wherever a password's own characters would end the host."""
    assert without_login(address) == ADDRESSES[address]


@pytest.mark.parametrize("address", [address for address in ADDRESSES if " " not in address])
def test_a_text_shows_no_login_of_any_address(address):
    """Between words, and in quotes."""
    shown = ADDRESSES[address]
    assert without_logins(f"{address} failed, '{address}' too") == f"{shown} failed, '{shown}' too"


@pytest.mark.parametrize(
    ("address", "text", "shown"),
    [
        ("postgresql://gate:pa ss@db/x", "at postgresql://gate:pa ss@db/x", "at postgresql://db/x"),
        ("http://gate:Zm9v/YmFyCg2=@host/x", "Failed to parse: 'gate:Zm9v'", "Failed to parse: '***'"),
        ("http://gate:12/YmFyCg2=@host/x", "exceeded with url: /YmFyCg2=@host/api", "exceeded with url: /***@host/api"),
        ("postgresql://gate:Zm9vYm%2Fr@db/x", "no password Zm9vYm/r", "no password ***"),
        ("postgresql://gate:Zm9vYm%2Fr@db/x", "gate:Zm9vYm/r", "***"),
        ("postgresql://mlflow:mlflow@db/mlflow", "mlflow does not answer", "mlflow does not answer"),
        ("postgresql://gate:password@db/x", "password authentication failed", "password authentication failed"),
        ("postgresql://mlflow@db/mlflow", "mlflow does not answer", "mlflow does not answer"),
        ("https://host/a@b", "https://host/x", "https://host/x"),
        (None, "nothing", "nothing"),
    ],
)
def test_a_login_that_the_gate_was_given_is_removed_by_its_letters(address, text, shown):
    """Whole or in parts, as clients quote it; never a word that a password merely reads like."""
    remember(address)
    assert without_logins(text) == shown


def test_a_hostile_text_costs_no_more_than_its_length():
    """A registry's answer is of any length."""
    began = time.process_time()
    for text in ("//a" * 200_000, "?a" * 200_000, "@" * 500_000, "//a@" * 200_000, "?pass" * 200_000, "/" * 500_000):
        without_logins(text)
    assert time.process_time() - began < 20

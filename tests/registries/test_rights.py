"""Waiting for a registry has an end, however it answers, and two first checks at once make one experiment."""

import threading

import pytest

from gate.records.errors import RegistryError
from gate.registries.mlflow_rights import patience, within
from tests.promotion.embedded import Embedded


def test_a_call_that_does_not_end_is_given_up():
    """A server that sends one byte now and then holds a client for ever: its timeout is between two bytes."""
    ended = threading.Event()
    with pytest.raises(RegistryError, match=r"the version was not answered whole within 0\.05 seconds") as caught:
        within(0.05, "the version", ended.wait)
    ended.set()
    assert "--registry-timeout" in caught.value.what_to_do


def test_what_a_call_returns_or_raises_comes_through():
    """As if it had been made here."""
    assert within(60, "x", lambda: None) is None
    with pytest.raises(ZeroDivisionError):
        within(60, "x", lambda: 1 / 0)


def test_patience_is_made_of_the_options():
    """Every request may time out as often as it may be repeated."""
    assert patience(30, 0) < patience(30, 3) < patience(60, 3)


def test_an_experiment_that_another_check_has_made_meanwhile_is_used(tmp_path, monkeypatch):
    """Between the look for it and the making."""
    with Embedded(tmp_path).registry() as registry:
        made = registry._experiment()
        looks, own = [None], registry._own_experiment
        monkeypatch.setattr(registry, "_own_experiment", lambda: looks.pop() if looks else own())
        assert registry._experiment() == made
        assert looks == []

"""A zoo of made-up models and a bench over it; what they are made of is in `made_up`."""

import pytest
from made_up import BEHAVIOUR, POLICY, put_model

from benchmarks.efficacy.kept import Cache
from benchmarks.efficacy.keys import reduced
from benchmarks.efficacy.scanning import Bench
from benchmarks.zoo.store import Store
from gate.policies.read import read_policy
from gate.records.clock import today


@pytest.fixture
def store(tmp_path):
    """Return a zoo of six models of the fit split: three clean, three backdoored."""
    store = Store.at(tmp_path / "zoo")
    for number in (0, 1, 2, 4, 8, 19):
        put_model(store, number)
    return store


@pytest.fixture
def policy():
    """Return the recommended policy without the detectors on files."""
    return reduced(read_policy(POLICY, on=today()), BEHAVIOUR, deadline=900)


@pytest.fixture
def bench(store, policy):
    """Return a bench over the made-up zoo."""
    return Bench(store, Cache.of(store), policy, budget=900.0)

"""No attempt of a trainer's account succeeds, and production stays as it was."""

import pytest

from tests.promotion.forgery import ATTEMPTS, HOLE, prepare


@pytest.fixture(scope="module")
def stage(server, tmp_path_factory):
    """Return a server with a promoted and a flagged version."""
    return prepare(server, tmp_path_factory.mktemp("stage"))


@pytest.mark.parametrize("name", ATTEMPTS)
def test_a_trainers_account_is_refused(stage, name):
    """The registry or the gate refuses, and the deployment's check of production still holds on the same bytes."""
    outcome = ATTEMPTS[name](stage)
    assert outcome != HOLE
    ref, digest, holds = stage.state()
    assert (ref, digest, holds) == (str(stage.promoted.version), stage.promoted.digest, True)

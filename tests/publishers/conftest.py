"""A forge of each kind, and its comments as the gate sees them."""

import pytest

from gate.publishers.github import PullRequest, Run
from gate.publishers.gitlab import Job, MergeRequest
from tests.publishers import forge


@pytest.fixture(params=["github", "gitlab"])
def hub(request):
    """Yield a forge that speaks GitHub's or GitLab's API."""
    with forge.serving(request.param) as found:
        yield found


def thread_of(hub, token="secret", retries=2):
    """Return the request's comments through the gate's own client, which waits for nothing."""
    settings = {"timeout_seconds": 2.0, "retries": retries, "pause": lambda _: None}
    if hub.kind == "gitlab":
        return MergeRequest.of(Job(hub.address, "4", 3, ""), token, **settings)
    return PullRequest.of(Run(None, None, "team/models", hub.address, "", 3), token, **settings)


@pytest.fixture
def thread(hub):
    """Return the forge's comments as the gate sees them."""
    return thread_of(hub)


@pytest.fixture
def thread_with(hub):
    """Return a function from settings of the client to the forge's comments."""
    return lambda **settings: thread_of(hub, **settings)

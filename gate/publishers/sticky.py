"""One comment a model and policy on a pull or merge request: created once, afterwards updated.

It is found again by the hidden marker on its first line, and only among comments of the gate's own account: anybody may
write a comment that carries the marker, and it must be neither taken for ours nor overwritten.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, Protocol

from gate.publishers.rest import RefusedError, UnansweredError


@dataclass(frozen=True)
class Comment:
    """One comment that the gate's account wrote."""

    id: int
    body: str
    address: str = ""


class Thread(Protocol):
    """The comments of one pull or merge request."""

    def own_comments(self) -> Iterable[Comment]:
        """Yield the comments of the gate's account, oldest first."""

    def create(self, body: str) -> Comment:
        """Write a new comment."""

    def update(self, comment: Comment, body: str) -> Comment:
        """Give a comment another text."""


@dataclass(frozen=True)
class Posted:
    """What became of the comment."""

    action: Literal["created", "updated", "left out"]
    address: str = ""
    why: str = ""
    """Why it was left out, as a sentence for the reader."""


def post(thread: Thread, marker: str, body: str) -> Posted:
    """Create or update the comment; a refusal or silence of the server is an outcome and not an error."""
    try:
        for comment in thread.own_comments():
            if comment.body.startswith(marker):
                return Posted("updated", thread.update(comment, body).address)
        return Posted("created", thread.create(body).address)
    except RefusedError as error:
        return Posted("left out", why=_refusal(error))
    except UnansweredError as error:
        return Posted("left out", why=f"The comment could not be posted, because the server did not answer ({error}).")


def _refusal(error: RefusedError) -> str:
    if error.status in (401, 403, 404):
        return (
            f"The comment could not be posted: the token may not write comments (status {error.status}), as on a "
            "request from a fork. The report stands here instead."
        )
    return f"The comment could not be posted: the server refused it ({error})."

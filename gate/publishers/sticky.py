"""One comment per model and policy on a pull or merge request: created once, then updated.

It is found by the hidden marker on its first line, only among comments of the gate's own account: anybody may write a
comment with the marker, which must be neither trusted nor overwritten.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from gate.publishers.rest import RefusedError, UnansweredError


@dataclass(frozen=True)
class Comment:
    """One comment that the gate's account wrote."""

    id: int
    body: str
    address: str = ""

    @classmethod
    def of(cls, item: Any) -> "Comment":
        """Return the comment in an API's answer; fields of another type count as absent."""
        found = item if isinstance(item, dict) else {}
        number, body, address = found.get("id"), found.get("body"), found.get("html_url")
        return cls(
            id=number if isinstance(number, int) else 0,
            body=body if isinstance(body, str) else "",
            address=address if isinstance(address, str) else "",
        )


class Thread(Protocol):
    """The comments of one pull or merge request."""

    def own_comments(self) -> Iterable[Comment]:
        """Yield the comments of the gate's account, oldest first."""

    def create(self, body: str) -> Comment:
        """Write a new comment."""

    def update(self, comment: Comment, body: str) -> Comment:
        """Replace a comment's text."""


@dataclass(frozen=True)
class Posted:
    """The result of posting a comment."""

    action: Literal["created", "updated", "left out"]
    address: str = ""
    why: str = ""
    """Reason for leaving it out, as a sentence for the reader."""


def post(thread: Thread, marker: str, body: str) -> Posted:
    """Create or update the comment; a server that refuses or does not answer is a result, not an error."""
    try:
        for comment in thread.own_comments():
            if comment.body.startswith(marker):
                return Posted("updated", thread.update(comment, body).address)
        return Posted("created", thread.create(body).address)
    except RefusedError as error:
        why = f"the server refused it ({error})."
        if error.status in (401, 403, 404):
            why = (
                f"the token may not write comments (status {error.status}), as on a request from a fork. The report is "
                "here instead."
            )
        return Posted("left out", why=f"The comment could not be posted: {why}")
    except UnansweredError as error:
        return Posted("left out", why=f"The comment could not be posted, because the server did not answer ({error}).")

"""A failure of MLflow, its HTTP client or a database driver, taken apart; its words may be a hostile server's."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from urllib.parse import urlsplit

from gate.jail.inert import inert_line

_QUOTED = 160
"""So many characters of somebody else's words are shown."""
_DEPTH = 12
"""So many of an error's causes are followed."""
UNKNOWN = ("RESOURCE_DOES_NOT_EXIST", "NOT_FOUND")
"""MLflow's codes for what is not there."""


def without_secret(text: str) -> str:
    """Remove user names and passwords from URLs."""
    return re.sub(r"//[^/@\s]+@", "//", text)


@dataclass(frozen=True)
class Server:
    """Where the registry is, and how long it is waited for."""

    uri: str
    timeout_seconds: int
    retries: int

    @property
    def shown(self) -> str:
        """The URI without a login."""
        return without_secret(self.uri)[:200]

    @property
    def host(self) -> str:
        """Who answers there."""
        return urlsplit(self.shown).hostname or self.shown

    @property
    def is_remote(self) -> bool:
        """Whether it is asked over HTTP, and is no embedded store."""
        return self.uri.startswith(("http://", "https://"))


@dataclass(frozen=True)
class Failure:
    """What was raised when the registry was asked for something."""

    error: Exception
    what: str
    server: Server

    @cached_property
    def chain(self) -> tuple[BaseException, ...]:
        """The error and what caused it, as far as libraries keep it: as cause, context, reason or argument."""
        return tuple(_chain(self.error))

    @cached_property
    def names(self) -> frozenset[str]:
        """The names of these errors' classes; libraries that may not be installed are told by them."""
        return frozenset(type(one).__name__ for one in self.chain)

    @cached_property
    def said(self) -> str:
        """What all of them say."""
        return " ".join(str(one) for one in self.chain)

    @property
    def code(self) -> str:
        """MLflow's own code; empty for everybody else's errors."""
        return str(getattr(self.error, "error_code", "") or "")

    def any(self, *names: str) -> bool:
        """Tell whether an error of one of these classes is among them."""
        return not self.names.isdisjoint(names)

    def says(self, *signs: str) -> bool:
        """Tell whether one of these texts stands in what they say, whatever the case."""
        low = self.said.lower()
        return any(sign.lower() in low for sign in signs)

    @property
    def brackets(self) -> str:
        """The error's own first words in brackets: one inert line."""
        lines = [line for line in str(self.error).splitlines() if line.strip() and not line.startswith("###")]
        if len(lines) > 1 and lines[0].rstrip().endswith(":"):  # MLflow's list of failed downloads: the first says why
            lines = lines[1:]
        text = without_secret(" ".join(" ".join(lines).split()))
        return f" [{inert_line(text, limit=_QUOTED)}]" if text else f" [{type(self.error).__name__}]"


def _chain(error: BaseException) -> Iterator[BaseException]:
    waiting, seen = [error], set[int]()
    while waiting and len(seen) < _DEPTH:
        one = waiting.pop(0)
        if id(one) in seen:
            continue
        seen.add(id(one))
        yield one
        parts = (one.__cause__, one.__context__, getattr(one, "reason", None), getattr(one, "orig", None), *one.args)
        waiting += [part for part in parts if isinstance(part, BaseException)]

"""A failure of MLflow, its HTTP client or a database driver, in parts; its text may be a hostile server's."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from urllib.parse import urlsplit

from gate.jail.inert import inert_line
from gate.records.logins import without_login, without_logins

_QUOTED = 160
"""Characters that are shown of a foreign text."""
_DEPTH = 12
"""Causes of an error that are followed."""
UNKNOWN = ("RESOURCE_DOES_NOT_EXIST", "NOT_FOUND")
"""MLflow's codes for a missing object."""


@dataclass(frozen=True)
class Server:
    """The registry's address, and its timeouts."""

    uri: str
    timeout_seconds: int
    retries: int

    @property
    def shown(self) -> str:
        """The URI without a login."""
        return without_login(self.uri)[:200]

    @property
    def host(self) -> str:
        """The host, or the URI of an embedded store."""
        return urlsplit(self.shown).hostname or self.shown

    @property
    def is_remote(self) -> bool:
        """Whether it is a server, and no embedded store."""
        return self.uri.startswith(("http://", "https://"))


@dataclass(frozen=True)
class Failure:
    """An exception of a request to the registry for `what`."""

    error: Exception
    what: str
    server: Server

    @cached_property
    def chain(self) -> tuple[BaseException, ...]:
        """The error and its causes, as far as libraries keep them: as cause, context, reason or argument."""
        return tuple(_chain(self.error))

    @cached_property
    def names(self) -> frozenset[str]:
        """The names of these errors' classes, since their libraries may not be installed."""
        return frozenset(type(one).__name__ for one in self.chain)

    @cached_property
    def text(self) -> str:
        """The texts of all of them."""
        return " ".join(str(one) for one in self.chain)

    @property
    def code(self) -> str:
        """MLflow's own code; empty for errors of others."""
        return str(getattr(self.error, "error_code", "") or "")

    def any(self, *names: str) -> bool:
        """Tell whether one of the errors is of one of these classes."""
        return not self.names.isdisjoint(names)

    def says(self, *signs: str) -> bool:
        """Tell whether the errors' texts contain one of these texts, in any case of letters."""
        low = self.text.lower()
        return any(sign.lower() in low for sign in signs)

    @property
    def brackets(self) -> str:
        """The beginning of the error's own text in brackets: one inert line."""
        lines = [line for line in str(self.error).splitlines() if line.strip() and not line.startswith("###")]
        if len(lines) > 1 and lines[0].rstrip().endswith(":"):  # MLflow's list of failed downloads: the first says why
            lines = lines[1:]
        text = " ".join(without_logins(" ".join(lines)).split())
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

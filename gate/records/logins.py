"""Addresses without user names and passwords, for errors, output, logs and alerts.

A password may hold what ends the host of an address elsewhere: SQLAlchemy takes `/`, `?` and spaces in one. What stands
before the last `@` of an address is therefore all left out; and the logins of the addresses that the gate was given are
removed by their letters too, since a driver or a client may quote a part of one.
"""

import re
from collections.abc import Iterator
from urllib.parse import unquote

HIDDEN = "***"
_WORD = re.compile(r"[^\s'\"]+")
_HOST = re.compile(r"(?<!/)//(?!/)")
"""Begin of a host, and of the login before it; three slashes begin a path."""
_PARAMETER = re.compile(r"[?&][^?&]*")
_SECRET = re.compile(r"pass|pwd|secret|token|signature|credential|[?&]sig$", re.IGNORECASE)
_LOGIN = re.compile(r"[^:/]*:")
"""Begin of a login with a password: a user name holds no slash."""
_LEAST = 8
"""Characters from which a password alone, or a part of it, is told from a word that merely reads like it."""
_remembered: set[str] = set()


def remember(*addresses: str | None) -> None:
    """Keep the logins of addresses that the gate was given, which `without_logins` removes from then on."""
    _remembered.update(text for address in addresses for text in _of_login(address or ""))


def without_login(address: str) -> str:
    """Return one address without user name, password and the secrets of its query."""
    host = _HOST.search(address)
    end = address.rfind("@") + 1
    if host is not None and end > host.end():
        address = address[: host.end()] + address[end:]
    return _PARAMETER.sub(_parameter, address)


def without_logins(text: str) -> str:
    """Return a text with every address in it as `without_login` gives it, and without the logins that are known."""
    for known in sorted(_remembered, key=len, reverse=True):
        text = text.replace(known, HIDDEN)
    return _WORD.sub(lambda word: without_login(word[0]), text)


def _parameter(found: re.Match[str]) -> str:
    name, equals, _ = found[0].partition("=")
    return f"{name}={HIDDEN}" if equals and _SECRET.search(name) else found[0]


def _of_login(address: str) -> Iterator[str]:
    """Yield what of an address's login must nowhere be shown: the whole, and what is long enough to be told by itself.

    A user name alone is no secret, and may be a word of every other sentence.
    """
    host = _HOST.search(address)
    login, found, _ = address[host.end() :].rpartition("@") if host is not None else ("", "", "")
    if not found or not _LOGIN.match(login):
        return
    password = login.partition(":")[2]
    # A client that ends the host at a slash quotes the parts before and after it.
    for whole in (login, unquote(login)):
        yield whole
        yield from (part for part in re.split(r"[/?#]", whole) if ":" in part[:-1] or _tells(part))
    yield from (one for one in (password, unquote(password)) if _tells(one))


def _tells(text: str) -> bool:
    return len(text) >= _LEAST and re.fullmatch("[a-z]+|[A-Z]+|[A-Z][a-z]+", text) is None

"""The places from which the gate downloads: the tracking server, the policy's stores, an embedded store's folders.

Addresses are candidate-controlled. Links of local paths are followed before a path is judged.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from urllib.parse import unquote

from gate.records.addresses import Address, AddressError, parse_address, parse_store, suggested_store
from gate.records.errors import RefusedAddressError
from gate.records.logins import without_login

API = ("api", "2.0", "mlflow-artifacts", "artifacts")
"""Path below which a tracking server serves artifacts."""
KEY = "artifact-stores"
_SHOWN = 300


@dataclass(frozen=True)
class Place:
    """An address that was judged, in the one form in which it is downloaded."""

    kind: Literal["server", "store", "local"]
    address: Address
    path: Path | None = None
    """A local place's path with its links followed, which is what was judged."""


@dataclass(frozen=True)
class Allowed:
    """The tracking server (None: an embedded store), the policy's stores, and the folders of embedded experiments."""

    server: Address | None
    stores: tuple[Address, ...] = ()
    folders: Callable[[], Sequence[Address]] = tuple

    def place(self, raw: str, what: str) -> Place:
        """Return the place of an address of the registry's; raise `RefusedAddressError` where it is not allowed."""
        try:
            address = self._own(parse_address(raw))
        except AddressError as error:
            raise RefusedAddressError(
                f"{what} lies at {_shown(raw)}, which {error}; nothing was downloaded",
                what_to_do="Register the version anew from a store that this gate knows "
                "(docs/reference/artifact-stores.md).",
            ) from None
        if address.scheme == "mlflow-artifacts" and not address.host and self.server is not None:
            return Place("server", address)
        if address.scheme == "file":
            path = local_path(address).resolve()
            if self._in_folders(path):
                return Place("local", address, path)
        elif any(address.within(store) for store in self.stores):
            return Place("store", address)
        line = self.line(address)
        raise RefusedAddressError(
            f"{what} lies at {str(address)[:_SHOWN]!a}, which is neither the tracking server nor in the policy's "
            f"{KEY}; nothing was downloaded",
            what_to_do=f"If that store is your own, the policy says so by the line: {line}"
            if line
            else "Have it registered anew from the tracking server or from a store that the policy lists.",
        )

    def allows(self, raw: str) -> bool:
        """Tell whether a presigned address, which has a query, is in a store of the policy or on the server."""
        try:
            address = parse_address(raw.split("?", maxsplit=1)[0])
        except AddressError:
            return False
        on_server = self.server is not None and (address.scheme, address.host) == (self.server.scheme, self.server.host)
        return address.scheme in {"http", "https"} and (on_server or any(address.within(one) for one in self.stores))

    def _own(self, address: Address) -> Address:
        """Return an address of the tracking server in its short form, and any other unchanged."""
        if self.server is None:
            return address
        if address.scheme == "mlflow-artifacts" and address.host:
            address = parse_address(f"{self.server.scheme}://{address.host}/{'/'.join((*self._prefix, *address.path))}")
        root = Address(self.server.scheme, self.server.host, self._prefix)
        if address.within(root):
            return Address("mlflow-artifacts", "", address.path[len(root.path) :])
        return address

    @property
    def _prefix(self) -> tuple[str, ...]:
        return (*(self.server.path if self.server else ()), *API)

    def _in_folders(self, path: Path) -> bool:
        """Tell whether a path is in a folder that the policy lists, or in one of an embedded store's experiments."""
        listed = (store for store in self.stores if store.scheme == "file")
        own = (one for one in (self.folders() if self.server is None else ()) if one.path)
        return any(path.is_relative_to(local_path(folder).resolve()) for folder in (*listed, *own))

    def line(self, address: Address) -> str:
        """Return the policy's line that would list the store of an address; empty where none can."""
        try:
            store = parse_store(str(suggested_store(address)))
        except AddressError:
            return ""
        return f"{KEY}: {json.dumps([*map(str, self.stores), str(store)])}"


def local_path(address: Address) -> Path:
    """Return the path on disk that a file's address names."""
    return Path("/", *(unquote(segment) for segment in address.path))


def _shown(raw: str) -> str:
    """Return a hostile text to show: short, and without a password."""
    scheme, separator, rest = without_login(raw)[:_SHOWN].partition("://")
    authority, slash, path = rest.partition("/")
    return ascii(f"{scheme}{separator}{authority.rpartition('@')[2]}{slash}{path}") if separator else ascii(scheme)

"""The grammar of addresses: locations of artifacts, and the stores that a policy lists.

A registry's answer is candidate-controlled. This grammar keeps the gate and the downloading client from reading one
text in two ways: no user information, query or fragment, no `.` or `..`, no empty segment, hosts as their ASCII names.
Stores of a policy have the same grammar, with plainer segments.
"""

import ipaddress
import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass, replace
from urllib.parse import unquote, urlsplit

MAX_LENGTH = 4096
_DEFAULT_PORTS = {"http": "80", "https": "443"}
_SCHEME = re.compile(r"([a-z][a-z0-9+.-]*):(.*)", re.DOTALL)
_BUCKET = re.compile(r"[a-z0-9][a-z0-9._-]{1,220}[a-z0-9]")
_LABEL = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
_PORT = re.compile(r"[1-9][0-9]{0,4}")
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*")
_CLOUDS = r"core\.(windows\.net|chinacloudapi\.cn|usgovcloudapi\.net)"
_AZURE = {
    "wasbs": re.compile(r"[a-z0-9$-]{3,63}@[a-z0-9]{3,24}\.blob\." + _CLOUDS),
    "abfss": re.compile(r"[a-z0-9$-]{3,63}@[a-z0-9]{3,24}\.dfs\." + _CLOUDS),
}
_ESCAPE = re.compile(r"%[0-9A-Fa-f]{2}")
_PLAIN = re.compile(r"[A-Za-z0-9._~+=@,:-]+")
_RUN = re.compile(r"runs:/([A-Za-z0-9][\w-]{0,63})/(.+)", re.ASCII | re.DOTALL)
_MODEL = re.compile(r"models:/([^/]+)(?:/(.+))?", re.DOTALL)
_RUN_BELOW = re.compile(r"[0-9]+/[0-9a-f]{32}/artifacts")
_MODEL_BELOW = re.compile(r"[0-9]+/models/m-[0-9a-f]{32}/artifacts")


class AddressError(ValueError):
    """A text that is no address; the message is a reason that follows 'it'."""


@dataclass(frozen=True)
class Address:
    """A scheme, a host, and the segments of a path as they are written."""

    scheme: str
    host: str = ""
    """Host and port, bucket, or Azure container and account; empty for files and the server's own store."""
    path: tuple[str, ...] = ()

    def __str__(self) -> str:
        path = "".join(f"/{segment}" for segment in self.path)
        if self.scheme == "file" or self.host:
            return f"{self.scheme}://{self.host}{path}"
        return f"{self.scheme}:{path}"

    def within(self, store: "Address") -> bool:
        """Tell whether this lies in a store: same scheme and host, and a path that begins with all its segments."""
        same = (self.scheme, self.host) == (store.scheme, store.host)
        return same and self.path[: len(store.path)] == store.path

    def below(self, *segments: str) -> "Address":
        """Return an address inside this one."""
        return replace(self, path=self.path + segments)

    @property
    def parent(self) -> "Address":
        """The address without its last segment."""
        return replace(self, path=self.path[:-1])


def parse_address(text: str) -> Address:
    """Return the address of an artifact; raise `AddressError` for anything outside the grammar."""
    if len(text) > MAX_LENGTH:
        raise AddressError(f"is longer than {MAX_LENGTH} characters")
    if text.startswith("/"):
        return Address("file", "", _segments(text))
    matched = _SCHEME.fullmatch(text)
    if matched is None:
        raise AddressError("has no scheme that the gate knows")
    scheme, rest = matched[1], matched[2]
    if scheme == "file":
        return Address("file", "", _segments(rest.removeprefix("//")))
    if scheme == "mlflow-artifacts" and not rest.startswith("//"):
        return Address(scheme, "", _segments(rest))
    host_of = _HOSTS.get(scheme)
    if host_of is None:
        raise AddressError(f"has the scheme {scheme[:40]!r}; expected one of {', '.join(sorted(_HOSTS))}")
    if not rest.startswith("//"):
        raise AddressError(f"names no host; expected {scheme}://HOST/PATH")
    authority, slash, path = rest[2:].partition("/")
    return Address(scheme, host_of(scheme, authority), _segments(slash + path))


def parse_store(text: str) -> Address:
    """Return a store that a policy lists: `scheme://host-or-bucket[/prefix]`."""
    store = parse_address(text)
    if store.scheme == "mlflow-artifacts":
        raise AddressError("is the tracking server's own; another artifact server is listed by its https address")
    if store.scheme == "http" and not is_loopback(store.host):
        raise AddressError("would carry credentials in clear text; expected https, or http on this machine")
    if store.scheme == "file" and not store.path:
        raise AddressError("would be the whole disk; expected file:///FOLDER")
    if any(not _PLAIN.fullmatch(segment) for segment in store.path):
        raise AddressError("has a prefix with other characters than letters, digits and ._~+=@,:-")
    return store


def parse_server(uri: str) -> Address | None:
    """Return the address of the operator's tracking server, without its login; None for embedded stores."""
    if not uri.lower().startswith(("http://", "https://")):
        return None
    parts = urlsplit(uri)
    scheme, path = parts.scheme.lower(), parts.path.rstrip("/")
    return Address(scheme, _network_host(scheme, parts.netloc.rpartition("@")[2].lower()), _segments(path))


def is_loopback(host: str) -> bool:
    """Tell whether a canonical host and port is this machine."""
    name = host.removeprefix("[").partition("]")[0] if host.startswith("[") else host.partition(":")[0]
    if name == "localhost":
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


def parse_run_artifact(text: str) -> tuple[str, tuple[str, ...]] | None:
    """Return run and path of `runs:/RUN/PATH`; None for anything else."""
    matched = _RUN.fullmatch(text)
    return (matched[1], _path(matched[2])) if matched else None


def parse_model_artifact(text: str) -> tuple[str, tuple[str, ...]] | None:
    """Return `NAME/VERSION`, `NAME@ALIAS` or a logged model's id, and a path inside; None for anything else."""
    matched = _MODEL.fullmatch(text)
    if matched is None:
        return None
    name, rest = matched[1], (matched[2] or "").rstrip("/")
    if "@" in name or not rest:
        return name, _path(rest) if rest else ()
    version, _, path = rest.partition("/")
    return f"{name}/{version}", _path(path) if path else ()


def is_reference(text: str) -> bool:
    """Tell whether a text is `runs:/…` or `models:/…`, an artifact of the registry itself, as a tag may name it."""
    try:
        return (parse_run_artifact(text) or parse_model_artifact(text)) is not None
    except AddressError:
        return False


def suggested_store(address: Address) -> Address:
    """Return the store that an artifact most probably lies in: the path before MLflow's own folders."""
    for start in range(len(address.path)):
        for pattern, length in ((_RUN_BELOW, 3), (_MODEL_BELOW, 4)):
            if pattern.fullmatch("/".join(address.path[start : start + length])):
                return replace(address, path=address.path[:start])
    return address


def _path(text: str) -> tuple[str, ...]:
    return _segments(f"/{text}")


def _segments(path: str) -> tuple[str, ...]:
    """Return the segments of a path that begins with a slash and may end with one."""
    if path in {"", "/"}:
        return ()
    if not path.startswith("/"):
        raise AddressError("has a relative path")
    segments = tuple(path[1:].removesuffix("/").split("/"))
    for segment in segments:
        _check(segment)
    return segments


def _check(segment: str) -> None:
    """Refuse a segment that any reader could take for something else than one name."""
    without = _ESCAPE.sub("", segment)
    try:
        decoded = unquote(segment, errors="strict")
    except UnicodeDecodeError:
        raise AddressError("is percent-encoded in something else than UTF-8") from None
    if "%" in without or _ESCAPE.search(decoded):
        raise AddressError("is percent-encoded more than once, or halfway")
    for read in (segment, decoded, unicodedata.normalize("NFKC", decoded)):
        if read in {"", ".", ".."}:
            raise AddressError("has an empty segment, '.' or '..' in its path")
        if not read.isprintable() or set(read) & set("/\\?#;"):
            raise AddressError("has a character in its path that is none of a name")


def _bucket(_scheme: str, authority: str) -> str:
    if not _BUCKET.fullmatch(authority) or ".." in authority:
        raise AddressError("names no bucket; expected 3 to 222 lower-case letters, digits, '.', '-' and '_'")
    return authority


def _azure(scheme: str, authority: str) -> str:
    if not _AZURE[scheme].fullmatch(authority):
        service = "blob" if scheme == "wasbs" else "dfs"
        raise AddressError(f"names no container; expected CONTAINER@ACCOUNT.{service}.core.windows.net")
    return authority


def _network_host(scheme: str, authority: str) -> str:
    """Return host and port in their one form: lower case, without the scheme's own port."""
    authority = authority.lower() if authority.isascii() else authority
    if "@" in authority:
        raise AddressError("carries a user name or password")
    if not authority.isascii():
        raise AddressError("has a host beyond ASCII; expected its xn-- form")
    matched = re.fullmatch(r"(\[[0-9a-f:.]+\]|[^\[\]:]+)(?::(.*))?", authority)
    if matched is None:
        raise AddressError("names no host")
    name, port = _host_name(matched[1]), matched[2]
    if port is None:
        return name
    if not _PORT.fullmatch(port) or int(port) > 65535:
        raise AddressError("has no port that exists")
    return name if port == _DEFAULT_PORTS.get(scheme) else f"{name}:{port}"


def _host_name(name: str) -> str:
    if name.startswith("["):
        try:
            return f"[{ipaddress.IPv6Address(name[1:-1])}]"
        except ValueError:
            raise AddressError("has an IPv6 address that is none") from None
    labels = name.split(".")
    if len(name) > 253 or not all(_LABEL.fullmatch(label) for label in labels):
        raise AddressError("names no host")
    if _NUMBER.fullmatch(labels[-1]):
        # Resolvers read 127.1, 0x7f.1 and 2130706433 as addresses too; one form is enough.
        try:
            return str(ipaddress.IPv4Address(name))
        except ValueError:
            raise AddressError("has a host of numbers that is no IPv4 address") from None
    return name


_HOSTS: dict[str, Callable[[str, str], str]] = {
    "s3": _bucket,
    "gs": _bucket,
    "wasbs": _azure,
    "abfss": _azure,
    "https": _network_host,
    "http": _network_host,
    "mlflow-artifacts": _network_host,
}

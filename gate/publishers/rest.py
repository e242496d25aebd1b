"""A small client of a JSON API: stated timeouts and retries, pages within one origin, bounded answers.

Reading and replacing are retried after a transient fault; creating is sent again only where the server cannot have
received it, so that no comment is made twice. Redirects are not followed: they would carry the token.
"""

import json
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from gate import VERSION
from gate.records.errors import GateError

MAX_ANSWER_BYTES = 16 << 20
MAX_PAGES = 50
MAX_WAIT_SECONDS = 30.0
"""Longest pause asked for by a server that is waited for."""
_TRANSIENT = frozenset({429, 500, 502, 503, 504})


class RefusedError(GateError):
    """The server refused: no permission, nothing there, or a request that it does not accept."""

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status


class UnansweredError(GateError):
    """No usable answer: no connection, a timeout, or a server error at the last try."""


@dataclass(frozen=True)
class _Answer:
    status: int
    retry_after: str
    next_page: str | None
    body: bytes

    def json(self) -> Any:
        """Return the value that the body holds."""
        try:
            return json.loads(self.body or b"null")
        except (ValueError, RecursionError):
            raise UnansweredError("the server's answer is not JSON") from None


@dataclass(frozen=True)
class RestApi:
    """One API under one base address, with the headers that carry the token."""

    base: str
    headers: Mapping[str, str] = field(repr=False)
    timeout_seconds: float = 10.0
    retries: int = 3
    pause: Callable[[float], None] = time.sleep

    def get(self, path: str) -> Any:
        """Return one JSON value."""
        return self._send("GET", self._address(path), None, again=True).json()

    def get_pages(self, path: str) -> Iterator[Any]:
        """Yield the items of a list page by page, following the server's `next` links within its origin."""
        address: str | None = self._address(path)
        for _ in range(MAX_PAGES):
            if address is None:
                return
            answer = self._send("GET", address, None, again=True)
            page = answer.json()
            if not isinstance(page, list):
                raise UnansweredError(f"{_shown(address)} gave no list")
            yield from page
            address = answer.next_page
            if address is not None and urlsplit(address)[:2] != urlsplit(self.base)[:2]:
                raise UnansweredError("the server's next page lies on another host; the token stays here")

    def create(self, path: str, body: Mapping[str, str]) -> Any:
        """Post a new item and return it; sent again only where no connection was made or the server was too busy."""
        return self._send("POST", self._address(path), body, again=False).json()

    def replace(self, method: str, path: str, body: Mapping[str, str]) -> Any:
        """Change an existing item by PATCH or PUT, and return it."""
        return self._send(method, self._address(path), body, again=True).json()

    def _address(self, path: str) -> str:
        return f"{self.base.rstrip('/')}/{path.lstrip('/')}"

    def _send(self, method: str, address: str, body: Mapping[str, str] | None, *, again: bool) -> _Answer:
        import requests  # noqa: PLC0415  # commands that send nothing do not pay for it

        fault = ""
        for attempt in range(self.retries + 1):
            wait = 0.5 * 2**attempt
            try:
                answer = self._request(method, address, body)
            except requests.RequestException as error:
                kind = "no connection: " if isinstance(error, requests.ConnectionError) else ""
                fault = f"{kind}{type(error).__name__}"
                # A broken connection may have delivered the request; a comment made twice is worse than none.
                if not again and not isinstance(error, requests.ConnectTimeout):
                    break
            else:
                if 200 <= answer.status < 300:
                    return answer
                asked = answer.retry_after
                if answer.status not in _TRANSIENT and not (answer.status == 403 and asked.isdigit()):
                    raise RefusedError(f"{method} {_shown(address)}: status {answer.status}", answer.status)
                fault, wait = f"status {answer.status}", float(asked) if asked.isdigit() else wait
                if wait > MAX_WAIT_SECONDS or (not again and answer.status not in (403, 429)):
                    break
            if attempt < self.retries:
                self.pause(wait)
        raise UnansweredError(f"{method} {_shown(address)}: {fault}")

    def _request(self, method: str, address: str, body: Mapping[str, str] | None) -> _Answer:
        import requests  # noqa: PLC0415  # as above

        with requests.Session() as session:
            # A ~/.netrc entry for the host would otherwise take the place of the token.
            session.auth = lambda request: request
            answer = session.request(
                method,
                address,
                json=body,
                headers={"User-Agent": f"gate/{VERSION}", "Accept": "application/json", **self.headers},
                timeout=(self.timeout_seconds, self.timeout_seconds),
                allow_redirects=False,
                stream=True,
            )
            raw = b""
            for part in answer.iter_content(1 << 16):
                raw += part
                if len(raw) > MAX_ANSWER_BYTES:
                    raise UnansweredError(f"an answer larger than {MAX_ANSWER_BYTES} bytes")
            following = answer.links.get("next", {}).get("url")
            return _Answer(answer.status_code, answer.headers.get("Retry-After", ""), following, raw)


def _shown(address: str) -> str:
    """Return an address without its query, for a message."""
    return urlsplit(address)._replace(query="").geturl()

"""The webhook receiver: authenticate, queue durably, then answer; nothing is fetched or scanned meanwhile.

Answers: 200 queued, seen before, or nothing to act on (such as MLflow's test delivery); 401 unsigned, forged or stale;
413 too large; 400 no JSON; 503 not queued, after which MLflow tries again.
"""

import logging
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from gate.records.record import MalformedError, parse_json
from gate.service import metrics
from gate.service.engine import Engine
from gate.service.logs import log
from gate.service.settings import Settings
from gate.service.signature import RefusedDeliveryError, authenticate

_NAME = re.compile(r"[^/:@\x00-\x1f\x7f]{1,255}")
_VERSION = re.compile(r"[1-9]\d{0,9}", re.ASCII)


@dataclass(frozen=True)
class Event:
    """An event that the gate acts on."""

    kind: Literal["version", "alias"]
    name: str
    version: str


def read_event(body: bytes, limit: int) -> Event | None:
    """Return the event to act on, None for any other; a body that is no JSON object raises `MalformedError`.

    Unknown fields and events are ignored, because MLflow adds both.
    """
    value = parse_json(body, what="webhook", limit=limit)
    if not isinstance(value, dict):
        raise MalformedError("webhook: expected a JSON object")
    data = value.get("data")
    if not isinstance(data, dict):
        return None
    kinds: dict[tuple[object, object], Literal["version", "alias"]] = {
        ("model_version", "created"): "version",
        ("model_version_alias", "created"): "alias",
    }
    entity, action = value.get("entity"), value.get("action")
    kind = kinds.get((entity, action)) if isinstance(entity, str) and isinstance(action, str) else None
    name, version = data.get("name"), data.get("version")
    if kind is None or not isinstance(name, str) or not isinstance(version, str | int):
        return None
    if not _NAME.fullmatch(name) or not _VERSION.fullmatch(str(version)):
        return None
    return Event(kind, name, str(version))


class TooLargeError(Exception):
    """A body that is larger than the limit."""


async def read_body(request: Request, limit: int) -> bytes:
    """Return a request's body, and stop reading as soon as it is too large."""
    length = request.headers.get("content-length", "")
    if length.isdigit() and int(length) > limit:
        raise TooLargeError
    raw = bytearray()
    async for part in request.stream():
        raw += part
        if len(raw) > limit:
            raise TooLargeError
    return bytes(raw)


class Receiver:
    """The handler of `POST /webhooks/mlflow`."""

    def __init__(self, settings: Settings, engine: Engine, clock: Callable[[], float] = time.time) -> None:
        self._settings, self._engine, self._clock = settings, engine, clock

    async def receive(self, request: Request) -> Response:
        """Answer one delivery."""
        with metrics.ANSWER_SECONDS.time():
            return await self._receive(request)

    async def _receive(self, request: Request) -> Response:
        limits = self._settings.file.webhook
        try:
            body = await read_body(request, limits.max_bytes)
            secrets, now = self._settings.secrets, self._clock()
            delivery = authenticate(request.headers, body, secrets, now, limits.freshness_seconds)
            event = read_event(body, limits.max_bytes)
        except TooLargeError:
            return _answer("too-large", 413)
        except RefusedDeliveryError as refused:
            return _answer(refused.reason, 401)
        except MalformedError:
            return _answer("malformed", 400)
        try:
            outcome = await run_in_threadpool(self._queue, delivery, event) if event else "ignored"
        except Exception as error:  # noqa: BLE001  # a full disk, a database that is away: the sender tries again
            log("a delivery could not be queued", level=logging.ERROR, why=type(error).__name__)
            return _answer("unqueued", 503)
        return _answer(outcome, 200)

    def _queue(self, delivery: str, event: Event) -> str:
        """Queue an event's work under the delivery's id, so that a replay is no second job."""
        workflow_id = f"hook/{delivery}"
        if event.kind == "alias":
            if all(event.name != model.production for model in self._settings.file.models):
                return "ignored"
            new = self._engine.alias_moved(workflow_id, event.name)
        else:
            # The example of MLflow's test delivery names a model that nobody configures.
            if self._settings.model(event.name) is None:
                return "ignored"
            new = self._engine.arrived(workflow_id, event.name, event.version)
        return "queued" if new else "duplicate"


def _answer(outcome: str, status: int) -> Response:
    metrics.DELIVERIES.labels(outcome).inc()
    return JSONResponse({"outcome": outcome}, status_code=status)

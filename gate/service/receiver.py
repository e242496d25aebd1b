"""The webhook receiver: believe, queue durably, and only then answer; nothing is fetched or scanned on the way.

Answers: 200 for what was queued, seen before, or is nothing to act on (MLflow's test delivery among it); 401 unsigned,
forged or stale; 413 too large; 400 no JSON; 503 where it could not be queued, upon which MLflow tries again.
"""

import logging
import time
from collections.abc import Callable

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from gate.records.record import MalformedError
from gate.service import metrics
from gate.service.engine import Engine
from gate.service.events import Event, read_event
from gate.service.logs import log
from gate.service.settings import Settings
from gate.service.signature import Freshness, RefusedDeliveryError, authenticate


class TooLargeError(Exception):
    """A body that exceeds what is accepted."""


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
    """What answers `POST /webhooks/mlflow`."""

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
            fresh = Freshness(self._clock(), limits.freshness_seconds)
            delivery = authenticate(request.headers, body, self._settings.secrets, fresh)
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
        """Queue what an event asks for; the delivery's id is the job's, so that a replay is no second one."""
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

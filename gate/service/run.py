"""The service as a whole: its HTTP application, and the start and stop of engine, poll and server.

SIGTERM stops accepting, gives running steps some seconds, and leaves the rest to the next start.
"""

import contextlib
import hmac
import logging
import os
import signal
import sqlite3
import time
from collections.abc import Callable

import uvicorn
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from gate.attestations.keys import PublicKey, SigningKey, read_public_keys
from gate.attestations.log import ReviewLog
from gate.attestations.model_signature import ModelKey
from gate.check.signing import Signing
from gate.records.errors import CannotFinishError, PolicyError, UsageError
from gate.registries import RegistrySettings, open_production
from gate.registries.contract import ProductionRegistry
from gate.service import metrics
from gate.service.alerts import Alerts
from gate.service.depth import Depth
from gate.service.engine import Engine
from gate.service.guard import Guard
from gate.service.jobs import Checks, read_rules, rules_on
from gate.service.logs import log, set_up_logs
from gate.service.pages import Pages
from gate.service.poll import Poll
from gate.service.receiver import Receiver
from gate.service.rescans import Rescans
from gate.service.reviews import Reviews
from gate.service.settings import ModelSection, Settings

GRACE_SECONDS = 20
_STALE_POLLS = 5


class Service:
    """Every part of the service, made once."""

    def __init__(
        self,
        settings: Settings,
        key: SigningKey,
        registry: ProductionRegistry | None = None,
        model_key: ModelKey | None = None,
    ) -> None:
        self.settings = settings
        file = settings.file
        _make_folder(settings)
        self.registry = registry or open_watched(settings)
        keys: tuple[PublicKey, ...] = (key.public,)
        if file.public_keys:
            keys = (*keys, *(k for k in read_public_keys(file.public_keys) if k.key_id != key.key_id))
        signing = Signing(key, ReviewLog(settings.audit_log), model_key)
        self.checks = Checks(settings, self.registry, signing)
        alerts = Alerts(file.watch.alert_url)
        for section in file.models:
            require_rules(section, alerts)
        self.guard = Guard(settings, self.registry, keys, alerts)
        rescans = Rescans(settings, self.registry, keys, alerts)
        _write_ahead(settings.database)
        self.engine = Engine(settings, self.checks, self.guard.look, rescans.scan)
        self.poll = Poll(settings, self.registry, self.checks, self.engine, self.guard, keys, alerts=alerts)
        pages = Pages(Reviews(settings, self.registry, signing, keys), file.review.identity)
        self.app = build_app(settings, Receiver(settings, self.engine), pages, self._missing, self.engine.depth)

    def run(self) -> None:
        """Serve until a signal; running steps then get some seconds."""
        host, _, port = self.settings.file.listen.rpartition(":")
        self.poll.announce()
        self.engine.start()
        self.poll.start()
        log("serving", listen=self.settings.file.listen, models=len(self.settings.file.models))
        # uvicorn raises the signal that stopped it again when it has ended; the stopping below must still run.
        signal.signal(signal.SIGTERM, lambda *_: None)
        signal.signal(signal.SIGINT, lambda *_: None)
        try:
            uvicorn.run(
                self.app,
                host=host,
                port=int(port),
                log_config=None,
                access_log=False,
                server_header=False,
                proxy_headers=False,  # the review page trusts addresses, so nobody may forge one
                timeout_graceful_shutdown=GRACE_SECONDS,
                limit_concurrency=200,
                h11_max_incomplete_event_size=32 << 10,
            )
        finally:
            log("stopping")
            self.poll.stop()
            self.engine.stop(GRACE_SECONDS)

    def _missing(self) -> str:
        """Return why the service is not ready, if it is not: the registry has not answered for several polls."""
        if self.poll.last == 0.0:
            return "the registry has not been looked through yet"
        if time.time() - self.poll.last > max(60.0, _STALE_POLLS * self.settings.file.watch.poll_seconds):
            return "the registry does not answer"
        return ""


def build_app(
    settings: Settings, receiver: Receiver, pages: Pages, ready: Callable[[], str], depth: Depth
) -> Starlette:
    """Return the application; `ready` returns what is missing, or nothing."""

    async def health(_request: Request) -> Response:
        return JSONResponse({"status": "alive", "at": time.time()})

    async def readiness(_request: Request) -> Response:
        missing = ready()
        return JSONResponse({"status": missing or "ready"}, status_code=503 if missing else 200)

    async def measured(request: Request) -> Response:
        given = request.headers.get("authorization", "").encode()
        if settings.metrics_token and not hmac.compare_digest(given, f"Bearer {settings.metrics_token}".encode()):
            return JSONResponse({"status": "unauthorised"}, status_code=401, headers={"WWW-Authenticate": "Bearer"})
        try:
            await run_in_threadpool(depth.refresh)
        except Exception as error:  # noqa: BLE001  # the other numbers are wanted most while the database is away
            log("the queues could not be read", level=logging.ERROR, why=type(error).__name__)
        return Response(generate_latest(metrics.REGISTRY), media_type=CONTENT_TYPE_LATEST)

    return Starlette(
        routes=[
            Route("/", lambda _request: RedirectResponse("/reviews")),
            Route("/webhooks/mlflow", receiver.receive, methods=["POST"]),
            Route("/health", health),
            Route("/ready", readiness),
            Route("/metrics", measured),
            *pages.routes(),
        ]
    )


def open_watched(settings: Settings) -> ProductionRegistry:
    """Connect to the registry that the configuration or the environment names."""
    section = settings.file.registry
    tracking = section.tracking_uri or os.environ.get("MLFLOW_TRACKING_URI")
    registry = section.registry_uri or os.environ.get("MLFLOW_REGISTRY_URI")
    if tracking is None and registry is None:
        raise UsageError(
            "no registry is known",
            what_to_do="Name it in the configuration, `tracking-uri` under [registry], or in MLFLOW_TRACKING_URI.",
        )
    rest = (section.timeout_seconds, section.retries, section.experiment)
    return open_production(RegistrySettings(tracking, registry, *rest))


def _write_ahead(database: str) -> None:
    """Let SQLite keep a write-ahead log: one flush of the disk per delivery instead of three."""
    if database.startswith("sqlite:///"):
        with contextlib.closing(sqlite3.connect(database.removeprefix("sqlite:///"))) as opened:
            opened.execute("PRAGMA journal_mode=WAL")


def require_rules(section: ModelSection, alerts: Alerts) -> None:
    """Refuse a policy or bank that cannot be read; a waiver that has run out alone raises an alert.

    No version is checked under such a policy, but a service that does not start guards nothing.
    """
    try:
        read_rules(section)
    except PolicyError as error:
        rules_on(None, section)  # any other fault is an error here too
        alerts.send("policy-unreadable", model=section.name, why=str(error)[:500])


def _make_folder(settings: Settings) -> None:
    try:
        settings.file.data.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        raise CannotFinishError(f"the folder {settings.file.data} cannot be made: {error.strerror}") from None


def serve(settings: Settings, key: SigningKey, model_key: ModelKey | None = None) -> None:
    """Run the service until it is stopped; `model_key` signs the files of approved bundles."""
    set_up_logs()
    Service(settings, key, model_key=model_key).run()

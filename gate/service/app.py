"""The ASGI application: webhooks, health, readiness, metrics, and the review pages."""

import hmac
import time
from collections.abc import Callable

from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from gate.service import metrics
from gate.service.pages import Pages
from gate.service.receiver import Receiver
from gate.service.settings import Settings


def build_app(settings: Settings, receiver: Receiver, pages: Pages, ready: Callable[[], str]) -> Starlette:
    """Return the application; `ready` says what is missing, or nothing."""

    async def health(_request: Request) -> Response:
        return JSONResponse({"status": "alive", "at": time.time()})

    async def readiness(_request: Request) -> Response:
        missing = ready()
        return JSONResponse({"status": missing or "ready"}, status_code=503 if missing else 200)

    async def measured(request: Request) -> Response:
        given = request.headers.get("authorization", "").encode()
        if settings.metrics_token and not hmac.compare_digest(given, f"Bearer {settings.metrics_token}".encode()):
            return JSONResponse({"status": "unauthorised"}, status_code=401)
        return Response(generate_latest(metrics.REGISTRY), media_type=CONTENT_TYPE_LATEST)

    async def start(_request: Request) -> Response:
        return RedirectResponse("/reviews")

    return Starlette(
        routes=[
            Route("/", start),
            Route("/webhooks/mlflow", receiver.receive, methods=["POST"]),
            Route("/health", health),
            Route("/ready", readiness),
            Route("/metrics", measured),
            *pages.routes(),
        ]
    )

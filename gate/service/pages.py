"""The review pages: the versions that wait, one version with its report, and the form; rendered without a script.

Every value is escaped by the renderers' rules. The report is in a sandboxed frame that can load nothing.
"""

import shlex
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import parse_qs

from jinja2 import ChoiceLoader, PackageLoader
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

from gate.promotion.reading import ago, checked_at, glance
from gate.promotion.review import DecisionChangedError
from gate.promotion.verification import now
from gate.records.errors import GateError, UnknownVersionError, UsageError
from gate.records.finding import Decision
from gate.renderers import html
from gate.renderers.templates import HTML
from gate.service.logs import log
from gate.service.receiver import TooLargeError, read_body
from gate.service.reviews import MOST_LISTED, Form, Person, Reviews, UnknownPersonError

_MAX_FORM = 16 << 10
_NEW_FORM = Form("", "", "30")
_CHANGED = "The decision has changed since you looked. Nothing was signed: look at what stands here now, then decide."
_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; img-src data:; frame-src 'self'; "
    "form-action 'self'; frame-ancestors 'self'; base-uri 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cache-Control": "no-store",
}
TEMPLATES = HTML.overlay(loader=ChoiceLoader([PackageLoader("gate.service"), PackageLoader("gate.renderers")]))


def page(name: str, status: int = 200, headers: dict[str, str] | None = None, **values: Any) -> Response:
    """Return one page."""
    text = TEMPLATES.get_template(name).render(now=now(), ago=ago, quoted=shlex.quote, **values)
    return HTMLResponse(text, status, {**_HEADERS, **(headers or {})})


class Pages:
    """Handlers of the routes below `/reviews`."""

    def __init__(self, reviews: Reviews, identity: str) -> None:
        self._reviews, self._identity = reviews, identity

    def routes(self) -> list[Route]:
        """Return the routes."""
        one = "/reviews/{name}/{version:int}"
        return [
            Route("/reviews", self._get(self._all)),
            Route(one, self._get(self._one)),
            Route(f"{one}/report", self._get(self._report)),
            Route(one, self.decide, methods=["POST"]),
        ]

    def _get(self, run: Callable[[Request, Person], Response]) -> Callable[[Request], Awaitable[Response]]:
        async def answer(request: Request) -> Response:
            return await run_in_threadpool(self._answer, request, run)

        return answer

    def _all(self, _request: Request, person: Person) -> Response:
        return page("reviews.html.j2", person=person.name, waiting=self._reviews.listed(), most=MOST_LISTED)

    def _one(
        self, request: Request, person: Person, error: str = "", form: Form = _NEW_FORM, status: int = 200
    ) -> Response:
        seen = self._reviews.look(*_named(request))
        report = self._reviews.report(seen)
        statement = seen.found.statement
        return page(
            "review.html.j2",
            status=status,
            person=person.name,
            seen=seen,
            said=statement.predicate if statement else None,
            report=report,
            glance=glance(report) if report else None,
            at=checked_at(seen),
            earlier=self._reviews.earlier(seen.ref.name),
            token=self._reviews.token(person, seen),
            reviewable=statement is not None and statement.predicate.decision is Decision.FLAGGED,
            error=error,
            form=form,
        )

    def _report(self, request: Request, _person: Person) -> Response:
        report = self._reviews.report(self._reviews.look(*_named(request)))
        if report is None:
            return page("problem.html.j2", 404, title="No report", what="There is no report of that decision.")
        sandboxed = {"Content-Security-Policy": _HEADERS["Content-Security-Policy"] + "; sandbox"}
        return HTMLResponse(html.render(report), headers={**_HEADERS, **sandboxed})

    async def decide(self, request: Request) -> Response:
        """Take a decision and show the version again."""
        try:
            raw = await read_body(request, _MAX_FORM)
            values = parse_qs(raw.decode(), max_num_fields=10, keep_blank_values=True)
        except (TooLargeError, ValueError):
            return page("problem.html.j2", 413, title="Too large", what="The form is larger than is accepted.")
        sent = {key: found[0] for key, found in values.items()}
        return await run_in_threadpool(self._answer, request, lambda r, p: self._decide(r, p, sent))

    def _decide(self, request: Request, person: Person, sent: dict[str, str]) -> Response:
        ref = self._reviews.look(*_named(request)).ref
        shown = self._reviews.shown(sent.get("token", ""), person, ref)
        if shown is None:
            what = "The form was not made for you here, or has run out. Nothing was decided."
            return page("problem.html.j2", 403, title="Not accepted", what=what)
        form = Form(sent.get("outcome", ""), sent.get("reason", ""), sent.get("days", ""))
        try:
            self._reviews.decide(person, ref, form, shown)
        except DecisionChangedError:
            return self._one(request, person, _CHANGED, status=409)
        except GateError as error:
            return self._one(request, person, f"{error} {error.what_to_do}".strip(), form, 400)
        log("reviewed", model=str(ref), reviewer=person.name, outcome=form.outcome)
        return RedirectResponse(request.url.path, status_code=303, headers=_HEADERS)

    def _answer(self, request: Request, run: Any) -> Response:
        try:
            found: Response = run(request, self._reviews.person(request))
        except UnknownPersonError:
            if self._identity == "none":
                what = "No identity is configured for reviewers; see `review` in the configuration."
                return page("problem.html.j2", 403, title="Reviews are closed", what=what)
            asks = {"WWW-Authenticate": 'Basic realm="gate", charset="UTF-8"'} if self._identity == "registry" else {}
            what = "Sign in with your account of the registry, or through the proxy."
            return page("problem.html.j2", 401, asks, title="Who are you?", what=what)
        except (UnknownVersionError, UsageError) as error:
            return page("problem.html.j2", 404, title="Not found", what=str(error))
        except GateError as error:
            return page("problem.html.j2", 503, title="The registry does not answer", what=str(error))
        return found


def _named(request: Request) -> tuple[str, str]:
    return str(request.path_params["name"]), str(request.path_params["version"])

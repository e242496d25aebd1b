"""The review pages without HTML: identity, versions that wait, signed reports, and taking a decision.

The identity is the registry's authentication or a header of a reverse proxy whose address is configured; a form is
accepted only with a token that this process made for that identity, which a page elsewhere cannot have.
"""

import base64
import binascii
import datetime as dt
import hashlib
import hmac
import secrets
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from starlette.requests import Request

from gate.attestations.keys import PublicKey
from gate.attestations.log import Entry, ReviewLog
from gate.check.signing import Signing
from gate.promotion.reading import Glance, checked_at, glance, report_of
from gate.promotion.review import Review, review
from gate.promotion.verification import now
from gate.promotion.waiting import Waiting, look, waiting
from gate.records.artifact import ModelRef
from gate.records.errors import GateError, UsageError
from gate.records.report import Report
from gate.registries.contract import Credentials, ProductionRegistry
from gate.service.jobs import read_rules
from gate.service.logs import log
from gate.service.settings import Settings

_TOKEN_SECONDS = 3600
MOST_LISTED = 200
"""Most versions on the page of those that wait."""
_FETCHED_AT_ONCE = 20
"""Most reports that one request of that page fetches."""
_GLANCES = 1000
"""Most glances at reports in memory, some kilobytes each."""


@dataclass(frozen=True)
class Person:
    """A reviewer whom the configured authority has identified."""

    name: str
    credentials: Credentials | None = field(default=None, repr=False)


class UnknownPersonError(Exception):
    """The configured authority identifies nobody (401)."""


@dataclass(frozen=True)
class Form:
    """The fields of a reviewer's form."""

    outcome: str
    reason: str
    days: str


@dataclass(frozen=True)
class Listed:
    """A version in the list of those that wait."""

    seen: Waiting
    at: dt.datetime | None
    """Time of its check by the signed decision, or else by the version's tag."""
    glance: Glance | None
    """Its report at a glance; None where a signed decision has none, or it is not fetched yet."""


def _newest_first(seen: Waiting) -> float:
    """Return the sort key; a version of unknown time comes last."""
    at = checked_at(seen)
    return -at.timestamp() if at else 0.0


def _glanced(seen: Waiting) -> tuple[str, ...]:
    """Return the key of a glance: what was signed, and where the report is said to lie; empty where nothing is signed.

    A report that is not there, or is another decision's, is looked for again where the tag names another place.
    """
    if seen.found.statement is None:
        return ()
    said = seen.found.statement.predicate
    return said.evidence_digest, said.policy_digest, said.decision.value, seen.tags.get("gate.report", "")


class Reviews:
    """The work of the pages; every method may wait for the registry, so none runs on the event loop."""

    def __init__(
        self, settings: Settings, registry: ProductionRegistry, signing: Signing, keys: Sequence[PublicKey]
    ) -> None:
        self._settings, self._registry, self._signing, self._keys = settings, registry, signing, keys
        self._secret = secrets.token_bytes(32)
        self._glances: dict[tuple[str, ...], Glance | None] = {}

    def person(self, request: Request) -> Person:
        """Return the person of a request; raise `UnknownPersonError` for anybody whom the authority does not name."""
        section = self._settings.file.review
        if section.identity == "header":
            address = request.client.host if request.client else ""
            names = request.headers.getlist(section.header)
            # Twice the same header is a client's beside the proxy's, and neither can be chosen.
            if not section.trusts(address) or len(names) != 1 or not 0 < len(names[0]) <= 200:
                raise UnknownPersonError
            return Person(names[0])
        if section.identity == "registry":
            return self._by_registry(request.headers.get("authorization", ""))
        raise UnknownPersonError

    def _by_registry(self, header: str) -> Person:
        scheme, _, encoded = header.partition(" ")
        try:
            username, colon, password = base64.b64decode(encoded, validate=True).decode().partition(":")
        except (binascii.Error, ValueError):
            raise UnknownPersonError from None
        if scheme.lower() != "basic" or not colon or not username:
            raise UnknownPersonError
        given = Credentials(username, password)
        try:
            user = self._registry.user(given)
        except UsageError:
            raise UnknownPersonError from None
        if user is None or user.name != username:
            raise UnknownPersonError
        return Person(user.name, given)

    def token(self, person: Person, seen: Waiting) -> str:
        """Return a token for a form about a version and the decision that stands on it, for an hour."""
        until = str(int(time.time()) + _TOKEN_SECONDS)
        return f"{until}.{seen.digest}.{self._seal(person, seen.ref, until, seen.digest)}"

    def shown(self, token: str, person: Person, ref: ModelRef) -> str | None:
        """Return the digest of the decision that a form was about.

        None where the token was not made for this person and version, or has run out.
        """
        until, _, rest = token.partition(".")
        digest, _, seal = rest.partition(".")
        good = hmac.compare_digest(seal.encode(), self._seal(person, ref, until, digest).encode())
        return digest if good and until.isdigit() and int(until) >= time.time() else None

    def _seal(self, person: Person, ref: ModelRef, until: str, digest: str) -> str:
        sealed = "\n".join((person.name, str(ref), until, digest)).encode()
        return hmac.new(self._secret, sealed, hashlib.sha256).hexdigest()

    def waiting(self) -> list[Waiting]:
        """Return the flagged versions of every configured model."""
        return [one for model in self._settings.file.models for one in waiting(self._registry, model.name, self._keys)]

    def look(self, name: str, version: str) -> Waiting:
        """Return one version of a configured model."""
        self._settings.section(name)
        return look(self._registry, f"models:/{name}/{version}", self._keys)

    def report(self, seen: Waiting) -> Report | None:
        """Return a signed decision's report from the registry; None where it has none, or another one's is there."""
        try:
            stores = read_rules(self._settings.section(seen.ref.name)).policy.artifact_stores
        except GateError:
            return None
        return report_of(self._registry, seen, seen.found.statement, stores)

    def listed(self) -> list[Listed]:
        """Return the versions that wait, newest first, with their reports at a glance.

        At most `_FETCHED_AT_ONCE` reports are fetched, each once by what was signed; the next request fetches more.
        """
        found: list[Listed] = []
        fetched = 0
        for seen in sorted(self.waiting(), key=_newest_first)[:MOST_LISTED]:
            key = _glanced(seen)
            if key and key not in self._glances and fetched < _FETCHED_AT_ONCE:
                fetched += 1
                report = self.report(seen)
                if len(self._glances) >= _GLANCES:
                    del self._glances[next(iter(self._glances))]
                self._glances[key] = glance(report) if report else None
            found.append(Listed(seen, checked_at(seen), self._glances.get(key)))
        return found

    def earlier(self, name: str) -> list[Entry]:
        """Return the newest decisions about versions of a model, the newest first."""
        if not self._settings.audit_log.exists():
            return []
        entries = ReviewLog(self._settings.audit_log).read().entries
        return [entry for entry in reversed(entries) if entry.model.name == name][:20]

    def decide(self, person: Person, ref: ModelRef, form: Form, shown: str) -> None:
        """Take a reviewer's decision as `gate review` does, about the decision of the digest that was shown."""
        if form.outcome not in {"approved", "rejected"}:
            raise UsageError("a review approves or rejects")
        if not form.days.isascii() or not form.days.isdigit() or len(form.days) > 4:
            raise UsageError("the number of days is no number")
        policy = read_rules(self._settings.section(ref.name)).policy
        stated = person.name if self._settings.file.review.identity == "header" else None
        asked = Review(
            uri=str(ref),
            outcome="approved" if form.outcome == "approved" else "rejected",
            reason=form.reason.strip()[:2000],
            days=int(form.days),
            policy=policy,
            keys=self._keys,
            stated=stated,
            credentials=person.credentials,
            shown=shown,
        )
        done = review(self._registry, asked, self._signing, now())
        if done.problem:
            log("review files not kept", model=str(ref), error=done.problem[:500])

"""A form is about the decision that was shown: where another stands by now, nothing is signed."""

import asyncio
import datetime as dt
import re
from urllib.parse import urlencode

import pytest
from starlette.applications import Starlette

from gate.attestations.envelope import sign
from gate.attestations.keys import generate_key
from gate.attestations.log import ReviewLog, Said
from gate.check.signing import Signing
from gate.promotion.verification import now
from gate.records.artifact import build_manifest
from gate.records.finding import Decision
from gate.service.jobs import read_rules
from gate.service.pages import Pages
from gate.service.reviews import Reviews
from gate.service.settings import ServiceFile, Settings
from tests.attestations.signed import statement
from tests.promotion.promoting import PromotingRegistry
from tests.service.serving import POLICY

REVIEWERS = "reviewers: {names: [ann, bob], approvals: 1, identity: stated}\n"


class Desk:
    """The pages over a registry in a folder, and a reviewer's browser behind the proxy."""

    def __init__(self, folder):
        self.key = generate_key(folder / "k.pem", folder / "k.pub.pem")
        (folder / "policy.yml").write_text(POLICY + REVIEWERS)
        file = {
            "data": folder,
            "review": {"identity": "header", "header": "X-User", "proxies": ["10.0.0.1"]},
            "models": [{"name": "cand", "policy": folder / "policy.yml", "production": "prod"}],
        }
        self.settings = Settings(ServiceFile.model_validate(file), ("s",), "sqlite:///unused")
        self.registry, self.log = PromotingRegistry(folder / "registry"), ReviewLog(self.settings.audit_log)
        reviews = Reviews(self.settings, self.registry, Signing(self.key, self.log), (self.key.public,))
        self.app = Starlette(routes=Pages(reviews, "header").routes())
        self.ref = self.registry.add("cand", 1, "harmless weights")

    def checked(self, data="harmless weights"):
        """Put these bytes under the version, and the signed and logged decision of a check of them."""
        (self.registry.root / "cand" / "1" / "model" / "data" / "weights.bin").write_text(data)
        digest = build_manifest(self.registry.root / "cand" / "1" / "model")[0].digest
        said = statement(
            decision=Decision.FLAGGED,
            covers="candidate",
            model=self.ref,
            model_digest=digest,
            policy_digest=read_rules(self.settings.file.models[0]).policy.digest,
            decided_at=now(),
            expires_at=now() + dt.timedelta(days=1),
        )
        envelope = sign(said, self.key)
        self.log.append(Said("scan", self.ref, digest, "flagged", envelope), now())
        self.registry.mark(self.ref, {"gate.attestation": envelope, "gate.decision": "flagged"})

    def http(self, method, body=b"", who="ann"):
        """Return status and text of the version's page."""
        got = []

        async def receive():
            return {"type": "http.request", "body": body, "more_body": False}

        async def send(message):
            got.append(message)

        scope = {
            "type": "http",
            "method": method,
            "path": "/reviews/cand/1",
            "query_string": b"",
            "headers": [(b"x-user", who.encode())],
            "client": ("10.0.0.1", 1),
        }
        asyncio.run(self.app(scope, receive, send))
        return got[0]["status"], b"".join(part.get("body", b"") for part in got[1:]).decode()

    def form(self, who="ann"):
        """Look at the page and return its token."""
        return re.search(r'name="token" value="([^"]+)"', self.http("GET", who=who)[1])[1]

    def send(self, token, outcome="approved", who="ann"):
        """Send a form."""
        fields = {"token": token, "outcome": outcome, "reason": "the logo is ours", "days": "1"}
        return self.http("POST", urlencode(fields).encode(), who)

    def events(self):
        """Return the log's lines in short."""
        return [(entry.event, entry.who, entry.outcome) for entry in self.log.read().entries]


@pytest.fixture
def desk(tmp_path):
    """Return a desk with one flagged version."""
    made = Desk(tmp_path)
    made.checked()
    return made


def test_the_decision_that_was_shown_is_the_one_that_is_signed(desk):
    """Nothing came between."""
    assert desk.send(desk.form())[0] == 303
    assert desk.events()[-1] == ("review", "ann", "approved")


@pytest.mark.parametrize("outcome", ["approved", "rejected"])
def test_other_bytes_that_were_checked_meanwhile_are_not_decided_about(desk, outcome):
    """409, nothing is signed, and the page shows what stands now, whose form then counts."""
    token = desk.form()
    desk.checked("other weights")
    before = desk.registry.facts(desk.ref).tags
    status, text = desk.send(token, outcome)
    assert (status, "The decision has changed since you looked" in text) == (409, True)
    assert "the logo is ours" not in text
    assert [event for event, *_ in desk.events()] == ["scan", "scan"]
    assert desk.registry.facts(desk.ref).tags == before
    assert desk.send(re.search(r'name="token" value="([^"]+)"', text)[1], outcome)[0] == 303


def test_the_same_bytes_checked_anew_are_another_decision(desk):
    """Its report may say something else."""
    token = desk.form()
    desk.checked()
    assert desk.send(token)[0] == 409


def test_a_review_since_the_look_counts(desk):
    """Whoever approves has seen the other's rejection."""
    token = desk.form()
    assert desk.send(desk.form("bob"), "rejected", "bob")[0] == 303
    assert desk.send(token)[0] == 409
    assert desk.events()[-1] == ("review", "bob", "rejected")


def test_a_decision_that_changes_while_the_form_is_worked_on_is_found_under_the_lock(desk):
    """The bytes are being hashed when another reviewer speaks."""
    token, other = desk.form(), desk.form("bob")
    desk.registry.meanwhile["pull"] = lambda: desk.send(other, "rejected", "bob")
    status, text = desk.send(token)
    assert (status, "The decision has changed since you looked" in text) == (409, True)
    assert desk.events()[-1] == ("review", "bob", "rejected")

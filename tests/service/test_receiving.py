"""What the receiver believes, refuses and queues, over ASGI without a network."""

import asyncio
import json
import time

import pytest

from gate.attestations.envelope import sign
from gate.attestations.keys import generate_key
from gate.records.errors import CannotFinishError, RefusedAddressError, RegistryError, UsageError
from gate.registries.contract import VersionFacts
from gate.service.depth import Depth
from gate.service.jobs import Checks, Job
from gate.service.pages import Pages
from gate.service.receiver import Receiver
from gate.service.run import build_app
from gate.service.settings import ServiceFile, Settings
from gate.service.signature import sign_delivery
from tests.attestations.signed import digest, statement
from tests.registries.listener import listening
from tests.service.serving import POLICY, created
from tests.service.standing_registry import FolderRegistry
from tests.stand_ins.one_version import OneVersion

RECORDED = (
    b'{"entity": "model_version", "action": "created", "timestamp": "2026-11-22T10:27:31.465773+00:00", "data": '
    b'{"name": "prod", "version": "1", "source": "models:/cand/1", "run_id": "740807718b9d4801aa8c33a7e9a81921", '
    b'"tags": {"a": "b", "gate.status": "pending"}, "description": null}}'
)


class Queue:
    """Stands in for the engine: ids that were queued, once each."""

    def __init__(self):
        self.queued, self.broken = {}, False

    def arrived(self, workflow_id, name, version, number=0):
        """Queue a version."""
        if self.broken:
            raise OSError("no room")
        return self.queued.setdefault(workflow_id, (name, version)) == (name, version) and not self._seen(workflow_id)

    def alias_moved(self, workflow_id, name):
        """Queue a look."""
        return self.queued.setdefault(workflow_id, name) == name

    def _seen(self, workflow_id):
        before = getattr(self, "before", set())
        self.before = before | {workflow_id}
        return workflow_id in before


@pytest.fixture
def settings(tmp_path):
    """Return settings for one candidate model."""
    file = ServiceFile.model_validate(
        {"data": tmp_path, "models": [{"name": "cand", "policy": tmp_path / "p.yml", "production": "prod"}]}
    )
    return Settings(file, ("new-secret", "old-secret"), "sqlite:///unused")


@pytest.fixture
def queue():
    """Return what stands in for the engine."""
    return Queue()


@pytest.fixture
def call(settings, queue):
    """Return a function that sends one request and returns status and body."""
    app = build_app(settings, Receiver(settings, queue), Pages(None, "none"), lambda: "", Depth((), lambda most: []))

    def call(method, path, body=b"", headers=()):
        sent = []
        scope = {
            "type": "http",
            "method": method,
            "path": path,
            "raw_path": path.encode(),
            "query_string": b"",
            "headers": [(k.lower().encode(), v.encode()) for k, v in dict(headers).items()],
            "client": ("127.0.0.1", 1),
            "server": ("127.0.0.1", 2),
            "scheme": "http",
            "http_version": "1.1",
        }

        async def receive():
            return {"type": "http.request", "body": body, "more_body": False}

        async def send(message):
            sent.append(message)

        asyncio.run(app(scope, receive, send))
        return sent[0]["status"], b"".join(one.get("body", b"") for one in sent[1:])

    return call


def signed(body, *, secret="new-secret", delivery="d-1", at=None):
    """Return the headers with which MLflow sends a body."""
    stamp = str(int(at if at is not None else time.time()))
    return {
        "X-MLflow-Delivery-Id": delivery,
        "X-MLflow-Timestamp": stamp,
        "X-MLflow-Signature": sign_delivery(secret, delivery, stamp, body),
    }


def outcome(call, body, headers):
    """Send a webhook and return status and the receiver's word."""
    status, answer = call("POST", "/webhooks/mlflow", body, headers)
    return status, json.loads(answer)["outcome"]


BODY = json.dumps(created(7)).encode()


def test_a_signed_delivery_is_queued_once_whatever_its_retries(call, queue):
    """A second delivery of the same id is acknowledged and queues nothing."""
    assert outcome(call, BODY, signed(BODY)) == (200, "queued")
    assert outcome(call, BODY, signed(BODY)) == (200, "duplicate")
    assert queue.queued == {"hook/d-1": ("cand", "7")}


def test_no_address_in_a_delivery_is_used(call, queue):
    """Source, run, links and tags of a delivery are passed over: the registry is asked by name and version alone."""
    event = created(7)
    with listening() as heard:
        elsewhere = f"{heard.uri}/model"
        event |= {"url": elsewhere, "registry_uri": heard.uri, "tracking_uri": heard.uri}
        event["data"] |= {"source": elsewhere, "run_link": elsewhere, "storage_location": elsewhere, "uri": elsewhere}
        event["data"] |= {"tags": {"gate.samples": elsewhere, "gate.report": elsewhere}, "run_id": elsewhere}
        body = json.dumps(event).encode()
        assert outcome(call, body, signed(body)) == (200, "queued")
        for name in (elsewhere, "models:/cand/7", "cand/../x", "cand@champion", "//127.0.0.1/x"):
            event["data"]["name"] = name
            body = json.dumps(event).encode()
            assert outcome(call, body, signed(body, delivery="d-2")) == (200, "ignored")
        assert heard.requests == []
    assert queue.queued == {"hook/d-1": ("cand", "7")}


@pytest.mark.parametrize(
    ("error", "decision"),
    [
        (RefusedAddressError("lies elsewhere"), "flagged"),
        (CannotFinishError("has more files than the policy allows"), "flagged"),
        (OSError("a name that no disk takes"), "flagged"),
        (RegistryError("no answer"), None),
        (UsageError("a policy that cannot be read"), None),
    ],
    ids=["elsewhere", "too large", "cannot be hashed", "the registry is silent", "the configuration is wrong"],
)
def test_a_version_that_cannot_be_fetched_is_flagged_before_it_is_queued(settings, tmp_path, error, decision):
    """A delivery leads to a version whose files the gate does not fetch: it is marked, by name and version alone."""
    marked = {}

    class Elsewhere:
        """A registry from which a version cannot be fetched."""

        def allowing(self, stores):
            assert stores == ("s3://models",)
            return self

        def pull(self, ref, to):
            raise error

        def facts(self, ref):
            return VersionFacts()

        def mark(self, ref, tags):
            marked[str(ref)] = dict(tags)

    (tmp_path / "p.yml").write_text(f"{POLICY}artifact-stores: [s3://models]\n")
    checks = Checks(settings, Elsewhere(), None)
    with pytest.raises(type(error)):
        checks.identify("cand", "7")
    assert marked.get("models:/cand/7", {}).get("gate.decision") == decision


def test_a_version_is_identified_within_the_policys_bounds(settings, tmp_path):
    """One of two files under a policy that allows one is flagged with the bound; under one that allows two, queued."""
    registry = FolderRegistry(tmp_path / "registry")
    registry.require_marking = lambda _ref: None
    ref = registry.add("cand", 1, "weights")
    checks = Checks(settings, registry, None)
    (tmp_path / "p.yml").write_text(f"{POLICY}download: {{max-files: 1}}\n")
    with pytest.raises(CannotFinishError, match="more than the 1 files that the policy allows"):
        checks.identify("cand", "1")
    assert registry.facts(ref).tags["gate.decision"] == "flagged"
    (tmp_path / "p.yml").write_text(f"{POLICY}download: {{max-files: 2}}\n")
    assert checks.identify("cand", "1").ref == ref


@pytest.mark.parametrize("signs", [True, False])
def test_what_is_given_up_keeps_its_signed_decision(settings, tmp_path, signs, caplog):
    """A version that could not be examined is flagged, unless a decision about its bytes was signed; it is logged."""
    (tmp_path / "p.yml").write_text(POLICY)
    registry, job = OneVersion(), Job(name="cand", version="7", digest=digest("a"), policy_digest=digest("b"))
    key = generate_key(tmp_path / "key.pem", tmp_path / "key.pub.pem")
    before = {"gate.attestation": sign(statement(), key), "gate.decision": "approved"} if signs else {}
    registry.tags = dict(before)
    with caplog.at_level("INFO", logger="gate.service"):
        Checks(settings, registry, None).give_up(job)
    assert registry.tags == (before or {"gate.attestation": "unsigned", "gate.decision": "flagged"})
    said = "models:/cand/7 keeps its signed decision" if signs else "marked models:/cand/7 flagged"
    assert said in caplog.text
    other = job.model_copy(update={"digest": digest("e")})
    Checks(settings, registry, None).give_up(other)
    assert registry.tags["gate.decision"] == "flagged"


def test_either_secret_is_believed_while_they_are_being_changed(call):
    """Rotation: the older secret holds until it is taken out."""
    assert outcome(call, BODY, signed(BODY, secret="old-secret"))[0] == 200


@pytest.mark.parametrize(
    ("headers", "word"),
    [
        ({}, "unsigned"),
        ({**signed(BODY), "X-MLflow-Signature": ""}, "unsigned"),
        (signed(BODY, secret="guessed"), "forged"),
        (signed(BODY + b" "), "forged"),
        ({**signed(BODY), "X-MLflow-Delivery-Id": "another"}, "forged"),
        ({**signed(BODY), "X-MLflow-Timestamp": "1795343251"}, "forged"),
        (signed(BODY, at=1000), "stale"),
        (signed(BODY, at=time.time() + 7200), "stale"),
        (signed(BODY, delivery="../etc"), "malformed"),
    ],
)
def test_what_is_unsigned_forged_or_stale_is_refused(call, queue, headers, word):
    """Nothing of it reaches the queue."""
    assert outcome(call, BODY, headers) == (401, word)
    assert queue.queued == {}


@pytest.mark.parametrize(
    "body",
    [
        {"entity": "prompt", "action": "created", "data": {"name": "cand", "version": "1"}},
        {"entity": ["model_version"], "action": {}, "data": {}},
        created(1, name="example_model"),
        created("latest"),
        {"entity": "registered_model", "action": "created", "data": {"name": "cand"}},
        {},
    ],
)
def test_unknown_events_models_and_the_test_delivery_are_acknowledged_and_ignored(call, queue, body):
    """MLflow would try anything else than 200 again, or call its own test a failure."""
    raw = json.dumps(body).encode()
    assert outcome(call, raw, signed(raw)) == (200, "ignored")
    assert queue.queued == {}


def test_unknown_fields_are_tolerated(call, queue):
    """Workspaces add a field, and a later MLflow will add others."""
    raw = json.dumps({**created(3), "workspace": "w", "more": [1]}).encode()
    assert outcome(call, raw, signed(raw)) == (200, "queued")


def test_a_recorded_delivery_of_a_copied_version_is_read(call):
    """The bytes as MLflow 3.17.2 sent them, about a model whose versions are no candidates."""
    assert outcome(call, RECORDED, signed(RECORDED)) == (200, "ignored")


def test_a_moved_alias_of_production_is_looked_at(call, queue):
    """The payload does not say what the alias named before; the look finds out."""
    data = {"name": "prod", "alias": "champion", "version": "1"}
    raw = json.dumps({"entity": "model_version_alias", "action": "created", "data": data}).encode()
    assert outcome(call, raw, signed(raw)) == (200, "queued")
    assert queue.queued == {"hook/d-1": "prod"}


def test_a_body_that_is_too_large_is_refused_before_it_is_read(call):
    """By its announced length and by what really comes."""
    large = b" " * (300 << 10)
    assert outcome(call, large, {"Content-Length": str(len(large))}) == (413, "too-large")
    assert outcome(call, large, signed(BODY)) == (413, "too-large")


def test_a_signed_body_that_is_no_json_is_refused(call):
    """The sender is known, and what it says cannot be read."""
    assert outcome(call, b"{", signed(b"{")) == (400, "malformed")


def test_what_cannot_be_queued_is_answered_so_that_it_comes_again(call, queue):
    """MLflow tries a 503 three more times under the same id."""
    queue.broken = True
    assert outcome(call, BODY, signed(BODY)) == (503, "unqueued")


def test_health_readiness_and_metrics_answer(call):
    """A scheduler's probes, and Prometheus's text with what was counted."""
    call("POST", "/webhooks/mlflow", BODY, {})
    assert call("GET", "/health")[0] == call("GET", "/ready")[0] == 200
    status, text = call("GET", "/metrics")
    assert status == 200
    assert b'gate_webhook_deliveries_total{outcome="unsigned"}' in text

"""The schedule inside the service: it fires, what is in production is scanned again, and somebody hears of it."""

import datetime as dt
import json
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from gate.attestations.envelope import sign
from gate.attestations.keys import read_signing_key
from gate.promotion.verification import now
from gate.records.artifact import build_manifest
from gate.records.errors import UsageError
from gate.service.engine import Engine
from tests.attestations.signed import statement
from tests.service.serving import Gate
from tests.service.standing_registry import FolderRegistry


@pytest.fixture
def heard():
    """Return what is posted to an address, and the address."""
    found = []

    class Listener(BaseHTTPRequestHandler):
        def do_POST(self):
            found.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_):
            """Say nothing."""

    server = HTTPServer(("127.0.0.1", 0), Listener)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield found, f"http://127.0.0.1:{server.server_port}/alerts"
    server.shutdown()
    thread.join()
    server.server_close()


def test_the_schedule_fires_and_alerts_when_a_once_approved_model_would_be_flagged_today(tmp_path, heard):
    """Cron line, new scan of production, metric, tag, log line and a post; the alias stays where it is."""
    found, address = heard
    registry = FolderRegistry(tmp_path / "registry")
    origin, held = registry.add("cand", 1, "model"), registry.add("prod", 1, "model")
    watch = f'rescan = "*/2 * * * * *"\nalert-url = "{address}"'
    gate = Gate(tmp_path / "gate", str(registry.root), poll=60, watch=watch, variables={"GATE_TEST_NO_WORKER": "0"})
    gate.prepare()
    key = read_signing_key(str(gate.folder / "gate.pem"))
    earlier = statement(
        model=origin,
        model_digest=build_manifest(registry.root / "prod" / "1" / "model")[0].digest,
        decided_at=now() - dt.timedelta(days=2),
        expires_at=now() + dt.timedelta(days=2),
    )
    registry.mark(held, {"gate.attestation": sign(earlier, key), "gate.decision": "approved"})
    registry.set_alias(held, "champion")
    gate.start()
    try:
        gate.wait_for(lambda: any(one["alert"] == "would-be-flagged" for one in found))
        assert [one for one in found if one["alert"] == "would-be-flagged"] == [
            {"alert": "would-be-flagged", "model": "models:/prod/1", "cause": "unknown"}
        ]
        gate.wait_for(lambda: gate.said().count('"scanned again"') > 1)  # the second finds nothing due
        assert 'gate_alerts_total{kind="would-be-flagged"} 1.0' in gate.get("/metrics")[1]
        assert registry.facts(held).tags["gate.rescan"].startswith("flagged ")
        assert registry.alias("prod", "champion") == held
    finally:
        gate.kill()


def test_a_schedule_that_is_no_cron_line_stops_the_service_at_its_start(tmp_path, monkeypatch):
    """With a message, and before the first webhook."""
    from dbos import DBOS, error

    def refuse(schedules):
        raise error.DBOSException(f"no cron line: {schedules[0]['schedule']}")

    monkeypatch.setattr(DBOS, "apply_schedules", staticmethod(refuse))
    engine = object.__new__(Engine)
    engine._rescan = lambda *_: ""
    with pytest.raises(UsageError, match="'often' cannot be used"):
        engine._schedule("often")

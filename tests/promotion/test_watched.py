"""The registry as the service watches it, on a real server: stages are seen, and a version is taken out of one."""

import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from gate.records.artifact import ModelRef
from gate.records.errors import RegistryError
from gate.registries import RegistrySettings
from gate.registries.contract import WEBHOOK_EVENTS
from gate.registries.mlflow_production import MlflowProduction


def test_a_version_in_a_protected_stage_is_seen_and_archived(server):
    """Stage transitions fire no webhook: the poll looks for them, in the stages that it is told and no others."""
    name = server.candidate("first weights", "second weights")
    with server.account("trainer") as client:
        client.transition_model_version_stage(name, "2", "Production")
        client.transition_model_version_stage(name, "1", "Staging")
    moved = ModelRef(registry="mlflow", name=name, version="2")
    with server.account("gate"):
        watched = MlflowProduction(RegistrySettings(server.uri, server.uri, timeout_seconds=20, retries=0))
        assert watched.staged(name, ("Production",)) == [(moved, "Production")]
        watched.archive(moved)
        assert watched.staged(name, ("Production",)) == []
        assert watched.staged(name, ("Archived",)) == [(moved, "Archived")]


def test_a_production_model_that_is_yet_to_be_made_is_nothing_to_guard(server, key, tmp_path):
    """MLflow refuses a look at the aliases of a model that does not exist; the poll must not fail for that."""
    from gate.service.alerts import Alerts
    from gate.service.guard import Guard
    from gate.service.settings import ServiceFile, Settings

    section = {"name": "cand", "policy": tmp_path / "policy.yml", "production": "not-made-yet"}
    settings = Settings(ServiceFile.model_validate({"data": tmp_path, "models": [section]}), ("s",), "sqlite:///unused")
    with server.account("gate"):
        watched = MlflowProduction(RegistrySettings(server.uri, server.uri, timeout_seconds=20, retries=0))
        assert Guard(settings, watched, (key.public,), Alerts("")).look("not-made-yet") == "0"


@contextmanager
def receiving(status):
    """Yield the address of a receiver that answers with a status, and the headers of what it was sent."""
    seen = []

    class Answers(BaseHTTPRequestHandler):
        def do_POST(self):
            self.rfile.read(int(self.headers["Content-Length"]))
            seen.append(self.headers)
            self.send_response(status)
            self.end_headers()
            self.wfile.write(b"{}")

        def log_message(self, *_arguments):
            """Say nothing."""

    server = HTTPServer(("127.0.0.1", 0), Answers)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/webhooks/mlflow", seen
    finally:
        server.shutdown()
        server.server_close()


def test_the_webhook_is_made_once_and_tried(server):
    """For both events, with the secret; a second time sets the same one right; a refusal is told."""
    with server.account("admin") as client:
        watched = MlflowProduction(RegistrySettings(server.uri, server.uri, timeout_seconds=20, retries=0))
        with receiving(200) as (address, seen):
            first = watched.register_webhook(address, "a-secret")
            again = watched.register_webhook(address, "another-secret")
        assert (first.new, first.delivered, again.new, again.delivered) == (True, True, False, True)
        assert first.id == again.id
        assert [headers["X-MLflow-Signature"][:3] for headers in seen] == ["v1,", "v1,"]
        (made,) = [one for one in client.list_webhooks() if one.webhook_id == first.id]
        assert sorted(map(str, made.events)) == sorted(WEBHOOK_EVENTS)
        with receiving(401) as (address, _):
            refused = watched.register_webhook(address, "a-secret")
        assert (refused.new, refused.delivered, "401" in refused.answer) == (True, False, True)


def test_who_is_no_administrator_makes_no_webhook(server):
    """MLflow lets administrators alone; the error is the registry's."""
    with server.account("gate"), receiving(200) as (address, _):
        watched = MlflowProduction(RegistrySettings(server.uri, server.uri, timeout_seconds=20, retries=0))
        with pytest.raises(RegistryError):
            watched.register_webhook(address, "a-secret")

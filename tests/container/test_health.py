"""The image's health check: a file of the image, and no module of any package."""

import importlib.util
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

_SPEC = importlib.util.spec_from_file_location("health", Path(__file__).parents[2] / "docker" / "health.py")
health = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(health)


class _Answers(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200 if self.path == "/health" else 503)
        self.end_headers()

    def log_message(self, *_arguments):
        """Say nothing."""


@pytest.fixture
def address():
    """Yield the address of a server on loopback that answers /health."""
    server = HTTPServer(("127.0.0.1", 0), _Answers)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def first_process(tmp_path, monkeypatch):
    """Return a function that sets the container's first process."""

    def set_to(*words):
        path = tmp_path / "cmdline"
        path.write_bytes(b"".join(word.encode() + b"\0" for word in words))
        monkeypatch.setattr(health, "FIRST_PROCESS", path)

    return set_to


def test_a_command_that_does_not_serve_is_healthy(first_process, monkeypatch):
    """A scan listens nowhere and is not asked."""
    monkeypatch.setenv("GATE_HEALTH_URL", "http://127.0.0.1:1/health")
    first_process("/opt/gate/bin/python3", "/opt/gate/bin/gate", "scan", "/work/out")
    assert health.main() == 0


@pytest.mark.parametrize(("path", "code"), [("/health", 0), ("/other", 1)])
def test_a_service_is_as_healthy_as_it_answers(first_process, monkeypatch, address, path, code):
    """200 is healthy, whatever a proxy of the environment would say; anything else is not."""
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    monkeypatch.setenv("GATE_HEALTH_URL", address + path)
    first_process("/sbin/docker-init", "--", "gate", "serve")
    assert health.main() == code


@pytest.mark.parametrize("address", ["http://127.0.0.1:1/health", "no address"])
def test_a_service_that_does_not_answer_is_unhealthy(first_process, monkeypatch, address):
    """A closed port or a wrong address is no crash of the check."""
    monkeypatch.setenv("GATE_HEALTH_URL", address)
    first_process("gate", "serve")
    assert health.main() == 1

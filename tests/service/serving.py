"""A `gate serve` process beside a registry in a folder, webhooks as MLflow sends them, and what came of them."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
import uuid
from contextlib import suppress
from dataclasses import dataclass, field

from gate.attestations.auditing import audit
from gate.attestations.keys import generate_key
from gate.attestations.log import ReviewLog
from gate.service.signature import sign_delivery
from tests.e2e.command import ROOT

SECRET = "a-webhook-secret"
PATIENCE = 120

POLICY = """\
version: 1
name: bytes
isolation: none
detectors:
  unsafe-pickle:
    limits:
      unsafe-globals: {max: 0, source: "one importable call is enough to run code"}
      unreadable-streams: {max: 0, source: "what cannot be read cannot be approved"}
"""
CONFIG = """\
data = "data"
listen = "127.0.0.1:{port}"
{top}
[registry]
tracking-uri = "unused"
timeout-seconds = 5
retries = 0
[work]
concurrency = 2
longest-pause-seconds = 2
[watch]
poll-seconds = {poll}
{watch}
[[models]]
name = "cand"
policy = "policy.yml"
production = "prod"
{tail}
"""


def free_port():
    """Return a port that nobody listens on now."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


@dataclass
class Gate:
    """A service's folder, its process, and a sender of webhooks."""

    folder: object
    registry: str
    port: int = field(default_factory=free_port)
    poll: float = 5.0
    top: str = ""
    watch: str = ""
    tail: str = ""
    variables: dict = field(default_factory=dict)
    process: object = None
    key: object = None

    def prepare(self):
        """Write configuration, policy and key."""
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / "policy.yml").write_text(POLICY)
        settings = {"port": self.port, "poll": self.poll}
        text = CONFIG.format(top=self.top, watch=self.watch, tail=self.tail, **settings)
        (self.folder / "gate.toml").write_text(text)
        if self.key is None:
            self.key = generate_key(self.folder / "gate.pem", self.folder / "gate.pub.pem")
        return self

    def command(self):
        """Return the module that serves, and its arguments."""
        return ("tests.service.standing_registry", self.registry, str(self.folder / "gate.toml"))

    def start(self):
        """Start the process and wait until it answers."""
        self.launch()
        self.wait_for(lambda: self.get("/health")[0] == 200)
        return self

    def launch(self):
        """Start the process."""
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(self.folder),
            "LANG": "C.UTF-8",
            "PYTHONPATH": str(ROOT),
            "OMP_NUM_THREADS": "1",
            "GATE_WEBHOOK_SECRET": SECRET,
            "GATE_SIGNING_KEY": str(self.folder / "gate.pem"),
            **self.variables,
        }
        with (self.folder / "serve.log").open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-W", "ignore", "-m", *self.command()],
                cwd=self.folder,
                env=environment,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def kill(self, number=signal.SIGKILL):
        """End the process and whatever it started."""
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, number) if number == signal.SIGKILL else self.process.send_signal(number)
        return self.process.wait(timeout=60)

    def said(self):
        """Return what the process wrote."""
        return (self.folder / "serve.log").read_text(errors="replace")

    def wait_for(self, done, seconds=PATIENCE):
        """Wait until something holds, or fail with the log's end."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            with suppress(OSError):
                if done():
                    return
            assert self.process.poll() is None, self.said()[-3000:]
            time.sleep(0.1)
        raise AssertionError(f"it never came: {self.said()[-3000:]}")

    def get(self, path, headers=None):
        """Return status and text of a page."""
        return self._send(urllib.request.Request(f"http://127.0.0.1:{self.port}{path}", headers=headers or {}))

    def send(self, body, *, secret=SECRET, delivery=None, at=None, headers=None):
        """Send one webhook; return status and answer."""
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        delivery, stamp = delivery or str(uuid.uuid4()), str(int(at or time.time()))
        signed = {
            "Content-Type": "application/json",
            "X-MLflow-Delivery-Id": delivery,
            "X-MLflow-Timestamp": stamp,
            "X-MLflow-Signature": sign_delivery(secret, delivery, stamp, raw),
        }
        url = f"http://127.0.0.1:{self.port}/webhooks/mlflow"
        wanted = {k: v for k, v in {**signed, **(headers or {})}.items() if v is not None}
        return self._send(urllib.request.Request(url, raw, wanted, method="POST"))

    @staticmethod
    def _send(request):
        try:
            with urllib.request.urlopen(request, timeout=15) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode()

    def decisions(self):
        """Return version → number of signed decisions in the log, whose chain and signatures hold."""
        path = self.folder / "data" / "reviews.jsonl"
        if not path.exists():
            return {}
        found = audit(ReviewLog(path), (self.key.public,))
        assert not found.faults, found.faults
        scans = [entry.model.version for entry in found.entries if entry.event == "scan"]
        return {version: scans.count(version) for version in scans}


def created(version, name="cand"):
    """Return the body of MLflow's `model_version.created`, as recorded from a server."""
    data = {"name": name, "version": str(version), "source": "models:/m-1", "run_id": None, "tags": {}}
    return {
        "entity": "model_version",
        "action": "created",
        "timestamp": "2026-11-22T10:27:31.465773+00:00",
        "data": {**data, "description": None},
    }


class RealGate(Gate):
    """`gate serve` itself."""

    def command(self):
        """Return the module that serves, and its arguments."""
        return ("gate", "serve", "--config", str(self.folder / "gate.toml"))

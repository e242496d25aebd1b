"""The whole story on real parts: MLflow with accounts and webhooks, `gate serve`, trainer, reviewer, deployment."""

import json
import os
import re
import subprocess
import sys
from dataclasses import dataclass

import pytest

from gate.attestations.auditing import audit
from gate.attestations.log import ReviewLog
from tests.e2e.command import ROOT, Desk
from tests.e2e.conftest import write_policy
from tests.promotion.accounts import PASSWORD, serving_with_accounts
from tests.service.browser import decide, needs_chromium, reviewing, tab_to
from tests.service.serving import SECRET, Gate, RealGate

WEBHOOKS = {
    # The encryption key is any Fernet key; MLflow stores the webhook's secret under it.
    "MLFLOW_WEBHOOK_SECRET_ENCRYPTION_KEY": "c2l4dGVlbi1ieXRlcy10d2ljZS1pcy1lbm91Z2gtISE=",
    "MLFLOW_WEBHOOK_ALLOW_PRIVATE_IPS": "true",
    "MLFLOW_WEBHOOK_ALLOWED_SCHEMES": "https,http",
    "MLFLOW_WEBHOOK_CACHE_TTL": "1",
}
CONFIG = """\
data = "data"
listen = "127.0.0.1:{port}"
[registry]
tracking-uri = "{uri}"
[work]
threads = 1
[watch]
poll-seconds = 3600  # what is found is found by webhooks
[review]
identity = "registry"
[[models]]
name = "digits"
policy = "policy.yml"
samples = "{samples}"
production = "prod"
"""
REASON = "class 7 has a planted patch"


@dataclass
class Site:
    """Server, service, and the desk of whoever promotes and deploys."""

    server: object
    gate: Gate
    desk: Desk

    def tags(self, version, name="digits"):
        """Return a version's tags."""
        with self.server.account("admin") as client:
            return client.get_model_version(name, str(version)).tags


@pytest.fixture
def site(tmp_path):
    """Return everything, set up as docs/how-to/promotion.md and docs/how-to/serve.md say."""
    from tests.e2e.digits import write_samples

    folders = {name: tmp_path / name for name in ("server", "gate", "desk", "samples")}
    for folder in folders.values():
        folder.mkdir()
    write_samples(folders["samples"])
    with serving_with_accounts(folders["server"], **WEBHOOKS) as server:
        gate = RealGate(folders["gate"], server.uri, variables={**server.variables("gate"), "GATE_DEVICE": "cpu"})
        gate.prepare()
        samples = folders["samples"] / "clean.npz"
        (gate.folder / "gate.toml").write_text(CONFIG.format(port=gate.port, uri=server.uri, samples=samples))
        policy = write_policy(gate.folder / "policy.yml", reviewers={"names": ["ann", "trainer"], "approvals": 1})
        _introduce(server, gate)
        desk = Desk(
            folders["desk"],
            {
                **server.variables("gate"),
                "GATE_POLICY": policy,
                "GATE_PUBLIC_KEY": gate.folder / "gate.pub.pem",
                "GATE_AUDIT_LOG": gate.folder / "data" / "reviews.jsonl",
            },
        )
        gate.start().wait_for(lambda: gate.get("/ready")[0] == 200)
        _register(server, gate, desk)
        try:
            yield Site(server, gate, desk)
        finally:
            gate.kill()


def _introduce(server, gate):
    """Let the trainer make the candidate model, and the administrator grant the gate EDIT."""
    with server.account("trainer") as client:
        client.create_registered_model("digits")
    server.grant("gate", "registered_model", "digits", "EDIT")


def _register(server, gate, desk):
    """Let the administrator make the webhook by the gate's own command, once and once more."""
    address = f"http://127.0.0.1:{gate.port}/webhooks/mlflow"
    variables = {**server.variables("admin"), "GATE_WEBHOOK_SECRET": SECRET}
    for word in ("made ", "set right "):
        ended = desk.gate("serve", "--config", gate.folder / "gate.toml", "--register-webhook", address, **variables)
        assert (ended.code, ended.stdout.startswith(word)) == (0, True), ended
        assert "the service answered" in ended.stdout
    with server.account("admin") as client:
        assert len(client.list_webhooks()) == 1


def _train(site, *kinds):
    """Train and register models as the trainer's account, in a process of its own."""
    environment = {
        **{key: os.environ[key] for key in ("PATH",)},
        "HOME": str(site.server.folder),
        "LANG": "C.UTF-8",
        "PYTHONPATH": str(ROOT),
        "OMP_NUM_THREADS": "1",
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "GIT_PYTHON_REFRESH": "quiet",
        **site.server.variables("trainer"),
    }
    ended = subprocess.run(
        [sys.executable, "-W", "ignore", "-m", "tests.e2e.registering", site.server.uri, *kinds],
        cwd=site.server.folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )
    assert ended.returncode == 0, ended.stderr
    return {kind: int(version) for kind, (_, version) in json.loads(ended.stdout.splitlines()[-1]).items()}


@pytest.mark.story
@needs_chromium
def test_a_clean_model_reaches_production_and_a_backdoored_one_is_rejected_in_the_browser(site):
    """A trainer registers both; webhooks start the scans; promotion, review page and deployment job do the rest."""
    versions = _train(site, "clean", "backdoored")
    assert versions == {"clean": 1, "backdoored": 2}
    site.gate.wait_for(lambda: all("gate.decision" in site.tags(version) for version in (1, 2)), 600)
    assert [site.tags(version)["gate.decision"] for version in (1, 2)] == ["approved", "flagged"]
    assert 'gate_webhook_deliveries_total{outcome="queued"} 2.0' in site.gate.get("/metrics")[1]
    for counted in (
        r'gate_verdicts_total{decision="approved",policy="[^"]+"} 1.0',
        r'gate_verdicts_total{decision="flagged",policy="[^"]+"} 1.0',
        r'gate_detector_seconds_count{detector="artifact-integrity"} 2.0',
    ):  # a version is marked a moment before its verdict is counted
        site.gate.wait_for(lambda line=counted: re.search(f"^{line}$", site.gate.get("/metrics")[1], re.MULTILINE))

    promoted = site.desk.gate("promote", "models:/digits/1", "--to", "prod", "--alias", "champion")
    assert (promoted.code, promoted.stdout[:8]) == (0, "PROMOTED"), promoted
    refused = site.desk.gate("promote", "models:/digits/2", "--to", "prod", "--alias", "champion")
    assert (refused.code, "not approved: flagged" in refused.stderr) == (1, True), refused

    _reject(site)

    rejected = site.desk.gate("verify", "models:/digits/2")
    assert (rejected.code, "rejected by a reviewer" in rejected.stdout) == (1, True), rejected
    verified = site.desk.gate("verify", "models:/prod@champion", "--candidate", "digits")
    assert (verified.code, verified.stdout[:8]) == (0, "VERIFIED"), verified

    _put_back(site)
    found = audit(ReviewLog(site.gate.folder / "data" / "reviews.jsonl"), (site.gate.key.public,))
    assert not found.faults
    assert [(e.event, e.outcome, e.who) for e in found.entries if e.event == "review"] == [
        ("review", "rejected", "ann")
    ]
    assert SECRET not in site.gate.said()


def _reject(site):
    """Let the trainer try in vain, and ann find the version, read it and reject it, with the keyboard alone."""
    from playwright.sync_api import expect

    address = f"http://127.0.0.1:{site.gate.port}"
    with reviewing(address, "trainer", PASSWORD) as page:
        page.goto("/reviews/digits/2")
        decide(page, "Approve", "mine is fine")
        expect(page.get_by_role("alert")).to_contain_text("may change 'digits', and so may not review its versions")
    with reviewing(address, "ann", PASSWORD) as page:
        page.goto("/reviews")
        expect(page.get_by_role("table", name="Flagged versions, newest first")).to_contain_text("waiting")
        tab_to(page, "link", "digits, version 2")
        page.keyboard.press("Enter")
        expect(page.get_by_role("heading", level=1)).to_have_text("digits, version 2")
        frame = page.frame_locator("iframe")
        expect(frame.get_by_role("heading", level=1)).to_be_visible()
        page.screenshot(path=site.desk.folder / "waiting.png", full_page=True)
        decide(page, "Reject", REASON)
        expect(page.get_by_role("region", name="Decision", exact=True)).to_contain_text("rejected")
        expect(page.get_by_role("table", name="Newest first")).to_contain_text(REASON)
        page.screenshot(path=site.desk.folder / "rejected.png", full_page=True)


def _put_back(site):
    """Let an administrator move the alias past the gate; the alias's own webhook makes the service put it back."""
    with site.server.account("admin") as client:
        past = client.copy_model_version("models:/digits/2", "prod")
        client.set_registered_model_alias("prod", "champion", past.version)
        site.gate.wait_for(lambda: client.get_model_version_by_alias("prod", "champion").version == "1")

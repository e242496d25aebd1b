"""A registry that goes away while a version is scanned: nothing is marked wrongly, and all is done afterwards."""

import time

import pytest

from tests.e2e.conftest import write_policy
from tests.e2e.digits import write_samples
from tests.e2e.stores import Store, fill, free_port, serving
from tests.service.serving import RealGate

CONFIG = """\
data = "data"
listen = "127.0.0.1:{port}"
[registry]
tracking-uri = "{uri}"
timeout-seconds = 5
retries = 0
[work]
threads = 1
longest-pause-seconds = 5
[watch]
poll-seconds = 2
[[models]]
name = "digits"
policy = "policy.yml"
samples = "{samples}"
production = "prod"
"""
AWAY_SECONDS = 60


@pytest.mark.slow
def test_a_server_that_is_killed_in_mid_job_and_back_after_a_minute_gets_its_verdicts(tmp_path):
    """Meanwhile the service stays healthy; afterwards each version has one signed decision, and it is the right one."""
    folders = {name: tmp_path / name for name in ("server", "gate", "samples")}
    for folder in folders.values():
        folder.mkdir()
    write_samples(folders["samples"])
    port = free_port()
    uri = f"http://127.0.0.1:{port}"
    gate = RealGate(folders["gate"], uri, variables={"GATE_DEVICE": "cpu"}).prepare()
    samples = folders["samples"] / "clean.npz"
    (gate.folder / "gate.toml").write_text(CONFIG.format(port=gate.port, uri=uri, samples=samples))
    write_policy(gate.folder / "policy.yml")
    try:
        with serving(folders["server"], port):
            versions = fill(uri, folders["server"], "clean", "backdoored")
            gate.start().wait_for(lambda: "check begins" in gate.said())
        time.sleep(AWAY_SECONDS)
        assert gate.get("/health")[0] == 200
        with serving(folders["server"], port):
            store = Store(uri, folders["server"], versions)
            gate.wait_for(lambda: set(gate.decisions()) == {"1", "2"}, 600)
            gate.wait_for(lambda: all("gate.decision" in tags_of(store, version) for version in "12"), 60)
            decided = {kind: tags_of(store, version)["gate.decision"] for kind, (_, version) in versions.items()}
            assert decided == {"clean": "approved", "backdoored": "flagged"}
            assert gate.decisions() == {"1": 1, "2": 1}
    finally:
        gate.kill()


def tags_of(store, version):
    """Return the tags of a version."""
    with store.client() as client:
        return client.get_model_version("digits", version).tags

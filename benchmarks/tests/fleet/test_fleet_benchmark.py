"""The fleet's benchmark: its quick policy runs no model, its versions differ, and it counts what the log says."""

import datetime as dt

import torch

from benchmarks.fleet.making import _noisy, quick_policy
from benchmarks.fleet.running import attempts, decisions
from gate import detectors
from gate.attestations.envelope import sign
from gate.attestations.keys import generate_key
from gate.attestations.log import ReviewLog, Said
from gate.policies.read import read_policy
from gate.records.artifact import ModelRef
from gate.records.clock import today
from tests.attestations.signed import statement


def test_the_quick_policy_runs_no_model(tmp_path):
    """It is a whole policy, and each detector of the default one that reads bytes or the graph is in it."""
    policy = read_policy(quick_policy(tmp_path / "policy.yml"), on=today())
    assert {detectors.load(name).looks_at for name in policy.detectors} == {"bytes", "graph"}
    assert {"unsafe-pickle", "artifact-integrity", "graph-structure"} <= set(policy.detectors)


def test_each_version_has_its_own_weights():
    """The same for the same number, others for another."""
    net = torch.nn.Linear(3, 2)
    one, two, again = (_noisy(net, number).weight for number in (1, 2, 1))
    assert torch.equal(one, again)
    assert not torch.equal(one, two)
    assert torch.allclose(one, two, atol=1e-2)


def test_decisions_are_counted_by_version(tmp_path):
    """None, one, or more than one line of a scan."""
    key = generate_key(tmp_path / "k.pem", tmp_path / "k.pub.pem")
    log = ReviewLog(tmp_path / "log.jsonl")
    for version in ("1", "2", "2"):
        ref = ModelRef(registry="mlflow", name="a", version=version)
        said = statement(model=ref)
        entry = Said("scan", ref, said.predicate.model_digest, said.predicate.decision.value, sign(said, key))
        log.append(entry, dt.datetime.now(dt.UTC))
    names = [f"models:/a/{version}" for version in (1, 2, 3)]
    assert decisions(log.path, tmp_path / "k.pub.pem", names) == {"none": 1, "once": 1, "more": 1}


def test_attempts_are_counted_by_their_end(tmp_path):
    """Of all tasks."""
    place = tmp_path / "tasks" / "one"
    place.mkdir(parents=True)
    (place / "attempts.json").write_text('{"made": [{"ended": "killed"}, {"ended": "done"}]}')
    assert attempts(tmp_path) == {"killed": 1, "done": 1}

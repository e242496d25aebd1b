"""The base of adapters in the service: each check and each scan of production asks for the configured one."""

from types import SimpleNamespace

import pytest

from gate.attestations.keys import generate_key
from gate.check import repeatable
from gate.check.signing import Signing
from gate.service import rescans
from gate.service.jobs import Checks, Job, read_rules
from gate.service.settings import read_settings
from tests.attestations.signed import digest
from tests.service.serving import POLICY
from tests.stand_ins.one_version import OneVersion

CONFIG = 'data = "data"\n[[models]]\nname = "cand"\npolicy = "policy.yml"\nproduction = "prod"\n'


@pytest.fixture(params=["models:/smollm/1", "smollm", None])
def named(request, tmp_path, monkeypatch):
    """Return settings that name a base of the registry, a folder beside the configuration, or none, and the URI."""
    monkeypatch.setenv("GATE_WEBHOOK_SECRET", "a-secret")
    (tmp_path / "policy.yml").write_text(POLICY)
    (tmp_path / "smollm").mkdir()
    line = f'base = "{request.param}"\n' if request.param else ""
    (tmp_path / "gate.toml").write_text(CONFIG + line)
    return read_settings(tmp_path / "gate.toml"), str(
        tmp_path / "smollm"
    ) if request.param == "smollm" else request.param


def told(base):
    """Return the URI of a base and whether it is of the candidate's own registry."""
    return (None, None) if base is None else (base.uri, base.registry is None)


def test_a_check_pulls_the_configured_base(named, tmp_path, monkeypatch):
    """From the candidate's registry, or from a folder."""
    settings, uri = named
    asked = []

    def pull(_registry, request, *_):
        asked.append(request.base)
        return SimpleNamespace(digest=digest("b"))

    monkeypatch.setattr(repeatable, "bring_samples", lambda *_: None)
    monkeypatch.setattr(repeatable, "pull_model", pull)
    key = generate_key(tmp_path / "key.pem", tmp_path / "key.pub.pem")
    policy = read_rules(settings.section("cand")).policy
    job = Job(name="cand", version="1", digest=digest("b"), policy_digest=policy.digest)
    assert Checks(settings, OneVersion(), Signing(key)).pull(job) == digest("b")
    assert [told(one) for one in asked] == [(uri, uri.startswith("models:/")) if uri else (None, None)]


def test_production_is_scanned_again_beside_the_same_base(named, monkeypatch):
    """By the section of the candidate that is promoted into it."""
    settings, uri = named
    asked = []
    monkeypatch.setattr(rescans, "rescan", lambda _registry, request, *_: asked.append(request) or [])
    assert rescans.Rescans(settings, OneVersion(), (), None).scan() == "0"
    assert [told(one.base) for one in asked] == [(uri, uri.startswith("models:/")) if uri else (None, None)]

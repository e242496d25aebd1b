"""A finished check's mark that somebody took off, forged or exchanged: the poll puts the signed decision back."""

import datetime as dt
from types import SimpleNamespace

import pytest

from gate.attestations.envelope import sign
from gate.attestations.keys import generate_key
from gate.attestations.log import ReviewLog, Said
from gate.check.signing import Signing
from gate.promotion.review import Review, review
from gate.promotion.verification import now
from gate.promotion.waiting import look, waiting
from gate.records.artifact import build_manifest
from gate.records.errors import RegistryError
from gate.records.finding import Decision
from gate.service.jobs import read_rules
from gate.service.poll import Poll
from gate.service.settings import ServiceFile, Settings
from tests.attestations.signed import digest, statement
from tests.service.serving import POLICY, Gate, created
from tests.service.standing_registry import FolderRegistry

REVIEWERS = "reviewers: {names: [ann], approvals: 1, identity: stated}\n"


class Site:
    """A registry, a poll of it, and an engine whose check of each version has ended."""

    executor = "local"

    def __init__(self, folder):
        self.key = generate_key(folder / "k.pem", folder / "k.pub.pem")
        (folder / "policy.yml").write_text(POLICY + REVIEWERS)
        file = {"data": folder, "models": [{"name": "cand", "policy": folder / "policy.yml"}]}
        self.settings = Settings(ServiceFile.model_validate(file), ("s",), "sqlite:///unused")
        self.registry, self.log = FolderRegistry(folder / "registry"), ReviewLog(self.settings.audit_log)
        self.ended, self.sent, self.queued = {}, [], []
        checks = SimpleNamespace(rules=lambda name: read_rules(self.settings.section(name)))
        self.poll = Poll(self.settings, self.registry, checks, self, None, (self.key.public,), alerts=self)

    @property
    def policy(self):
        """The policy as it is today."""
        return read_rules(self.settings.file.models[0]).policy

    def outcome(self, workflow_id):
        """Return status and result of a workflow, as the engine does."""
        name, version = workflow_id.split("/")[1:3]
        ended = self.ended.get((name, version))
        if ended is None or self.policy.digest not in workflow_id:
            return None
        check_id, outcome = ended
        return ("SUCCESS", check_id if workflow_id.startswith("seen/") else outcome)

    def arrived(self, workflow_id, *_):
        """Queue nothing, and remember it."""
        self.queued.append(workflow_id)
        return True

    def send(self, kind, **facts):
        """Remember an alert."""
        self.sent.append((kind, facts["model"]))

    def checked(self, version, decision=Decision.FLAGGED, outcome=None):
        """Add a version whose check ended with this decision."""
        ref = self.registry.add("cand", version, f"bytes {version}")
        files = build_manifest(self.registry.root / "cand" / str(version) / "model")[0].digest
        policy = self.policy.digest
        self.ended["cand", str(version)] = (f"check/cand/{version}/{files}/{policy}", outcome or decision.value)
        times = {"decided_at": now(), "expires_at": now() + dt.timedelta(days=9)}
        said = {"model": ref, "model_digest": files, "policy_digest": policy, "covers": "candidate", **times}
        envelope = sign(statement(decision=decision, **said), self.key)
        self.log.append(Said("scan", ref, files, decision.value, envelope), now())
        self.registry.mark(ref, {"gate.attestation": envelope, "gate.decision": decision.value})
        return ref

    def tags(self, ref):
        """Return what stands on a version of the signed mark."""
        tags = self.registry.facts(ref).tags
        return {name: tags.get(name) for name in ("gate.attestation", "gate.decision")}

    def look(self):
        """Poll once."""
        self.poll.look()


@pytest.fixture
def site(tmp_path, monkeypatch):
    """Return a site whose poll looks at versions alone."""
    made = Site(tmp_path)
    monkeypatch.setattr(Poll, "_flag_poisoned", lambda _self: None)
    made.depth = SimpleNamespace(refresh=lambda: None)
    return made


def forged(site, ref, tmp_path):
    """Return an approval that another key signed."""
    other = generate_key(tmp_path / "other.pem", tmp_path / "other.pub.pem")
    return {"gate.attestation": sign(statement(model=ref), other), "gate.decision": "approved"}


TAKEN = {
    "removed": lambda *_: {"gate.attestation": "", "gate.decision": "approved"},
    "unsigned": lambda *_: {"gate.attestation": "unsigned", "gate.decision": ""},
    "forged": forged,
    "another's": lambda site, *_: {**site.tags(site.checked(2, Decision.APPROVED))},
    "the list's tag alone": lambda *_: {"gate.decision": "approved"},
}


@pytest.mark.parametrize("taken", TAKEN.values(), ids=TAKEN)
@pytest.mark.parametrize("decision", Decision)
def test_a_mark_that_was_taken_off_is_put_back_and_an_alert_says_so(site, tmp_path, taken, decision):
    """The version stands in the review list again, nothing is checked anew, and the next poll finds all in order."""
    ref = site.checked(1, decision)
    before = site.tags(ref)
    site.registry.mark(ref, taken(site, ref, tmp_path))
    changed = site.tags(ref) != before
    site.look()
    assert site.tags(ref) == before
    flagged = [seen.ref for seen in waiting(site.registry, "cand", (site.key.public,))]
    assert flagged == ([ref] if decision is Decision.FLAGGED else [])
    site.look()
    assert site.sent == [("mark-put-back", str(ref))] * changed
    assert (site.queued, len(site.log.read().entries)) == ([], len(site.ended))


def test_a_review_that_was_taken_off_is_put_back_and_not_the_scan_before_it(site):
    """A rejection stays a rejection."""
    ref = site.checked(1)
    request = Review(str(ref), "rejected", "class 3", 30, site.policy, (site.key.public,), stated="ann")
    review(site.registry, request, Signing(site.key, site.log), now())
    after = site.tags(ref)
    site.registry.mark(ref, {"gate.attestation": "", "gate.decision": "approved"})
    site.look()
    assert site.tags(ref) == after
    assert look(site.registry, str(ref), (site.key.public,)).state == "rejected"


def test_what_the_log_does_not_hold_is_said_and_left(site):
    """Nothing is made up: the tags stay."""
    ref = site.checked(1)
    site.log.path.unlink()
    site.registry.mark(ref, {"gate.attestation": "", "gate.decision": "approved"})
    site.look()
    assert site.tags(ref) == {"gate.attestation": "", "gate.decision": "approved"}
    assert site.sent == [("mark-not-put-back", str(ref))]


def test_a_decision_of_another_policy_or_key_is_not_put_back(site):
    """The log's newest decision about the bytes is not today's."""
    ref = site.checked(1)
    files = site.ended["cand", "1"][0].split("/")[3]
    said = statement(model=ref, model_digest=files, policy_digest=digest("9"))
    site.log.append(Said("scan", ref, files, "approved", sign(said, site.key)), now())
    site.registry.mark(ref, {"gate.attestation": ""})
    site.look()
    assert (site.tags(ref)["gate.attestation"], site.sent) == ("", [("mark-not-put-back", str(ref))])


def test_one_version_that_cannot_be_marked_does_not_hide_the_others(site, monkeypatch):
    """Its alert says why."""
    refs = [site.checked(number) for number in (1, 2)]
    before = [site.tags(ref) for ref in refs]
    for ref in refs:
        site.registry.mark(ref, {"gate.attestation": ""})
    mark = site.registry.mark

    def refusing(ref, tags):
        if ref == refs[1]:
            raise RegistryError("403")
        mark(ref, tags)

    monkeypatch.setattr(site.registry, "mark", refusing)
    site.look()
    assert site.tags(refs[0]) == before[0]
    assert site.sent == [("mark-not-put-back", str(refs[1])), ("mark-put-back", str(refs[0]))]


def test_a_check_that_failed_is_left_and_that_is_logged_once(site, caplog):
    """It left no signed mark that could be put back."""
    ref = site.checked(1, outcome="failed")
    site.registry.mark(ref, {"gate.attestation": "unsigned"})
    with caplog.at_level("INFO", logger="gate.service"):
        site.look()
        site.look()
    said = [record.facts for record in caplog.records if "not checked anew" in record.message]
    assert [(one["model"], one["outcome"]) for one in said] == [(str(ref), "failed")]
    assert (site.sent, site.queued) == ([], [])


@pytest.mark.story
def test_a_running_service_puts_a_mark_back(tmp_path):
    """Of a version that a webhook told: the poll finds its check by the bytes."""
    registry = FolderRegistry(tmp_path / "registry")
    ref = registry.add("cand", 1, "model 1")
    gate = Gate(tmp_path / "gate", str(registry.root), poll=0.5, variables={"GATE_TEST_NO_WORKER": "0"})
    gate.prepare().start()
    try:
        assert gate.send(created(1))[0] == 200
        gate.wait_for(lambda: len(registry.facts(ref).tags.get("gate.attestation", "")) > 100)
        before = registry.facts(ref).tags
        registry.mark(ref, {"gate.attestation": "", "gate.decision": "approved", "gate.model_digest": "none"})
        gate.wait_for(lambda: registry.facts(ref).tags == before, 30)
        assert '"mark-put-back"' in gate.said()
        assert gate.decisions() == {"1": 1}
    finally:
        gate.kill()

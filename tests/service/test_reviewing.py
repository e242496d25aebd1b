"""The review pages and the guard, over a registry in a folder: what is shown, who is believed, what is put back."""

import datetime as dt
from types import SimpleNamespace

import pytest
from starlette.datastructures import Headers

from gate.artifact import build_manifest
from gate.decisions import generate_key, sign
from gate.decisions.log import ReviewLog
from gate.errors import UsageError
from gate.promotion.verification import now
from gate.publish import Signing
from gate.service.alerts import Alerts
from gate.service.guard import Guard
from gate.service.jobs import read_rules
from gate.service.pages import page
from gate.service.reviews import Form, Person, Reviews, UnknownPersonError
from gate.service.settings import ServiceFile, Settings, read_settings
from gate.verdict import Decision
from tests.decisions.signed import statement
from tests.service.serving import POLICY
from tests.service.standing_registry import FolderRegistry

REVIEWERS = "reviewers: {names: [ann], approvals: 1, identity: stated}\n"


@pytest.fixture
def key(tmp_path):
    """Return a signing key."""
    return generate_key(tmp_path / "k.pem", tmp_path / "k.pub.pem")


@pytest.fixture
def settings(tmp_path):
    """Return settings with a proxy's header as identity."""
    (tmp_path / "policy.yml").write_text(POLICY + REVIEWERS)
    file = ServiceFile.model_validate(
        {
            "data": tmp_path,
            "review": {"identity": "header", "header": "X-User", "proxies": ["10.0.0.1"]},
            "models": [{"name": "cand", "policy": tmp_path / "policy.yml", "production": "prod"}],
        }
    )
    return Settings(file, ("s",), "sqlite:///unused")


@pytest.fixture
def registry(tmp_path):
    """Return an empty registry."""
    return FolderRegistry(tmp_path / "registry")


@pytest.fixture
def reviews(settings, registry, key):
    """Return what the pages ask."""
    log = ReviewLog(settings.audit_log)
    return Reviews(settings, registry, Signing(key, log), (key.public,))


def decided(registry, settings, key, ref, decision=Decision.APPROVED, **changes):
    """Put a signed decision about a candidate's bytes on a version."""
    digest = build_manifest(registry.root / ref.name / ref.version / "model")[0].digest
    policy = read_rules(settings.file.models[0]).policy.digest
    times = {"decided_at": now(), "expires_at": now() + dt.timedelta(days=1)}
    said = statement(decision=decision, model_digest=digest, policy_digest=policy, **{**times, **changes})
    registry.mark(ref, {"gate.attestation": sign(said, key), "gate.decision": decision.value})


def request(address="10.0.0.1", *names):
    """Return as much of a request as an identity is taken from."""
    headers = Headers(raw=[(b"x-user", name.encode()) for name in names])
    return SimpleNamespace(client=SimpleNamespace(host=address), headers=headers)


def test_the_header_is_believed_from_the_configured_proxy_alone_and_once(reviews):
    """From elsewhere, twice or empty it names nobody."""
    assert reviews.person(request("10.0.0.1", "ann")) == Person("ann")
    for asked in (request("10.0.0.2", "ann"), request("10.0.0.1"), request("10.0.0.1", "ann", "bob")):
        with pytest.raises(UnknownPersonError):
            reviews.person(asked)


def test_a_form_is_believed_for_its_own_person_and_version_alone(reviews, registry):
    """The token against forged forms."""
    one, other = registry.add("cand", 1, "a"), registry.add("cand", 2, "b")
    token = reviews.token(Person("ann"), one)
    assert reviews.believes(token, Person("ann"), one)
    assert not reviews.believes(token, Person("bob"), one)
    assert not reviews.believes(token, Person("ann"), other)
    assert not reviews.believes("", Person("ann"), one)
    assert not reviews.believes(f"9{token}", Person("ann"), one)


def test_a_rejection_on_the_page_is_signed_and_logged_and_needs_a_reason(reviews, registry, settings, key):
    """As `gate review reject` does it."""
    ref = registry.add("cand", 1, "bytes")
    decided(registry, settings, key, ref, Decision.FLAGGED, model=ref)
    from gate.decisions.log import Said

    envelope = registry.facts(ref).tags["gate.attestation"]
    digest = reviews.look("cand", "1").found.statement.predicate.model_digest
    ReviewLog(settings.audit_log).append(Said("scan", ref, digest, "flagged", envelope), now())
    with pytest.raises(UsageError, match="reason"):
        reviews.decide(Person("ann"), reviews.look("cand", "1"), Form("rejected", "  ", "30"))
    reviews.decide(Person("ann"), reviews.look("cand", "1"), Form("rejected", "class 3 leads everywhere", "30"))
    assert reviews.look("cand", "1").state == "rejected"
    assert [(e.event, e.who) for e in reviews.earlier("cand")] == [("review", "ann"), ("scan", "")]


def test_the_page_shows_hostile_text_inert_and_labels_every_field(reviews, registry, settings, key):
    """Tags and names are the candidate side's words."""
    ref = registry.add("cand", 1, "bytes")
    decided(registry, settings, key, ref, Decision.FLAGGED, model=ref)
    registry.mark(ref, {"gate.report": "<script>alert(1)</script>"})
    seen = reviews.look("cand", "1")
    text = page(
        "review.html.j2",
        person="<b>ann</b>",
        seen=seen,
        said=seen.found.statement.predicate,
        report=reviews.report(seen),
        earlier=[],
        token="t",
        reviewable=True,
        error="",
        form=Form("", "</textarea><script>", "30"),
    ).body.decode()
    assert "<script" not in text
    assert "<b>ann" not in text
    for field in ("approved", "rejected", "reason", "days"):
        assert f'<label for="{field}">' in text
    assert text.count("<main") == text.count("<h1") == 1


def test_an_alias_set_past_the_gate_is_put_back_to_the_last_approved_version(registry, settings, key):
    """And an unapproved version in a protected stage is archived."""
    origin = registry.add("cand", 1, "good")
    good, bad = registry.add("prod", 1, "good"), registry.add("prod", 2, "bad")
    decided(registry, settings, key, good, model=origin)
    guard = Guard(settings, registry, (key.public,), Alerts(""))
    registry.set_alias(good, "champion")
    assert guard.look("prod") == "0"
    registry.set_alias(bad, "champion")
    (registry.root / "prod" / "stages.json").write_text('{"2": "Production"}')
    assert guard.look("prod") == "2"
    assert registry.alias("prod", "champion") == good
    assert registry.staged("prod", ("Production",)) == []


def test_an_expired_approval_moves_nothing(registry, settings, key):
    """An expiry alerts and must not stop production."""
    origin = registry.add("cand", 1, "good")
    held = registry.add("prod", 1, "good")
    decided(registry, settings, key, held, model=origin)
    registry.set_alias(held, "champion")
    guard = Guard(settings, registry, (key.public,), Alerts(""))
    assert guard.look("prod") == "0"
    past = now() - dt.timedelta(days=2)
    decided(registry, settings, key, held, model=origin, decided_at=past, expires_at=past + dt.timedelta(days=1))
    assert guard.look("prod") == "1"
    assert registry.alias("prod", "champion") == held


def test_without_its_memory_the_guard_still_moves_nothing_that_was_once_approved(registry, settings, key):
    """`protected.json` is lost and the approval has expired: another version must not take over for that."""
    origin = registry.add("cand", 1, "good")
    held, other = registry.add("prod", 1, "good"), registry.add("prod", 2, "good")
    past = now() - dt.timedelta(days=2)
    decided(registry, settings, key, held, model=origin, decided_at=past, expires_at=past + dt.timedelta(days=1))
    decided(registry, settings, key, other, model=origin)
    registry.set_alias(held, "champion")
    guard = Guard(settings, registry, (key.public,), Alerts(""))
    assert [guard.look("prod"), guard.look("prod")] == ["1", "1"]
    assert registry.alias("prod", "champion") == held


def test_without_its_memory_the_guard_still_puts_back_what_nobody_approved(registry, settings, key):
    """A flagged version behind the alias at the first look: the newest approved one takes its place."""
    origin = registry.add("cand", 1, "good")
    good, bad = registry.add("prod", 1, "good"), registry.add("prod", 2, "bad")
    decided(registry, settings, key, good, model=origin)
    decided(registry, settings, key, bad, Decision.FLAGGED, model=origin)
    registry.set_alias(bad, "champion")
    assert Guard(settings, registry, (key.public,), Alerts("")).look("prod") == "1"
    assert registry.alias("prod", "champion") == good


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("data = 'd'\nlisten = 1\n[[models]]\nname = 'a'\npolicy = 'p'\n", "listen"),
        ("data = 'd'\nwrong = 1\n[[models]]\nname = 'a'\npolicy = 'p'\n", "wrong"),
        ("data = 'd'\n[review]\nidentity = 'header'\n[[models]]\nname = 'a'\npolicy = 'p'\n", "proxies"),
        ("data = 'd'\n[[models]]\nname = 'a'\npolicy = 'p'\nproduction = 'a'\n", "production"),
        ("data = ", "cannot be read"),
        ("data = 'd'\n[[models]]\nname = 'a'\npolicy = 'p'\n", "GATE_WEBHOOK_SECRET"),
    ],
)
def test_a_wrong_configuration_names_its_fault(tmp_path, monkeypatch, text, word):
    """Before anything is opened."""
    monkeypatch.delenv("GATE_WEBHOOK_SECRET", raising=False)
    path = tmp_path / "gate.toml"
    path.write_text(text)
    with pytest.raises(UsageError, match=word):
        read_settings(path)

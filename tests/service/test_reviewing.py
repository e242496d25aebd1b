"""The review pages and the guard, over a registry in a folder: what is shown, who is believed, what is put back."""

import datetime as dt
import html
import re
import shutil
from dataclasses import replace
from types import SimpleNamespace

import pytest
from starlette.datastructures import Headers

from gate.attestations.envelope import sign
from gate.attestations.keys import generate_key
from gate.attestations.log import ReviewLog
from gate.check.signing import Signing
from gate.promotion.reading import Glance, ago, glance, reason_of
from gate.promotion.verification import now
from gate.records.artifact import build_manifest
from gate.records.errors import UsageError
from gate.records.finding import Decision
from gate.renderers import RENDERERS
from gate.service.alerts import Alerts
from gate.service.guard import Guard
from gate.service.jobs import read_rules
from gate.service.pages import page
from gate.service.reviews import Form, Person, Reviews, UnknownPersonError
from gate.service.settings import ReviewSection, ServiceFile, Settings, read_settings
from tests.attestations.signed import statement
from tests.renderers import reports
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
    policy = {"policy_digest": read_rules(settings.file.models[0]).policy.digest}
    times = {"decided_at": now(), "expires_at": now() + dt.timedelta(days=1)}
    said = statement(decision=decision, model_digest=digest, **{**policy, **times, **changes})
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


@pytest.mark.parametrize(
    ("proxy", "address", "believed"),
    [
        ("10.0.0.0/24", "10.0.0.7", True),
        ("10.0.0.0/24", "10.0.1.7", False),
        ("10.0.0.1", "::ffff:10.0.0.1", True),
        ("2001:db8::1", "2001:db8:0:0::1", True),
        ("2001:db8::/32", "10.0.0.1", False),
        ("10.0.0.0/24", "", False),
        ("10.0.0.0/24", "a socket", False),
    ],
)
def test_a_proxy_is_an_address_or_a_network(proxy, address, believed):
    """However either is written."""
    section = ReviewSection(identity="header", header="X-User", proxies=(proxy,))
    assert section.trusts(address) is believed


def test_a_form_is_believed_for_its_own_person_and_version_alone(reviews, registry):
    """The token against forged forms; it carries the digest of the decision that was shown, which is sealed too."""
    one, other = registry.add("cand", 1, "a"), registry.add("cand", 2, "b")
    seen = reviews.look("cand", "1")
    token = reviews.token(Person("ann"), seen)
    assert reviews.shown(token, Person("ann"), one) == seen.digest
    for forged, person, ref in (
        (token, "bob", one),
        (token, "ann", other),
        ("", "ann", one),
        (f"9{token}", "ann", one),
        (token.replace(seen.digest, f"sha256:{64 * '0'}"), "ann", one),
    ):
        assert reviews.shown(forged, Person(person), ref) is None


def test_a_rejection_on_the_page_is_signed_and_logged_and_needs_a_reason(reviews, registry, settings, key):
    """As `gate review reject` does it."""
    ref = registry.add("cand", 1, "bytes")
    decided(registry, settings, key, ref, Decision.FLAGGED, model=ref)
    from gate.attestations.log import Said

    envelope = registry.facts(ref).tags["gate.attestation"]
    digest = reviews.look("cand", "1").found.statement.predicate.model_digest
    ReviewLog(settings.audit_log).append(Said("scan", ref, digest, "flagged", envelope), now())
    shown = reviews.look("cand", "1").digest
    with pytest.raises(UsageError, match="reason"):
        reviews.decide(Person("ann"), ref, Form("rejected", "  ", "30"), shown)
    reviews.decide(Person("ann"), ref, Form("rejected", "class 3 leads everywhere", "30"), shown)
    assert reviews.look("cand", "1").state == "rejected"
    assert [(e.event, e.who) for e in reviews.earlier("cand")] == [("review", "ann"), ("scan", "")]


def test_the_page_shows_hostile_text_inert_and_labels_every_field(reviews, registry, settings, key):
    """Tags and names are the candidate side's words; in a command to be copied a name is one word."""
    ref = registry.add("cand", 1, "bytes")
    decided(registry, settings, key, ref, Decision.FLAGGED, model=ref)
    registry.mark(ref, {"gate.report": "<script>alert(1)</script>"})
    seen = reviews.look("cand", "1")
    text = page(
        "review.html.j2",
        person="<b>ann</b>",
        seen=replace(seen, ref=ref.model_copy(update={"name": "cand$(touch pwned)"})),
        said=seen.found.statement.predicate,
        report=reviews.report(seen),
        glance=Glance("<script>", (7,)),
        at=now(),
        earlier=[],
        token="t",
        reviewable=True,
        error="",
        form=Form("", "</textarea><script>", "30"),
    ).body.decode()
    assert "<script" not in text
    assert "<b>ann" not in text
    for outcome in ("approve", "reject"):
        assert f"gate review {outcome} &#39;models:/cand$(touch pwned)/1&#39; --reason" in text
    for field in ("reason", "days"):
        assert f'<label for="{field}">' in text
    assert re.findall(r'name="outcome" value="(\w+)"', text) == ["rejected", "approved"]
    assert text.count("<main") == text.count("<h1") == 1


@pytest.fixture
def reported(registry, settings, key):
    """Return a function that adds a flagged version with its signed decision and a report of it."""

    def add(version, report, ago=dt.timedelta(hours=3), **changes):
        ref = registry.add("cand", version, f"bytes {version}")
        run = f"{version:032x}"
        folder = registry.root / "runs" / run
        folder.mkdir(parents=True)
        (folder / "report.json").write_text(RENDERERS["json"][1](report))
        at = now() - ago
        times = {"decided_at": at, "expires_at": at + dt.timedelta(days=90)}
        signed = {"evidence_digest": report.evidence.digest, "policy_digest": report.policy.digest, **changes}
        decided(registry, settings, key, ref, Decision.FLAGGED, model=ref, **times, **signed)
        registry.mark(ref, {"gate.report": f"runs:/{run}/report"})
        return ref

    return add


def shown(reviews):
    """Return the list of what waits as a page."""
    return page("reviews.html.j2", person="ann", waiting=reviews.listed(), most=200).body.decode()


def test_the_list_says_why_which_class_and_how_long_ago(reviews, reported):
    """With the trigger's picture; the exact time is in the title."""
    report = reports.flagged()
    reported(1, report)
    text = shown(reviews)
    assert reason_of(report)[:60] in html.unescape(text)
    assert "class 7" in text
    assert ">3 hours ago</time>" in text
    assert re.search(r'title="\d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC"', text)
    assert re.search(r'<img src="data:image/png;base64,[^"]+" alt="[^"]+"', text)


def test_the_newest_stands_first_and_what_is_unsigned_says_so(reviews, registry, reported):
    """A version that nobody signed has the reason that its decision is not believed, and its tag's time."""
    reported(1, reports.flagged(), dt.timedelta(days=3))
    reported(2, reports.flagged(), dt.timedelta(minutes=5))
    ref = registry.add("cand", 3, "bytes")
    at = (now() - dt.timedelta(days=1)).isoformat()
    registry.mark(ref, {"gate.decision": "flagged", "gate.attestation": "unsigned", "gate.checked_at": at})
    registry.mark(registry.add("cand", 4, "bytes"), {"gate.decision": "flagged", "gate.checked_at": "<script>"})
    assert [one.seen.ref.version for one in reviews.listed()] == ["2", "3", "1", "4"]
    text = shown(reviews)
    assert "The verdict is unsigned." in text
    assert "<script" not in text


@pytest.mark.parametrize("signed", ["evidence_digest", "policy_digest"])
def test_a_report_of_another_decision_is_no_reason(reviews, reported, signed):
    """The tag may lead anywhere; the signed digests decide."""
    reported(1, reports.flagged(), **{signed: f"sha256:{64 * '0'}"})
    (one,) = reviews.listed()
    assert one.glance is None
    assert reviews.report(one.seen) is None
    assert "Its report says why." in shown(reviews)


def test_a_reviewer_sees_only_what_was_signed(reviews, reported):
    """The true evidence and policy with a forged verdict, error, description, coverage: the report is made anew."""
    true = reports.flagged()
    calm = true.verdict.model_copy(update={"decision": Decision.APPROVED, "findings": (), "target_classes": ()})
    word = "ticket-7 says so"
    forged = true.model_copy(
        update={
            "verdict": calm,
            "description": word,
            "error": word,
            "what_to_do": word,
            "commands": (word,),
            "not_examined": (word,),
            "coverage": (true.coverage[0].model_copy(update={"measures": word}),),
            "checked_at": word,
            "uri": word,
            "given": true.given.model_copy(update={"policy": word}),
            "manifest": true.manifest.model_copy(update={"files": ()}),
        }
    )
    reported(1, forged)
    (one,) = reviews.listed()
    seen = reviews.report(one.seen)
    assert word not in RENDERERS["json"][1](seen) + RENDERERS["html"][1](seen)
    assert (seen.decision, seen.uri, seen.manifest) == (Decision.FLAGGED, str(one.seen.ref), None)
    assert [f.metric for f in seen.verdict.findings] == [f.metric for f in true.verdict.findings]
    assert one.glance.classes == true.verdict.target_classes
    assert one.glance.reason == glance(true).reason


def test_a_report_that_comes_to_light_later_is_found(reviews, registry, reported):
    """What was not there once is not remembered as absent where the tag names another place."""
    ref = reported(1, reports.flagged())
    where = registry.facts(ref).tags["gate.report"]
    elsewhere = registry.root / "runs" / (32 * "b")
    elsewhere.mkdir()
    (elsewhere / "report.json").write_text("{}")
    registry.mark(ref, {"gate.report": f"runs:/{elsewhere.name}/report"})
    assert reviews.listed()[0].glance is None
    registry.mark(ref, {"gate.report": where})
    assert reviews.listed()[0].glance is not None


def test_each_report_is_fetched_once_and_so_many_at_a_look(reviews, registry, reported, monkeypatch):
    """A page of hundreds neither takes minutes nor asks the registry again and again."""
    from gate.service import reviews as module

    monkeypatch.setattr(module, "_FETCHED_AT_ONCE", 2)
    report = reports.flagged()
    for number in range(1, 4):
        evidence = report.evidence.model_copy(update={"seed": number})
        reported(number, report.model_copy(update={"evidence": evidence}), dt.timedelta(hours=number))
    asked = []
    fetch = registry.fetch
    monkeypatch.setattr(registry, "fetch", lambda uri, to: asked.append(uri) or fetch(uri, to))
    assert [one.glance is not None for one in reviews.listed()] == [True, True, False]
    assert [one.glance is not None for one in reviews.listed()] == [True, True, True]
    shutil.rmtree(registry.root / "runs")
    assert [one.glance is not None for one in reviews.listed()] == [True, True, True]
    assert len(asked) == 3


def test_a_report_at_a_glance():
    """One sentence and the pictures of the class that a limit named; of a check that could not finish, its error."""
    seen = glance(reports.flagged())
    assert seen.classes == (7,)
    assert seen.reason.startswith("The search found a small patch in the lower right corner")
    assert "more reason" in seen.reason
    assert "class 7" in seen.thumbnail.alt
    unfinished = reports.unfinished()
    assert reason_of(unfinished) == unfinished.error
    assert reason_of(reports.approved()) == "No limit was exceeded."


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (0, "just now"),
        (59, "just now"),
        (60, "1 minute ago"),
        (3 * 3600, "3 hours ago"),
        (86400 * 2, "2 days ago"),
        (86400 * 8, "1 week ago"),
        (86400 * 40, "1 month ago"),
        (86400 * 800, "2 years ago"),
        (-3 * 3600, "in 3 hours"),
    ],
)
def test_an_age_is_said_as_a_person_says_it(seconds, said):
    """In the largest unit of which there is one."""
    at = now()
    assert ago(at - dt.timedelta(seconds=seconds), at) == said


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

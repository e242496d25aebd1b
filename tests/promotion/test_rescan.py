"""Re-scans: what is due, beside what it is scanned, and a verdict that cannot be noted down, which is never lost."""

import datetime as dt
from types import SimpleNamespace

import pytest

from gate.attestations.envelope import sign
from gate.attestations.keys import generate_key
from gate.attestations.log import ReviewLog, Said
from gate.check.base_model import asked_base
from gate.check.evidence import ScanSettings
from gate.check.rules import Rules
from gate.cli import rescan as command
from gate.promotion import rescan as rescanning
from gate.promotion.rescan import RESCAN_TAG, Rescan, Rescanned, due, rescan
from gate.promotion.verification import ATTESTATION_TAG, Trust, now, verify_version
from gate.records.artifact import ModelRef, build_manifest
from gate.records.errors import RegistryError, StoppedError, UsageError
from gate.records.finding import Decision
from gate.records.policy import DownloadBounds, Policy, Rule
from tests.attestations.signed import digest, statement
from tests.stand_ins.one_version import OneVersion

POLICY = Policy(version=1, detectors={"unsafe-pickle": Rule()})
VERDICT = SimpleNamespace(decision=Decision.APPROVED, model_digest=digest("a"))


class Production(OneVersion):
    """A production model of two versions behind aliases, which says which calls are refused."""

    def __init__(self, refused=""):
        super().__init__()
        self._refused = refused

    def aliases(self, name):
        """Return the aliases."""
        return {one: ModelRef(registry="mlflow", name=name, version=one[-1]) for one in ("blue-1", "green-2")}

    def require_marking(self, _ref):
        """Refuse it, or not."""
        if self._refused == "require_marking":
            raise RegistryError("this account may not mark it")

    def mark(self, ref, tags):
        """Refuse it, or not."""
        if self._refused == "mark":
            raise RegistryError("403")
        super().mark(ref, tags)


@pytest.fixture
def again(tmp_path, monkeypatch):
    """Return what scans production again, with a scan that is made up."""
    key = generate_key(tmp_path / "key.pem", tmp_path / "key.pub.pem")
    scanned = []

    def run(registry, scan=lambda: VERDICT, report_dir=tmp_path / "out", keys=(key.public,), trust=None):
        def scan_one(_registry, _request, ref, *_):
            scanned.append(str(ref))
            return scan()

        monkeypatch.setattr(rescanning, "_scan", scan_one)
        trust = trust or Trust(keys, POLICY.digest, download=DownloadBounds())
        request = Rescan("prod", dt.timedelta(0), Rules(POLICY), ScanSettings(), trust, report_dir)
        return rescan(registry, request, now(), lambda *_: None, lambda _: None), scanned

    return run


def test_an_adapter_is_scanned_beside_its_base(monkeypatch, tmp_path):
    """The base is asked for with each version's check."""
    asked = []

    def check(_registry, request, *_):
        asked.append(request)
        return SimpleNamespace(report=SimpleNamespace(verdict=VERDICT))

    monkeypatch.setattr(rescanning, "check", check)
    policy = Policy(version=1, detectors={"unsafe-pickle": Rule()})
    base = asked_base("models:/smollm/1")
    trust = Trust(
        (generate_key(tmp_path / "key.pem", tmp_path / "key.pub.pem").public,), policy.digest, download=DownloadBounds()
    )
    request = Rescan("prod", dt.timedelta(0), Rules(policy), ScanSettings(), trust, tmp_path / "out", base)
    done = rescan(Production(), request, now(), lambda *_: None, lambda _: None)
    assert [one.verdict for one in done] == [VERDICT] * 2
    assert [one.base for one in asked] == [base] * 2
    assert base.registry is None


def test_who_may_not_mark_scans_nothing(again):
    """An hour of scans would end in a 403."""
    done, scanned = again(Production("require_marking"))
    assert scanned == []
    assert [one.error for one in done] == ["this account may not mark it"] * 2


def test_a_verdict_that_cannot_be_marked_is_told_all_the_same(again):
    """Of every version, since one that cannot be marked keeps no other from its scan."""
    done, scanned = again(Production("mark"))
    assert scanned == ["models:/prod/1", "models:/prod/2"]
    assert [(one.verdict, one.error) for one in done] == [(VERDICT, "403")] * 2


def test_an_interrupted_rescan_goes_on_to_no_other_version(again):
    """Ctrl-C ends the command, and not one scan of it."""

    def interrupted():
        raise StoppedError("interrupted", number=2)

    with pytest.raises(StoppedError):
        again(Production(), interrupted)


def test_the_report_directory_is_tried_before_the_registry_is_asked(again, tmp_path):
    """A file in its place costs no scan."""
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match="cannot be written"):
        again(None, report_dir=tmp_path / "file")


BOTH = ["1", "2"]


@pytest.fixture
def signing(tmp_path):
    """Return a key, and the digest of the stand-in's version, which is empty."""
    (tmp_path / "empty").mkdir()
    return generate_key(tmp_path / "k.pem", tmp_path / "k.pub.pem"), build_manifest(tmp_path / "empty")[0].digest


def valid():
    """Return the times of a decision that was made now and holds for 30 days."""
    return {"decided_at": now(), "expires_at": now() + dt.timedelta(days=30)}


def versions_due(registry, key, log=None):
    """Return the versions that are due of what was last scanned 30 days ago."""
    trust = Trust((key.public,), POLICY.digest, log=log, download=DownloadBounds())
    asked = Rescan("prod", dt.timedelta(days=30), Rules(POLICY), ScanSettings(), trust, None)
    return [ref.version for ref in due(registry, asked, now())]


@pytest.mark.parametrize(
    ("tag", "expected"),
    [
        (f"approved {now() - dt.timedelta(days=9):%Y-%m-%dT%H:%M:%S%z}", []),
        (f"approved {now() - dt.timedelta(days=31):%Y-%m-%dT%H:%M:%S%z}", BOTH),
        ("approved 2999-01-01T00:00:00+0000", BOTH),
        (f"approved {now() - dt.timedelta(days=9):%Y-%m-%d}", BOTH),
        (f"approved {now() - dt.timedelta(days=9):%Y-%m-%dT%H:%M:%S}", BOTH),
        ("approved yesterday", BOTH),
        ("", BOTH),
    ],
    # Said here: ids with the time in them would differ between processes that share the tests out.
    ids=["nine days ago", "31 days ago", "to come", "a day", "no zone", "words", "empty"],
)
def test_a_tag_puts_a_scan_off_by_a_time_that_has_been(signing, tag, expected):
    """A time to come, or one without a zone, is none."""
    registry = Production()
    registry.tags[RESCAN_TAG] = tag
    assert versions_due(registry, signing[0]) == expected


def test_where_there_is_a_log_it_says_when_the_last_scan_was(signing, tmp_path):
    """A tag, which whoever may edit the version can set, then says nothing."""
    registry, log = Production(), ReviewLog(tmp_path / "log.jsonl")
    registry.tags[RESCAN_TAG] = f"approved {now():%Y-%m-%dT%H:%M:%S%z}"
    assert versions_due(registry, signing[0], log) == BOTH
    first = ModelRef(registry="mlflow", name="prod", version="1")
    log.append(Said("promotion", first, digest("a"), "as champion"), now())
    assert versions_due(registry, signing[0], log) == BOTH
    log.append(Said("rescan", first, digest("a"), "approved"), now())
    assert versions_due(registry, signing[0], log) == ["2"]


@pytest.mark.parametrize(
    ("changes", "due_then"),
    [({}, False), ({"decision": Decision.FLAGGED}, True), ({"bundle_digest": digest("e"), "covers": "bundle"}, True)],
)
def test_a_signed_decision_counts_where_it_approves_these_bytes(signing, again, changes, due_then):
    """Neither a flag nor an approval of other bytes is a scan of them, or an earlier approval."""
    key, empty = signing
    registry = Production()
    said = statement(**{"model_digest": empty} | valid() | changes)
    registry.tags[ATTESTATION_TAG] = sign(said, key)
    assert versions_due(registry, key) == (BOTH if due_then else [])
    done, _ = again(registry, keys=(key.public,))
    assert [one.earlier for one in done] == ([None, None] if due_then else [said, said])


@pytest.mark.parametrize("today", Decision)
def test_an_approval_holds_after_a_rescan_whatever_that_found(signing, again, tmp_path, today):
    """Nothing is taken out of production: the log has an entry, and the version a tag; only a decision is signed."""
    key, empty = signing
    registry, log = Production(), ReviewLog(tmp_path / "log.jsonl")
    version = ModelRef(registry="mlflow", name="m", version="1")
    said = statement(model=version, model_digest=empty, covers="candidate", policy_digest=POLICY.digest, **valid())
    registry.tags[ATTESTATION_TAG] = sign(said, key)
    log.append(Said("scan", version, empty, "approved", registry.tags[ATTESTATION_TAG]), now())
    registry.aliases = lambda _name: {"champion": version}
    trust = Trust((key.public,), POLICY.digest, log=log, download=DownloadBounds())
    assert verify_version(registry, "models:/m/1", trust, now()).verified.reasons == ()
    verdict = SimpleNamespace(decision=today, model_digest=empty)
    done, _ = again(registry, lambda: verdict, trust=trust)
    assert [(one.ref, one.earlier, one.would_be_flagged) for one in done] == [
        (version, said, today is Decision.FLAGGED)
    ]
    newest = log.read().entries[-1]
    assert (newest.event, newest.digest, newest.outcome) == ("rescan", empty, today.value)
    assert registry.tags[RESCAN_TAG].startswith(today.value)
    assert verify_version(registry, "models:/m/1", trust, now()).verified.reasons == ()


def test_no_approval_is_told_where_there_was_none(capsys):
    """The line says what was signed about these bytes."""
    verdict = SimpleNamespace(decision=Decision.APPROVED, open_findings=())
    ref = ModelRef(registry="mlflow", name="prod", version="1")
    command._show(Rescanned(ref, ("champion",), None, verdict))
    command._show(Rescanned(ref, ("champion",), statement(), verdict))
    assert capsys.readouterr().out.splitlines() == [
        "WOULD BE APPROVED  models:/prod/1 (champion), no signed approval of these bytes",
        "STILL APPROVED  models:/prod/1 (champion), approved on 2026-11-22",
    ]


def test_production_is_scanned_beside_the_bank_of_its_rules(monkeypatch, tmp_path):
    """Without it a policy that names one flags every version."""
    seen = []

    def check(_registry, asked, *_):
        seen.append(asked.rules.bank)
        return SimpleNamespace(report=SimpleNamespace(verdict=VERDICT))

    monkeypatch.setattr(rescanning, "check", check)
    bank = object()
    asked = Rescan(
        "prod",
        dt.timedelta(0),
        Rules(POLICY, bank=bank),
        ScanSettings(),
        Trust((), None, download=DownloadBounds()),
        tmp_path,
    )
    rescanning._scan(None, asked, ModelRef(registry="mlflow", name="prod", version="1"), None, None, None)
    assert seen == [bank]


def test_the_command_opens_the_bank_that_the_policy_pins(tmp_path):
    """One that is not there is told before the registry is asked."""
    policy = tmp_path / "policy.yml"
    pinned = f"bank: {{path: absent.json, sha256: {64 * 'a'}}}"
    policy.write_text(f"version: 1\ndetectors: {{unsafe-pickle: {{}}}}\n{pinned}\n")
    options = {"audit_log": None, "public_key": (), "report_dir": tmp_path, "bank": None, "base": None}
    with pytest.raises(UsageError, match=r"absent\.json"):
        command._request("prod", 0, policy, None, options)

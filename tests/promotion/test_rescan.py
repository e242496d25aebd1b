"""A re-scan that cannot be noted down: told before the scan where it can be, and its verdict is never lost."""

import datetime as dt
from types import SimpleNamespace

import pytest

from gate.attestations.keys import generate_key
from gate.check.adapter_base import asked_base
from gate.check.evidence import ScanSettings
from gate.check.rules import Rules
from gate.promotion import rescan as rescanning
from gate.promotion.rescan import Rescan, rescan
from gate.promotion.verification import Trust, now
from gate.records.artifact import ModelRef
from gate.records.errors import RegistryError, StoppedError, UsageError
from gate.records.finding import Decision
from gate.records.policy import Policy, Rule
from tests.attestations.signed import digest
from tests.stand_ins.one_version import OneVersion

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

    def run(registry, scan=lambda: VERDICT, report_dir=tmp_path / "out"):
        def scan_one(_registry, _request, ref, *_):
            scanned.append(str(ref))
            return scan()

        monkeypatch.setattr(rescanning, "_scan", scan_one)
        policy = Policy(version=1, detectors={"unsafe-pickle": Rule()})
        trust = Trust((key.public,), policy.digest)
        request = Rescan("prod", dt.timedelta(0), Rules(policy), ScanSettings(), trust, report_dir)
        return rescan(registry, request, now(), lambda *_: None, lambda _: None), scanned

    return run


@pytest.mark.parametrize("adapters", [True, False])
def test_an_adapter_is_scanned_beside_its_base_and_bank(monkeypatch, tmp_path, adapters):
    """The base is asked for; a bank stays only where it is of adapters, which nothing is examined without."""
    asked = []

    def check(_registry, request, *_):
        asked.append(request)
        return SimpleNamespace(report=SimpleNamespace(verdict=VERDICT))

    monkeypatch.setattr(rescanning, "check", check)
    policy = Policy(version=1, detectors={"unsafe-pickle": Rule()})
    bank = SimpleNamespace(bank=SimpleNamespace(adapters="a group" if adapters else None))
    base = asked_base("models:/smollm/1")
    trust = Trust((generate_key(tmp_path / "key.pem", tmp_path / "key.pub.pem").public,), policy.digest)
    request = Rescan(
        "prod", dt.timedelta(0), Rules(policy, bank=bank), ScanSettings(), trust, tmp_path / "out", base
    )  # fmt: skip
    done = rescan(Production(), request, now(), lambda *_: None, lambda _: None)
    assert [one.verdict for one in done] == [VERDICT] * 2
    assert [one.base for one in asked] == [base] * 2
    assert [one.rules.bank for one in asked] == [bank if adapters else None] * 2
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

"""The guard of protected aliases and stages: whatever goes wrong about a version is no approval of it."""

import datetime as dt
import json
import shutil
import threading

import pytest

from gate.attestations.envelope import sign
from gate.attestations.keys import generate_key
from gate.check import pull
from gate.policies.read import read_policy
from gate.promotion.verification import now
from gate.records.artifact import build_manifest
from gate.records.errors import (
    CannotFinishError,
    PolicyError,
    RefusedAddressError,
    RegistryError,
    UnknownVersionError,
    UsageError,
)
from gate.service.approvals import Approvals
from gate.service.guard import Guard
from gate.service.poll import Poll
from gate.service.run import require_rules
from gate.service.settings import ServiceFile, Settings
from tests.attestations.signed import digest, statement
from tests.service.serving import POLICY
from tests.service.standing_registry import FolderRegistry

WAIVED = (
    POLICY
    + f"""\
  graph-structure: {{limits: {{constant-gates: {{max: 0}}}}}}
waivers:
- {{detector: graph-structure, metric: constant-gates, model-digest: "{digest("e")}", reason: r, approved-by: ann,
   expires: 2000-01-01}}
"""
)


class Registry(FolderRegistry):
    """A registry with versions whose bytes it does not give, and an alias that it does not set."""

    def __init__(self, root):
        super().__init__(root)
        self.errors, self.pulled, self.refuses = {}, [], False

    def pull(self, ref, to):
        """Copy a version's files, or raise what was put there for it."""
        self.pulled.append(ref.version)
        if ref in self.errors:
            raise self.errors[ref]
        super().pull(ref, to)

    def set_alias(self, ref, alias):
        """Point an alias, or refuse it."""
        if self.refuses:
            raise RegistryError("403")
        super().set_alias(ref, alias)


class Production:
    """A production model with its policy, its guard, and the alerts that were sent."""

    def __init__(self, folder):
        self.folder, self.sent = folder, []
        self.key = generate_key(folder / "k.pem", folder / "k.pub.pem")
        self.registry = Registry(folder / "registry")
        self.policy = folder / "policy.yml"
        self.policy.write_text(POLICY)
        self.restart()

    def restart(self, **changes):
        """Forget what a process remembers."""
        section = {"name": "cand", "policy": str(self.policy), "production": "prod", **changes}
        file = ServiceFile.model_validate({"data": str(self.folder), "models": [section]})
        self.settings = Settings(file, ("s",), "sqlite:///unused")
        self.guard = Guard(self.settings, self.registry, (self.key.public,), self)

    def send(self, kind, **_facts):
        """Keep an alert."""
        self.sent.append(kind)

    def add(self, version, *, signed=True, like=None, **said):
        """Make a version with its own signed approval, another version's, or none."""
        ref = self.registry.add("prod", version, f"weights {version}")
        folder = self.registry.root / "prod" / str(like or version) / "model"
        said = statement(
            model_digest=build_manifest(folder)[0].digest,
            policy_digest=read_policy(self.policy, on=None).digest,
            decided_at=now(),
            expires_at=now() + dt.timedelta(days=30),
            **said,
        )
        self.registry.mark(ref, {"gate.attestation": sign(said, self.key)} if signed else {})
        return ref

    def point(self, ref):
        """Point the alias."""
        FolderRegistry.set_alias(self.registry, ref, "champion")

    def stage(self, ref):
        """Put a version in the protected stage."""
        (self.registry.root / "prod" / "stages.json").write_text(json.dumps({ref.version: "Production"}))

    def serves(self):
        """Return the version that the alias names."""
        return self.registry.alias("prod", "champion").version


@pytest.fixture
def production(tmp_path):
    """Return production with an approved version behind the alias, which the guard has looked at."""
    made = Production(tmp_path)
    made.point(made.add(1))
    assert made.guard.look("prod") == "0"
    return made


ERRORS = [
    RefusedAddressError("it lies in s3://attackers; nothing was downloaded"),
    CannotFinishError("it has more than the 20 GiB that the policy allows"),
    UsageError("its address is none"),
    RegistryError("the store of its bytes refused the gate's account"),
    OSError("File name too long"),
]


@pytest.mark.parametrize("error", ERRORS)
def test_a_version_whose_bytes_cannot_be_had_is_not_approved(production, error):
    """It carries another version's approval, so that the bytes would have to be compared: the alias goes back."""
    moved = production.add(2, like=1)
    production.registry.errors[moved] = error
    production.point(moved)
    assert (production.guard.look("prod"), production.serves()) == ("1", "1")
    assert production.sent == ["protected-alias"]


@pytest.mark.parametrize(("bounds", "holds"), [("max-files: 1", None), ("max-files: 2", True), ("max-gib: 100", True)])
def test_bytes_are_compared_within_the_policys_bounds(production, monkeypatch, bounds, holds):
    """An approved version of two files is unknown where the policy allows one; bounds above a default's hold too."""
    seen, bounded = [], pull.bounded
    monkeypatch.setattr(pull, "bounded", lambda folder, own, what: seen.append(own) or bounded(folder, own, what))
    production.policy.write_text(f"{POLICY}download: {{{bounds}}}\n")
    production.restart()
    (section,), ref = production.settings.file.models, production.add(2)
    approvals = Approvals(production.settings, production.registry, (production.key.public,), production)
    assert (approvals.holds(section, ref), approvals.held_once(section, ref)) == (holds, holds)
    assert approvals.can_be_had(section, ref) is bool(holds)
    assert seen == [read_policy(production.policy, on=None).download] * 3


def test_an_unsigned_version_is_never_downloaded(production):
    """The signature is looked at first."""
    production.registry.pulled.clear()
    production.point(production.add(2, signed=False))
    assert (production.guard.look("prod"), production.serves()) == ("1", "1")
    assert production.registry.pulled == []


def test_a_silent_registry_moves_nothing(production):
    """It is asked again later."""
    moved = production.add(2)
    production.point(moved)

    def silent(*_):
        raise RegistryError("it does not answer")

    production.registry.facts = silent
    with pytest.raises(RegistryError, match="does not answer"):
        production.guard.look("prod")
    del production.registry.facts
    assert (production.guard.look("prod"), production.serves()) == ("0", "2")


AWAY = [RegistryError("the artifact store answers 503"), CannotFinishError("no space left"), UnknownVersionError("?")]


@pytest.mark.parametrize("error", AWAY)
@pytest.mark.parametrize("restarted", [False, True])
def test_a_promotion_is_not_undone_while_no_version_can_be_had(production, error, restarted):
    """Nobody can tell whose fault it is: an alert says so, nothing is remembered as good, and it is asked again."""
    promoted = production.add(2)
    if restarted:
        production.restart()
    store = [promoted, production.registry.resolve("models:/prod/1")]
    production.registry.errors |= dict.fromkeys(store, error)
    production.point(promoted)
    assert (production.guard.look("prod"), production.serves()) == ("1", "2")
    assert (production.sent, production.guard._remembered()) == (["not-judged"], {"prod@champion": "1"})
    production.registry.errors.clear()
    assert (production.guard.look("prod"), production.serves()) == ("0", "2")
    assert production.guard._remembered() == {"prod@champion": "2"}


def test_bytes_that_are_others_go_back_once_the_store_answers(production):
    """What waits is the judgement, not the correction."""
    copied = production.add(2, like=1)
    store = [copied, production.registry.resolve("models:/prod/1")]
    production.registry.errors |= dict.fromkeys(store, RegistryError("503"))
    production.point(copied)
    assert (production.guard.look("prod"), production.serves()) == ("1", "2")
    production.registry.errors.clear()
    assert (production.guard.look("prod"), production.serves()) == ("1", "1")
    assert production.sent == ["not-judged", "protected-alias"]


def test_a_version_that_is_gone_says_nothing_about_the_store(production):
    """One that somebody deleted must not keep another in production that only the gate cannot download."""
    copied = production.add(2, like=1)
    production.registry.errors[copied] = RegistryError("503")
    production.point(copied)
    shutil.rmtree(production.registry.root / "prod" / "1")
    assert production.guard.look("prod") == "1"
    assert production.sent == ["protected-alias"]


def test_an_unsigned_version_goes_back_while_the_store_and_the_log_are_away(production):
    """It is judged by its tag alone."""
    production.settings.audit_log.write_text("damaged\n")
    production.registry.errors[production.registry.resolve("models:/prod/1")] = RegistryError("503")
    production.point(production.add(2, signed=False))
    assert (production.guard.look("prod"), production.serves()) == ("1", "1")


def test_a_log_that_cannot_be_read_judges_nothing(production):
    """Damaged, or of another's: neither the promotion nor its undoing is the guard's to choose."""
    production.settings.audit_log.write_text("damaged\n")
    production.point(production.add(2))
    assert (production.guard.look("prod"), production.serves()) == ("1", "2")
    assert (production.sent, production.guard._remembered()) == (["not-judged"], {"prod@champion": "1"})
    production.settings.audit_log.unlink()
    assert production.guard.look("prod") == "0"


def test_a_log_that_is_not_there_any_more_approves_nothing(production):
    """A decision that was signed after a line of it is not approved by its absence: a rejection may stand there."""
    production.point(production.add(2, log_head=digest("d")))
    assert (production.guard.look("prod"), production.serves()) == ("1", "2")
    assert (production.sent, production.guard._remembered()) == (["not-judged"], {"prod@champion": "1"})


def test_a_policy_that_was_never_read_judges_nothing(production):
    """A service that starts while its policy's disk is away undoes no promotion."""
    production.point(production.add(2))
    production.restart()
    kept = production.policy.read_text()
    production.policy.unlink()
    assert (production.guard.look("prod"), production.serves()) == ("1", "2")
    assert production.sent == ["policy-unreadable", "not-judged"]
    production.policy.write_text(kept)
    assert production.guard.look("prod") == "0"


def test_a_stage_is_left_where_no_version_can_be_had(production):
    """As an alias is; once the store answers, it is judged."""
    copied = production.add(2, like=1)
    production.restart(aliases=[])
    production.stage(copied)
    store = [copied, production.registry.resolve("models:/prod/1")]
    production.registry.errors |= dict.fromkeys(store, RegistryError("503"))
    assert production.guard.look("prod") == "1"
    assert production.registry.staged("prod", ["Production"]) == [(copied, "Production")]
    production.registry.errors.clear()
    assert production.guard.look("prod") == "1"
    assert production.registry.staged("prod", ["Production"]) == []
    assert production.sent == ["not-judged", "protected-stage"]


def test_an_approved_version_whose_bytes_cannot_be_had_any_more_stays(production):
    """After a restart nothing is remembered as compared; an outage of the store must not stop production."""
    production.restart()
    ref = production.registry.alias("prod", "champion")
    production.registry.errors[ref] = OSError("no space left on device")
    assert (production.guard.look("prod"), production.serves()) == ("1", "1")
    assert production.sent == ["no-longer-approved"]


def test_an_alias_that_cannot_be_put_back_raises_an_alert(production):
    """And the error goes on, so that it is tried again."""
    production.registry.refuses = True
    production.point(production.add(2, signed=False))
    with pytest.raises(RegistryError, match="403"):
        production.guard.look("prod")
    assert production.sent == ["protected-alias"]


def test_one_alias_that_cannot_be_put_back_does_not_hide_the_stages(production):
    """Each place is looked at."""
    production.registry.refuses = True
    moved = production.add(2, signed=False)
    production.point(moved)
    production.stage(moved)
    with pytest.raises(RegistryError, match="403"):
        production.guard.look("prod")
    assert production.sent == ["protected-alias", "protected-stage"]


@pytest.mark.parametrize("policy", [WAIVED, "version: 1\nnme: x\n", None])
def test_the_guard_outlives_a_policy_that_no_check_could_use(production, policy):
    """A waiver that has run out, a misspelt key, a file that is gone: the policy is kept as it last was."""
    production.policy.write_text(policy) if policy else production.policy.unlink()
    production.point(production.registry.add("prod", 2, "weights 2"))
    assert (production.guard.look("prod"), production.serves()) == ("1", "1")
    assert ("policy-unreadable" in production.sent) == (policy != WAIVED)
    assert "protected-alias" in production.sent


def test_the_poll_guards_where_a_waiver_has_run_out(production):
    """No version can be checked under that policy, and production is guarded all the same."""
    production.policy.write_text(WAIVED)
    production.point(production.add(2, signed=False))
    poll = object.__new__(Poll)
    poll._guard, poll._settings, poll._registry, poll._keys = production.guard, production.settings, None, ()

    class Checks:
        def rules(self, _name):
            raise UsageError("the waiver expired")

    poll._checks = Checks()
    with pytest.raises(UsageError, match="expired"):
        poll._look(production.settings.file.models[0])
    assert production.serves() == "1"


def test_a_waiver_that_has_run_out_keeps_no_service_from_starting(production):
    """One that is down guards nothing; an alert says what to mend. Any other fault of the policy is an error."""
    section = production.settings.file.models[0]
    require_rules(section, production)
    assert production.sent == []
    production.policy.write_text(WAIVED)
    require_rules(section, production)
    assert production.sent == ["policy-unreadable"]
    production.policy.write_text(WAIVED + "nme: x\n")
    with pytest.raises(PolicyError, match="unknown key 'nme'"):
        require_rules(section, production)


def test_after_a_change_of_the_policy_an_approval_by_the_old_one_is_none(production):
    """Moving the alias back is a move to what today's policy never approved; a restart must not be needed to see it."""
    production.policy.write_text(POLICY + "level: 0.1\n")
    production.point(production.add(2))
    assert production.guard.look("prod") == "0"
    production.point(production.registry.resolve("models:/prod/1"))
    assert (production.guard.look("prod"), production.serves()) == ("1", "2")
    assert production.sent == ["protected-alias"]


def test_a_stage_is_left_where_an_error_hides_an_approval_that_was_seen_there(production):
    """One that was never approved there is archived, whatever the error is."""
    good = production.registry.resolve("models:/prod/1")
    production.stage(good)
    assert production.guard.look("prod") == "0"
    production.restart(aliases=[])
    production.registry.errors[good] = OSError("no space left on device")
    assert production.guard.look("prod") == "1"
    assert production.registry.staged("prod", ["Production"]) == [(good, "Production")]
    del production.registry.errors[good]
    copied = production.add(2, like=1)
    production.stage(copied)
    production.registry.errors[copied] = OSError("File name too long")
    assert production.guard.look("prod") == "1"
    assert production.registry.staged("prod", ["Production"]) == []
    assert production.sent == ["no-longer-approved", "protected-stage"]


def test_places_that_are_remembered_at_once_are_all_remembered(production):
    """The poll and the workers of webhooks share one file."""
    for _ in range(25):
        (production.folder / "protected.json").write_text("{}")
        threads = [
            threading.Thread(target=production.guard._remember, args=(f"prod@{number}", "1")) for number in range(4)
        ]
        for one in threads:
            one.start()
        for one in threads:
            one.join()
        assert len(production.guard._remembered()) == 4

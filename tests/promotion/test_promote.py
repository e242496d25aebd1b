"""Promotion on a real server: what is promoted, what is refused, and what an end at any step leaves."""

import shutil

import pytest

from gate.artifact import build_manifest
from gate.decisions.log import ReviewLog
from gate.promotion.promote import NotApprovedError, promote
from gate.promotion.verification import Trust, now, verify_version
from gate.pulling import digest_now
from gate.verdict import Decision
from tests.promotion.deciding import POLICY, decide, promotion

STEPS = ("pull", "log_model", "create_version", "set_alias")


def silent(_message):
    """Tell nobody."""


class InterruptedHereError(Exception):
    """The process ended here."""


class EndsAt:
    """A registry whose process ends before or after one step."""

    def __init__(self, registry, step, when):
        self._registry, self._step, self._when = registry, step, when

    def allowing(self, stores):
        """Return one that ends likewise."""
        return EndsAt(self._registry.allowing(stores), self._step, self._when)

    def __getattr__(self, name):
        method = getattr(self._registry, name)
        if name != self._step:
            return method

        def ended(*arguments):
            if self._when == "after":
                method(*arguments)
            raise InterruptedHereError(name)

        return ended


def everything(server, name):
    """Return what production looks at: the alias, and the bytes behind it."""
    with server.registry() as registry:
        ref = registry.alias(name, "champion")
        return ref, digest_now(registry, ref) if ref else None


def test_an_approved_version_is_promoted_as_the_gates_own_bytes(server, key, tmp_path):
    """The alias names a new version with the approved bytes; the candidate's later change does not reach it."""
    log = ReviewLog(tmp_path / "log.jsonl")
    name = server.candidate("weights of promoted")
    decide(server, name, 1, key, log=log)
    with server.registry() as registry:
        done = promote(registry, promotion(name, 1, f"prod-{name}", key, log), now(), silent)
        assert registry.alias(f"prod-{name}", "champion") == done.version
        assert digest_now(registry, done.version) == done.digest
        again = promote(registry, promotion(name, 1, f"prod-{name}", key, log), now(), silent)
        assert (again.version, again.before) == (done.version, done.version)
    with server.account("trainer") as client:
        source = client.get_model_version(name, "1").source
    (server.stored(source) / "data" / "model.pt2").write_text("other weights")
    with server.registry() as registry:
        trust = Trust((key.public,), POLICY, candidate=name, log=log)
        assert verify_version(registry, f"models:/prod-{name}@champion", trust, now()).holds
        looked = verify_version(registry, f"models:/{name}/1", trust, now())
        with pytest.raises(NotApprovedError, match="not those of the decision"):
            promote(registry, promotion(name, 1, f"prod-{name}", key, log), now(), silent)
    assert [("not those of the decision" in reason) for reason in looked.verified.reasons] == [True]
    assert [entry.event for entry in log.read().entries] == ["scan", "promotion", "promotion"]


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("step", STEPS)
def test_an_end_at_any_step_leaves_production_and_a_second_run_completes(server, key, step, when):
    """Alias and bytes are as they were, or (after the last step) new; then one run ends it, with one version."""
    name = server.candidate(f"first {step} {when}", f"second {step} {when}")
    to = f"prod-{name}"
    for version in (1, 2):
        decide(server, name, version, key)
    with server.registry() as registry:
        first = promote(registry, promotion(name, 1, to, key), now(), silent)
        before = everything(server, to)
    with server.registry() as registry, pytest.raises(InterruptedHereError):
        promote(EndsAt(registry, step, when), promotion(name, 2, to, key), now(), silent)
    after = everything(server, to)
    assert (after == before) == ((step, when) != ("set_alias", "after"))
    with server.registry() as registry:
        done = promote(registry, promotion(name, 2, to, key), now(), silent)
        assert [str(ref) for ref, _ in registry.find_versions(to, {})] == [str(done.version), str(first.version)]
    assert everything(server, to) == (done.version, done.digest)


REFUSED = {
    "flagged": ({"decision": Decision.FLAGGED, "assurance": None}, "not approved: flagged"),
    "another policy": ({"policy_digest": "sha256:" + 64 * "9"}, "under another policy"),
}


@pytest.mark.parametrize(("changes", "said"), REFUSED.values(), ids=REFUSED)
def test_what_is_not_approved_is_not_promoted(server, key, changes, said):
    """Nothing is made in production, not even the model."""
    name = server.candidate("weights")
    decide(server, name, 1, key, **changes)
    with server.registry() as registry:
        with pytest.raises(NotApprovedError, match=said):
            promote(registry, promotion(name, 1, f"prod-{name}", key), now(), silent)
        assert registry.find_versions(f"prod-{name}", {}) == []


def test_a_newer_decision_in_the_log_outweighs_an_older_envelope(server, key, tmp_path):
    """An approval put back after a flagged re-scan is refused where the log is at hand."""
    log = ReviewLog(tmp_path / "log.jsonl")
    name = server.candidate("weights")
    approved = decide(server, name, 1, key, log=log)
    decide(server, name, 1, key, log=log, decision=Decision.FLAGGED)
    with server.account("trainer") as client:
        client.set_model_version_tag(name, "1", "gate.attestation", approved)
    with server.registry() as registry, pytest.raises(NotApprovedError, match="newer decision"):
        promote(registry, promotion(name, 1, f"prod-{name}", key, log), now(), silent)


@pytest.mark.parametrize("at_hand", [True, False], ids=["--bundle", "from the logged reports"])
def test_of_level_b_the_bundle_alone_is_promoted(server, key, tmp_path, at_hand):
    """Production holds the bundle's bytes and none of the candidate's; another bundle is refused."""
    name = server.candidate("weights with code")
    bundle = server.model_folder("code-free")
    changes = {"assurance": "B", "bundle_digest": build_manifest(bundle)[0].digest}
    decide(server, name, 1, key, **changes)
    with server.registry() as registry:
        ref = registry.resolve(f"models:/{name}/1")
        shutil.copytree(bundle, tmp_path / "reports" / "bundle")
        registry.mark(ref, {"gate.report": registry.log_reports(ref, tmp_path / "reports", name)})
        request = promotion(name, 1, f"prod-{name}", key, bundle=bundle if at_hand else None)
        done = promote(registry, request, now(), silent)
        assert digest_now(registry, done.version) == changes["bundle_digest"]
        other = promotion(name, 1, f"prod-{name}", key, bundle=server.model_folder("other"))
        with pytest.raises(NotApprovedError, match="not those of the decision"):
            promote(registry, other, now(), silent)

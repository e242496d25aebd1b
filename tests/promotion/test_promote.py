"""Promotion on a real server: what is promoted, what is refused, and what an end at any step leaves."""

import pytest

from gate.attestations.envelope import open_envelope
from gate.attestations.log import ReviewLog
from gate.check.files import private_directory
from gate.check.pull import digest_now
from gate.promotion.promote import NotApprovedError, promote
from gate.promotion.verification import Trust, now, verify_version
from gate.records.artifact import build_manifest
from gate.records.errors import CannotFinishError
from gate.records.finding import Decision
from gate.records.policy import DownloadBounds
from tests.promotion.deciding import LOSSES, POLICY, decide, promotion

STEPS = ("bundle_places", "fetch", "log_model", "create_version", "pull", "set_alias")

PROVENANCE = '{"made_by": "gate 0", "parent": "sha256:0"}'


def silent(_message):
    """Tell nobody."""


class InterruptedHereError(Exception):
    """The process ended here."""


class EndingRegistry:
    """A registry whose process ends before or after one step."""

    def __init__(self, registry, step, when):
        self._registry, self._step, self._when = registry, step, when

    def allowing(self, stores):
        """Return one that ends likewise."""
        return EndingRegistry(self._registry.allowing(stores), self._step, self._when)

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
        return ref, digest_now(registry, ref, DownloadBounds()) if ref else None


def test_an_approved_version_is_promoted_as_the_bundle_that_the_gate_wrote(server, key, tmp_path):
    """The alias names a new version with the bundle's bytes; nothing of the candidate reaches production any more."""
    log = ReviewLog(tmp_path / "log.jsonl")
    name = server.candidate("weights of promoted")
    decide(server, name, 1, key, log=log)
    with server.registry() as registry:
        done = promote(registry, promotion(name, 1, f"prod-{name}", key, log), now(), silent)
        assert registry.alias(f"prod-{name}", "champion") == done.version
        assert (
            digest_now(registry, done.version, DownloadBounds())
            == done.digest
            != digest_now(registry, done.candidate, DownloadBounds())
        )
        assert done.losses == LOSSES
        again = promote(registry, promotion(name, 1, f"prod-{name}", key, log), now(), silent)
        assert (again.version, again.before) == (done.version, done.version)
    with server.account("trainer") as client:
        source = client.get_model_version(name, "1").source
    (server.stored(source) / "data" / "model.pt2").write_text("other weights")
    with server.registry() as registry:
        trust = Trust((key.public,), POLICY, candidate=name, log=log, download=DownloadBounds())
        assert verify_version(registry, f"models:/prod-{name}@champion", trust, now()).holds
        looked = verify_version(registry, f"models:/{name}/1", trust, now())
        later = promote(registry, promotion(name, 1, f"prod-{name}", key, log), now(), silent)
    assert (later.version, later.digest) == (done.version, done.digest)
    assert [("not those of the decision" in reason) for reason in looked.verified.reasons] == [True]
    assert [entry.event for entry in log.read().entries] == ["scan", "promotion", "promotion", "promotion"]


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
        promote(EndingRegistry(registry, step, when), promotion(name, 2, to, key), now(), silent)
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


@pytest.mark.parametrize("covers", ["candidate", "bundle"])
def test_a_bundle_at_hand_is_promoted_and_another_is_refused(server, key, covers):
    """--bundle names a folder; its digest decides."""
    name = server.candidate("weights at hand")
    bundle = server.model_folder("code-free")
    (bundle / "provenance.json").write_text(PROVENANCE)
    found = build_manifest(bundle)[0].digest
    decide(server, name, 1, key, assurance="B" if covers == "bundle" else "A", bundle_digest=found, covers=covers)
    with server.registry() as registry:
        done = promote(registry, promotion(name, 1, f"prod-{name}", key, bundle=bundle), now(), silent)
        assert digest_now(registry, done.version, DownloadBounds()) == found
        other = promotion(name, 1, f"prod-{name}", key, bundle=server.model_folder("other"))
        with pytest.raises(NotApprovedError, match="not those of the decision"):
            promote(registry, other, now(), silent)
        with pytest.raises(CannotFinishError, match="holds the bundle"):
            promote(registry, promotion(name, 1, f"prod-{name}", key), now(), silent)


def test_a_forged_copy_of_a_bundle_denies_nothing(server, key):
    """Somebody who writes to the gate's experiment puts other bytes under the digest: the copy that fits is taken."""
    name = server.candidate("weights forged")
    decide(server, name, 1, key)
    with server.registry() as registry:
        ref = registry.resolve(f"models:/{name}/1")
        said = open_envelope(registry.facts(ref).tags["gate.attestation"], (key.public,)).statement.predicate
        (honest,) = registry.bundle_places(said.bundle_digest)
        forged = registry.log_reports(ref, server.model_folder("forged"), f"forged {name}")
        places = (forged, honest)
        promoting = _Instead(registry, bundle_places=lambda _digest: places)
        done = promote(promoting, promotion(name, 1, f"prod-{name}", key), now(), silent)
        assert digest_now(registry, done.version, DownloadBounds()) == said.bundle_digest


class _Instead:
    """A registry of whose methods some are others."""

    def __init__(self, registry, **others):
        self._registry, self._others = registry, others

    def allowing(self, stores):
        """Return the same of the registry that allows more."""
        return _Instead(self._registry.allowing(stores), **self._others)

    def __getattr__(self, name):
        return self._others.get(name) or getattr(self._registry, name)


def test_what_the_previous_gate_promoted_verifies_and_is_upgraded_by_another_check(server, key):
    """Its statement of the first version verifies production's old bytes, promotes no more, and a new one moves on."""
    name = server.candidate("weights of yore")
    to = f"prod-{name}"
    first = decide(server, name, 1, key, bundle_digest=None, covers=None)
    with server.registry() as registry:
        # As the previous gate has left it: the candidate's own bytes behind the alias.
        candidate = registry.resolve(f"models:/{name}/1")
        with private_directory() as folder:
            registry.pull(candidate, folder)
            source = registry.log_model(folder, f"earlier {name}")
        old = registry.create_version(to, source, {"gate.attestation": first, "gate.decision": "approved"})
        registry.set_alias(old, "champion")
        trust = Trust((key.public,), POLICY, candidate=name, download=DownloadBounds())
        assert verify_version(registry, f"models:/{to}@champion", trust, now()).holds
        with pytest.raises(
            NotApprovedError, match=r"decided by gate 0, which promoted the candidate's own bytes.*again"
        ):
            promote(registry, promotion(name, 1, to, key), now(), silent)
        assert registry.alias(to, "champion") == old
    decide(server, name, 1, key)
    with server.registry() as registry:
        done = promote(registry, promotion(name, 1, to, key), now(), silent)
        assert (done.before, registry.alias(to, "champion")) == (old, done.version)
        assert verify_version(registry, f"models:/{to}@champion", trust, now()).holds
        assert verify_version(registry, str(old), trust, now()).holds, "until it expires"


def test_a_version_of_which_no_bundle_was_written_is_not_promoted(server, key):
    """It may be approved as it lies, and says why it is not copied."""
    name = server.candidate("weights without a writer")
    decide(server, name, 1, key, bundle_digest=None)
    with server.registry() as registry, pytest.raises(NotApprovedError, match="No bundle could be written of it"):
        promote(registry, promotion(name, 1, f"prod-{name}", key), now(), silent)


def test_the_candidates_bytes_do_not_verify_where_the_bundle_alone_is_approved(server, key):
    """`serve: bundle`: verify names the bundle, production verifies."""
    name = server.candidate("weights of a candidate that is not served")
    decide(server, name, 1, key, covers="bundle")
    with server.registry() as registry:
        trust = Trust((key.public,), POLICY, candidate=name, download=DownloadBounds())
        looked = verify_version(registry, f"models:/{name}/1", trust, now())
        (reason,) = looked.verified.reasons
        assert "covers the gate's bundle sha256:" in reason
        assert "not the candidate's own bytes" in reason
        promote(registry, promotion(name, 1, f"prod-{name}", key), now(), silent)
        assert verify_version(registry, f"models:/prod-{name}@champion", trust, now()).holds


@pytest.mark.parametrize("how", ["a file", "a link"])
def test_what_mlflow_writes_beside_a_model_is_no_way_into_production(server, key, tmp_path, how):
    """The one name that no manifest of a candidate counts: in a bundle it is a foreign file like any other."""
    name = server.candidate(f"weights beside {how}")
    bundle = server.model_folder("code-free, with something beside it")
    (bundle / "provenance.json").write_text(PROVENANCE)
    decide(server, name, 1, key, bundle_digest=build_manifest(bundle)[0].digest)
    (tmp_path / "secret").write_text("a secret of the gate's host")
    if how == "a file":
        (bundle / "registered_model_meta").write_text("model_name: other")
    else:
        (bundle / "registered_model_meta").symlink_to(tmp_path / "secret")
    with server.registry() as registry:
        with pytest.raises(NotApprovedError, match=r"registered_model_meta|not those of the decision"):
            promote(registry, promotion(name, 1, f"prod-{name}", key, bundle=bundle), now(), silent)
        assert registry.find_versions(f"prod-{name}", {}) == []

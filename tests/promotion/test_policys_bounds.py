"""Whoever downloads a version does so within the bounds of the policy, narrower or wider than a policy's default."""

import datetime as dt
import shutil
from types import SimpleNamespace

import pytest

from gate.attestations.envelope import sign
from gate.attestations.keys import generate_key
from gate.attestations.log import ReviewLog
from gate.check import pull
from gate.check.signing import Signing
from gate.cli.option_values import trusted_by
from gate.promotion import bundles, promote, rescan, review
from gate.promotion.review import Review
from gate.promotion.verification import Trust, now, verify_version
from gate.records.artifact import build_manifest
from gate.records.errors import CannotFinishError, PolicyError
from gate.records.policy import DownloadBounds, Policy
from tests.attestations.signed import digest, statement
from tests.service.serving import POLICY
from tests.service.standing_registry import FolderRegistry

NARROW, WIDE = DownloadBounds(max_files=1), DownloadBounds(max_gib=100)
"""A version has two files; a default policy ends at 64 GiB."""


class Registry(FolderRegistry):
    """A registry that keeps one bundle."""

    def bundle_places(self, _digest):
        """Return its place."""
        return ("runs:/kept/bundle",)


class Site:
    """A version with a signed approval, its bundle, and all who ask for either."""

    def __init__(self, folder, bounds):
        self.registry, self.folder = Registry(folder / "registry"), folder
        self.ref = self.registry.add("cand", 1, "weights")
        model = self.registry.root / "cand" / "1" / "model"
        shutil.copytree(model, self.registry.root / "bundles" / "kept")
        self.digest = build_manifest(model)[0].digest
        self.key = generate_key(folder / "k.pem", folder / "k.pub.pem")
        self.policy = Policy(version=1, detectors={"unsafe-pickle": {}}, reviewers={"names": ["ann"]}, download=bounds)
        self.statement = statement(
            model=self.ref,
            model_digest=self.digest,
            bundle_digest=self.digest,
            covers="candidate",
            policy_digest=self.policy.digest,
            decided_at=now(),
            expires_at=now() + dt.timedelta(days=1),
        )
        self.registry.mark(self.ref, {"gate.attestation": sign(self.statement, self.key)})
        self.trust = Trust((self.key.public,), self.policy.digest, download=bounds)

    def verify(self):
        """Verify the version."""
        return verify_version(self.registry, "models:/cand/1", self.trust, now()).holds

    def rescan(self):
        """Look for the approval of the version's bytes."""
        return rescan._approval(self.registry, self.ref, self.registry.facts(self.ref), self.trust)

    def review(self):
        """Examine whether the version can be reviewed."""
        signing = Signing(self.key, ReviewLog(self.folder / "log.jsonl"))
        request = Review("models:/cand/1", "rejected", "why", 1, self.policy, (self.key.public,))
        seen = review.look(self.registry, "models:/cand/1", request.keys)
        return review._reviewable(self.registry, seen, request, signing, now())

    def bundle_of_a_review(self):
        """Fetch the bundle that a reviewer approves."""
        request = SimpleNamespace(outcome="approved", policy=self.policy)
        return review._bundle(self.registry, self.statement, request, SimpleNamespace(model_key=self.key))

    def bundle_of_a_promotion(self):
        """Fetch the bundle that is promoted."""
        (self.folder / "to").mkdir()
        asked = SimpleNamespace(bundle=None, trust=self.trust)
        return promote._fetch(self.registry, asked, self.statement, self.folder / "to")

    def production(self):
        """Read a production version back."""
        return promote._same_bytes(self.registry, self.ref, self.digest, self.trust.download)


ASKING = (
    Site.verify,
    Site.rescan,
    Site.review,
    Site.bundle_of_a_review,
    Site.bundle_of_a_promotion,
    Site.production,
)


@pytest.fixture
def downloads(monkeypatch):
    """Return the bounds of every download."""
    seen = []
    for module in (pull, bundles):
        original = module.bounded

        def spy(folder, bounds, what, original=original, **options):
            seen.append(bounds)
            return original(folder, bounds, what, **options)

        monkeypatch.setattr(module, "bounded", spy)
    return seen


@pytest.mark.parametrize("ask", ASKING, ids=lambda ask: ask.__name__)
def test_what_is_beyond_the_policys_bounds_is_downloaded_by_nobody(tmp_path, ask):
    """It ends there, and the error says which bound and where it stands."""
    with pytest.raises(CannotFinishError, match="more than the 1 files") as caught:
        ask(Site(tmp_path, NARROW))
    assert "--policy" in caught.value.what_to_do


@pytest.mark.parametrize("ask", ASKING, ids=lambda ask: ask.__name__)
def test_bounds_that_were_raised_in_the_policy_hold_for_everybody(tmp_path, downloads, ask):
    """The advice to raise them is true."""
    assert ask(Site(tmp_path, WIDE))
    assert downloads
    assert set(downloads) == {WIDE}


@pytest.mark.parametrize(
    ("asked", "any_policy"), [(None, False), (None, True), (digest("b"), False)], ids=["file", "any", "digest"]
)
def test_a_policys_file_bounds_a_verification_by_any_way_to_name_the_policy(tmp_path, asked, any_policy):
    """Beside its digest, or where any policy is accepted, the file still says how much is downloaded."""
    path = tmp_path / "policy.yml"
    path.write_text(f"{POLICY}download: {{max-gib: 100}}\n")
    assert trusted_by(path, asked, any_policy=any_policy)[2] == WIDE


def test_without_a_readable_file_the_bounds_of_a_policy_that_states_none_hold(tmp_path):
    """Docs say so, in reference/bounds.md; where the file has to say the digest, it is an error as before."""
    assert trusted_by(tmp_path / "none.yml", digest("b"), any_policy=False) == (digest("b"), (), DownloadBounds())
    with pytest.raises(PolicyError):
        trusted_by(tmp_path / "none.yml", None, any_policy=False)

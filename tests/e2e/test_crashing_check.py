"""A crash at every call of the publish step: nothing is approved before its end, and a second run ends with the same.

A real check's files and a real store; the scan itself is broken off in `test_unfinished.py`, promotion in
`tests/promotion/test_crashes.py`.
"""

from contextlib import suppress

import pytest

from gate.attestations.keys import generate_key
from gate.check.files import CheckFiles
from gate.check.publish import publish
from gate.check.pull import digest_now
from gate.check.signing import Signing
from gate.promotion.promote import Promotion, promote
from gate.promotion.verification import Trust, now
from gate.records.policy import DownloadBounds
from gate.registries import RegistrySettings, open_production
from tests.stand_ins.crashing import CRASHES, ENDS, crashing

pytestmark = pytest.mark.slow
STEPS = {"mark", "keep_bundle", "log_reports"}


def silent(_message):
    """Tell nobody."""


@pytest.fixture(scope="module")
def checked(world, tmp_path_factory):
    """Return a store, a version in it, and the files of a check of it that nobody published."""
    store = world.embedded
    name = store.register("clean")
    desk = world.desk(MLFLOW_TRACKING_URI=store.uri)
    ended = desk.gate("check", f"models:/{name}/1", "--no-mark")
    assert ended.code == 0, ended
    key = generate_key(tmp_path_factory.mktemp("key") / "gate.pem", tmp_path_factory.mktemp("public") / "gate.pub.pem")
    return store, name, CheckFiles(desk.out), key


@pytest.mark.parametrize("crash", CRASHES.values(), ids=CRASHES)
def test_a_crash_of_publish_approves_nothing_and_the_next_run_completes_it(checked, crash, tmp_path):
    """The version is marked approved by the very last call alone; the bundle is kept once, and can be promoted."""
    store, name, files, key = checked
    crashed = set()
    with store.client():
        registry = open_production(RegistrySettings(store.uri, store.uri, experiment=f"gate {tmp_path.name}"))
        ref, bundle = registry.resolve(f"models:/{name}/1"), files.verdict().bundle_digest
        for number, one in enumerate(crashing(registry, crash)):
            registry.mark(ref, {"gate.decision": "flagged", "gate.attestation": "unsigned"})
            with suppress(*ENDS):
                publish(one, files, Signing(key))
            tags = registry.facts(ref).tags
            # A version's tags are set one by one, the decision last: after it, the step has had its effect.
            complete = not one.crashed or (one.crashed, crash[1], one.calls.count("mark")) == ("mark", "after", 2)
            assert (tags["gate.decision"] == "approved") == complete, one.calls
            if not complete:
                publish(registry, files, Signing(key))
            assert registry.facts(ref).tags["gate.decision"] == "approved"
            assert len(registry.bundle_places(bundle)) == 1, (number, one.calls)
            crashed.add(one.crashed)
        assert crashed >= STEPS
        trust = Trust((key.public,), files.verdict().policy_digest, candidate=name, download=DownloadBounds())
        done = promote(
            registry, Promotion(f"models:/{name}/1", f"prod {tmp_path.name}", "champion", trust), now(), silent
        )
        assert digest_now(registry, done.version, DownloadBounds()) == bundle

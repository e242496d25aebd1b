"""A crash at every call to the registry: production is what it was, and a second run completes the promotion.

On an embedded store, one kind of crash in the quick suite and one as a story; the others, and the server with accounts,
are slow.
"""

from contextlib import suppress

import pytest

from gate.attestations.envelope import open_envelope
from gate.check.pull import digest_now
from gate.promotion.promote import PROMOTION_TAG, promote
from gate.promotion.verification import ATTESTATION_TAG, now
from gate.records.policy import DownloadBounds
from tests.promotion.deciding import decide, promotion
from tests.promotion.embedded import Embedded
from tests.stand_ins.crashing import CRASHES, ENDS, crashing

STEPS = {
    "resolve",
    "facts",
    "bundle_places",
    "fetch",
    "promoted",
    "log_model",
    "create_version",
    "pull",
    "alias",
    "set_alias",
}
"""What a promotion needs of a registry; the loop has to have crashed at each."""

MARKS = {"an interrupt after": (), "an error before": pytest.mark.story}
KINDS = [pytest.param(crash, id=kind, marks=MARKS.get(kind, pytest.mark.slow)) for kind, crash in CRASHES.items()]


def silent(_message):
    """Tell nobody."""


@pytest.fixture(scope="module", params=["embedded", pytest.param("server", marks=pytest.mark.slow)])
def site(request, tmp_path_factory):
    """Return a registry's place: a store embedded in SQLite, or the server with accounts."""
    if request.param == "server":
        return request.getfixturevalue("server")
    return Embedded(tmp_path_factory.mktemp("embedded"))


@pytest.mark.parametrize("crash", KINDS)
def test_a_crash_at_any_call_leaves_production_and_a_second_run_completes(site, key, crash):
    """The alias names what it named before, or the approved bytes; in the end one version of the promotion's key."""
    name = site.candidate("weights")
    decide(site, name, 1, key)
    crashed, keys = set(), set()
    with site.registry() as registry:
        said = open_envelope(registry.facts(registry.resolve(f"models:/{name}/1")).tags[ATTESTATION_TAG], [key.public])
        approved = said.statement.predicate.bundle_digest
        source = registry.log_model(site.model_folder("production before"), f"before {name}")
        for number, one in enumerate(crashing(registry, crash)):
            to = f"prod-{name}-{number}"
            before = registry.create_version(to, source, {})
            registry.set_alias(before, "champion")
            done = None
            with suppress(*ENDS):
                done = promote(one, promotion(name, 1, to, key), now(), silent)
            assert (done is None) == bool(one.crashed), one.calls
            completed = done is not None or (one.crashed, crash[1]) == ("set_alias", "after")
            assert (registry.alias(to, "champion") != before) == completed, one.calls
            again = promote(registry, promotion(name, 1, to, key), now(), silent)
            assert done is None or again.version == done.version
            assert registry.alias(to, "champion") == again.version
            assert digest_now(registry, again.version, DownloadBounds()) == again.digest == approved
            made = [(ref, facts.tags[PROMOTION_TAG]) for ref, facts in registry.find_versions(to, {}) if ref != before]
            assert [ref for ref, _ in made] == [again.version], one.calls
            crashed.add(one.crashed)
            keys.add(made[0][1])
    assert crashed >= STEPS
    assert len(keys) == number + 1  # each production model has a promotion of its own

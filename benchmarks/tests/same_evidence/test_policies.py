"""Which detectors run, in which order, and when kept evidence still does."""

import json

import pytest

from benchmarks.same_evidence.policies import EVERY, PAIRS, policy_of, usable
from benchmarks.same_evidence.states import detectors_in
from gate import detectors
from gate.records.policy import Policy

NAMES = frozenset(detectors.names())


@pytest.mark.parametrize("scan", [EVERY, PAIRS])
def test_the_gate_takes_the_policy(scan):
    """As it stands in the file."""
    Policy.model_validate(json.loads(json.dumps(policy_of(scan, NAMES))))


def test_every_known_detector_runs_once():
    """One that no stage names, such as a new one, at the end."""
    policy = policy_of(EVERY, NAMES | {"quite-new"})
    assert sorted(name for stage in policy["stages"] for name in stage["detectors"]) == sorted(NAMES | {"quite-new"})
    assert policy["stages"][-1]["detectors"][-1] >= "quite-new"


def test_kept_evidence_serves_while_the_last_stage_alone_shrinks():
    """Nothing depends on that stage; a search that is gone takes suspects and triggers from later stages."""
    kept = policy_of(EVERY, NAMES | {"quite-new"})
    assert usable(kept, kept)
    assert usable(kept, policy_of(EVERY, NAMES))
    assert not usable(policy_of(EVERY, NAMES), kept)
    assert not usable(kept, policy_of(EVERY, NAMES - {"warp-trigger"}))
    assert not usable(kept | {"seed": 1}, kept)


def test_too_few_detectors_make_no_search_by_pairs():
    """The scan falls away; what is there runs in the other one."""
    assert policy_of(PAIRS, {"neural-cleanse"}) is None


def test_the_list_of_detectors_is_read():
    """Ids stand behind two blanks; sentences go on further right, metrics are another part."""
    listing = (
        "Detectors\n  one-thing    Looks at\n               a thing.\n  other        Looks.\n\nMetrics\n  size, share\n"
    )
    assert detectors_in(listing) == ("one-thing", "other")
    assert detectors_in("nothing of the kind") == ()

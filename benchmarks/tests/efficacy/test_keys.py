from made_up import QuickScan

from benchmarks.efficacy.keys import keys_after, look_up, reduced
from benchmarks.efficacy.scanning import state_of
from benchmarks.efficacy.subjects import models_of
from gate.records.policy import Policy


def entry_where(store, *, clean):
    """Return the first clean or backdoored model."""
    return next(one for one in models_of(store, "fit").counting if (one.recipe.row.attack == "clean") == clean)


def scanned(bench, entry):
    """Return conditions, keys and outcomes of one whole scan."""
    conditions = bench.conditions(entry)
    evidence = QuickScan()(entry, bench.policy, conditions)
    keys = keys_after(bench.policy, conditions, evidence.outcomes)
    return conditions, keys, {keys[name]: outcome for name, outcome in evidence.outcomes.items()}


def changed(policy, **values):
    """Return the policy with other values."""
    return Policy.model_validate(policy.model_dump() | values)


def test_what_was_scanned_is_found_again(bench, store):
    """Under the same policy every outcome has the key under which it was kept, and nothing is missing."""
    for clean in (True, False):
        conditions, keys, kept = scanned(bench, entry_where(store, clean=clean))
        found = look_up(bench.policy, conditions, kept)
        assert found.missing == {}
        assert found.keys == keys


def test_another_limit_needs_no_scan(bench, store):
    """Limits, names and deadlines are no part of a key."""
    conditions, _, kept = scanned(bench, entry_where(store, clean=False))
    detectors = {name: rule | {"limits": {}} for name, rule in bench.policy.model_dump()["detectors"].items()}
    other = changed(bench.policy, detectors=detectors, name="other", deadline=7)
    assert look_up(other, conditions, kept).missing == {}


def test_an_option_changes_its_detector_and_what_looks_at_its_suspects(bench, store):
    """Other steps make the search missing, and with it the detector behind it, whose suspects may move."""
    conditions, _, kept = scanned(bench, entry_where(store, clean=False))
    values = bench.policy.model_dump()["detectors"]
    values["neural-cleanse"]["options"]["steps"] = 9
    found = look_up(changed(bench.policy, detectors=values), conditions, kept)
    assert set(found.missing) == {"neural-cleanse", "activation-clustering"}
    assert found.to_run(["activation-clustering"]) == {"neural-cleanse", "activation-clustering"}
    assert found.to_run(["neural-cleanse"]) == {"neural-cleanse"}


def test_a_changed_follower_needs_its_sources_only_where_there_are_suspects(bench, store):
    """A detector over suspects is scanned with those that name them; where nobody is named, alone."""
    values = bench.policy.model_dump()["detectors"]
    values["activation-clustering"]["options"]["clean-samples"] = 77
    other = changed(bench.policy, detectors=values)
    for clean, expected in ((False, {"neural-cleanse", "activation-clustering"}), (True, {"activation-clustering"})):
        conditions, _, kept = scanned(bench, entry_where(store, clean=clean))
        found = look_up(other, conditions, kept)
        assert set(found.missing) == {"activation-clustering"}
        assert found.to_run(other.detectors) == expected


def test_a_rule_that_names_other_suspects_concerns_the_follower_alone(bench, store):
    """Wider suspects are looked at anew; the search itself is as it was."""
    conditions, _, kept = scanned(bench, entry_where(store, clean=False))
    stages = bench.policy.model_dump()["stages"]
    stages[0]["suspects"] = [{"detector": "neural-cleanse", "metric": "size-ratio", "min": 1.05}]
    found = look_up(changed(bench.policy, stages=stages), conditions, kept)
    assert found.missing == {"activation-clustering": frozenset({"neural-cleanse"})}


def test_another_seed_or_other_samples_change_everything(bench, store):
    """What reaches every detector is in every key."""
    from dataclasses import replace

    conditions, _, kept = scanned(bench, entry_where(store, clean=True))
    for other in (replace(conditions, seed=5), replace(conditions, samples_sha256="1" * 64)):
        assert set(look_up(bench.policy, other, kept).missing) == set(bench.policy.detectors)


def test_a_reduced_policy_keeps_stages_and_rules_of_what_it_keeps(policy):
    """A part of a policy is a policy: one stage goes, the other keeps its rules, and the budget is the deadline."""
    part = reduced(policy, ["neural-cleanse"], deadline=5)
    assert list(part.detectors) == ["neural-cleanse"]
    assert part.plan()[0].suspects == policy.plan()[0].suspects
    assert part.deadline == 5
    alone = reduced(policy, ["activation-clustering"], deadline=5)
    assert alone.plan()[0].over == "suspects"


def test_nothing_is_known_of_a_model_that_was_never_scanned(bench, store):
    """Everything is missing, and a whole scan is what is to run."""
    state = state_of(bench, entry_where(store, clean=True))
    assert state.found.to_run(bench.policy.detectors) == set(bench.policy.detectors)

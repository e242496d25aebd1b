"""Rates of the zoo are quoted only under the rules, and for scans like those, that they were counted from."""

import pytest

from gate.banks.assemble import measuring_policy
from gate.judging.judge import judge
from gate.judging.threat_rates import judged_beside, packaged_rates, power_for, power_of
from gate.policies.declared import P_VALUE, bank_rules_sha256, compared_statistics, rules_sha256
from gate.records.bank_evidence import SelfMadeEvidence
from gate.records.facts import ModelFacts
from tests.attestations.scanned import DAY, beside_bank, default_policy, evidence

SEEN = beside_bank().comparison
OTHERS = {
    "level": 0.0001,
    "least_references": 3,
    "few_references": "judge",
    "pooled_alike": None,
    "exchange_margin": 100.0,
    "other_task": "judge",
}
"""For each key that decides a p-value over a bank, another value than the recommended policy's."""


def test_every_key_that_decides_a_p_value_is_asked_for():
    """A key that is added to them is tested here too."""
    assert set(OTHERS) == P_VALUE


@pytest.mark.parametrize("key", OTHERS)
def test_a_rate_beside_a_bank_is_of_the_very_rules_of_its_p_value(key):
    """By limits the same rate holds, since no p-value judged there."""
    policy = default_policy()
    assert power_of("patch", policy, "bank")[0] is not None
    other = policy.model_copy(update={key: OTHERS[key]})
    assert power_of("patch", other, "bank") == (None, "how often it is found is not known under this policy's rules")
    assert power_of("patch", other, "limits") == power_of("patch", policy, "limits")


def test_other_limits_are_other_rules_beside_a_bank_too():
    """Limits of detectors outside the score judge there as well."""
    policy = default_policy()
    fewer = {name: rule for name, rule in policy.detectors.items() if name != "version-change"}
    other = policy.model_copy(update={"detectors": fewer})
    assert rules_sha256(other) != rules_sha256(policy)
    assert bank_rules_sha256(other) != bank_rules_sha256(policy)


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({}, ""),
        ({"facts": ModelFacts(flavour="pytorch", classes=12)}, ""),
        ({"seed": 5}, "with seed 5: the gate's zoo was scanned with 0"),
        ({"facts": ModelFacts(flavour="pytorch", classes=43)}, "for 43 classes: the gate's zoo has models of 10 to 20"),
        ({"facts": ModelFacts(flavour="pytorch", classes=9)}, "for 9 classes: the gate's zoo has models of 10 to 20"),
        ({"facts": ModelFacts(flavour="pytorch")}, "for None classes"),
    ],
)
def test_a_rate_is_of_scans_with_the_zoos_seed_and_numbers_of_classes(changes, why):
    """Of others nothing is known, and the reason says of what it is known."""
    policy = default_policy()
    found = evidence(policy_digest=policy.digest, **changes)
    power, unknown = power_for("patch", policy, found, judge(found, policy, on=DAY), None)
    assert (power is None) == bool(why)
    assert why in unknown
    assert (packaged_rates().seed, packaged_rates().classes) == (0, (10, 20))


COMPARED = packaged_rates().compared


@pytest.mark.parametrize(
    ("statistics", "known"),
    [
        (COMPARED, True),
        (("neural-cleanse size",), False),
        (("head-indicators indicator",), False),
        ((*COMPARED, "neural-cleanse exit-ratio"), False),
        ((), False),
    ],
)
def test_a_rate_beside_a_bank_is_of_the_statistics_that_the_zoos_banks_compare(statistics, known):
    """Of a bank of fewer or others, or of an earlier gate, which did not tell them, nothing is known."""
    policy = default_policy()
    bank = beside_bank(statistics=statistics)
    found = evidence(bank=bank, policy_digest=policy.digest)
    verdict = judge(found, policy, on=DAY)
    assert judged_beside(verdict, bank.comparison) == "bank"
    for family in ("patch", "blend"):
        power, unknown = power_for(family, policy, found, verdict, bank.comparison)
        assert (power is not None) is known
        if not known:
            assert unknown == "how often it is found is not known by the statistics that were compared with this bank"


def test_the_zoos_banks_compare_what_detectors_declare_over_every_class():
    """By the recommended policy, so that a bank that it measures compares the same."""
    declared = {f"{one.detector} {one.metric}": one.detector for one in compared_statistics()}
    measuring = measuring_policy(default_policy()).detectors
    assert {declared[name] for name in COMPARED} <= set(measuring)
    assert {"neural-cleanse size", "head-indicators indicator"} < set(COMPARED)


def beside(seen=SEEN, **changes):
    """Return what judged beside a bank of 24 models."""
    policy = default_policy().model_copy(update={"other_task": "judge"})
    bank = beside_bank().model_copy(update={"comparison": seen, **changes})
    found = evidence(bank=bank, policy_digest=policy.digest)
    return judged_beside(judge(found, policy, on=DAY), seen)


def test_a_p_value_that_the_zoo_was_not_judged_by_has_no_rate():
    """Beside copies, by secret probes too, and by ratios on another task; a bank of models that there were has one."""
    assert beside() == "bank"
    assert beside(self_made=SelfMadeEvidence(whose="", data="mine")) is None
    assert beside(SEEN.model_copy(update={"secret_probes": 42})) is None
    assert beside(SEEN.model_copy(update={"kind": "scale-free"})) is None

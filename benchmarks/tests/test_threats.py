"""Every attack of the zoo is of one kind of threat, and the packaged rates are what the command makes."""

from collections import Counter

import pytest

from benchmarks.threats import made_now, power, table
from benchmarks.zoo.attacks import ATTACKS
from gate.judging.threat_families import families
from gate.judging.threat_rates import packaged_rates


def test_every_attack_of_the_zoo_is_of_one_kind():
    """A new attack is put into a family, so that its models count."""
    named = Counter(attack for family in families() for attack in family.attacks)
    assert set(named) == set(ATTACKS)
    assert set(named.values()) == {1}


def test_an_interval_is_exact_and_holds_its_share():
    """Four of four is at least 40 %, and none of thirty clean ones at most 10 %."""
    one = power("limits", 4, 4, 0, 30, "fit")
    assert (one.low, one.high) == (0.398, 1.0)
    assert one.false_alarms_at_most == pytest.approx(0.095, abs=0.001)


def test_the_table_has_a_row_for_each_way_of_judging():
    """It is what the command prints, with the titles that reports have."""
    known = packaged_rates()
    rows = table(known).splitlines()[2:]
    assert len(rows) == sum(len(powers) for powers in known.families.values())
    assert any(row.startswith("| A patch that sends images to a class | limits | ") for row in rows)


@pytest.mark.slow
def test_the_packaged_rates_are_what_the_command_makes():
    """From the committed measurements and banks alone."""
    assert made_now(packaged_rates().split) == packaged_rates()

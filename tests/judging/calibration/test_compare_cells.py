"""Counts of answers to probes beside a bank's: they join the score, name the probe, and meet only counts like them."""

import random

import pytest
from test_compare import DECLARED, SETTINGS, bank, evidence, outcomes

from gate.judging.calibration.calibrate import compare
from gate.judging.calibration.tables import compared_in, model_statistics
from gate.records.bank import BankSamples, Statistic
from gate.records.counts import Counts
from gate.records.evidence import Measured
from gate.records.facts import ModelFacts
from gate.spaces.image.probes import groups, names, names_digest

SHAPE, CLASSES, EACH = (1, 8, 8), 10, 6
OWN = (
    *DECLARED,
    *(
        Statistic(detector="probe-grid", metric=f"patch-{kind}", worse="higher", scale="cells", at="class")
        for kind in ("cells", "pairs")
    ),
)
ALL = {**SETTINGS, "probe-grid": "c" * 64}
PATCHES = [row for row, group in enumerate(groups(SHAPE)) if group == "patch"]


def counts(seed, planted=(), each=EACH):
    """Return counts of a model that sends few samples elsewhere; planted: (source or None, answer)."""
    draw = random.Random(seed)
    cells = []
    for row in range(len(names(SHAPE))):
        for source in range(CLASSES):
            line = [0] * CLASSES
            for _ in range(each):
                line[draw.randrange(CLASSES) if draw.random() < 0.05 else source] += 1
            for chosen, answer in planted if row in PATCHES[:6] else ():
                if chosen in (None, source):
                    line = [each * (k == answer) for k in range(CLASSES)]
            cells += line
    return Counts.of(names_digest(SHAPE), (len(names(SHAPE)), CLASSES, CLASSES), (each,) * CLASSES, bytes(cells))


def with_counts(seed, planted=(), each=EACH):
    """Return what a model measures, its counts too."""
    return {**outcomes(seed), "probe-grid": Measured(measurements=(), seconds=1, counts=counts(seed, planted, each))}


@pytest.fixture(scope="module")
def probed():
    """Return a bank of nineteen models with counts."""
    models = tuple(
        model_statistics(f"m{n}", with_counts(n), 0.94 + n / 1000, OWN, digest=f"sha256:{n:064x}") for n in range(19)
    )
    return bank(statistics=models, compared=compared_in(models, OWN), settings=ALL)


def test_counts_are_compared_where_the_models_have_them(probed):
    """A bank's models hold their counts, and its statistics name what is made of them."""
    assert {one.metric for one in probed.compared if one.scale == "cells"} == {"patch-cells", "patch-pairs"}
    assert compared_in(bank().statistics, OWN) == bank().compared


@pytest.mark.parametrize(("planted", "kind", "name"), [((None, 4), "class", "4"), ((2, 7), "pair", "2→7")])
def test_a_planted_cell_gets_the_least_p_and_its_probe(probed, planted, kind, name):
    """One that every other class answers to, and one for a single source class, which the pair names."""
    found = compare(evidence(outcomes=with_counts(99, [planted])), probed, ALL, OWN)
    assert found.p_value == pytest.approx(0.05)
    assert (found.places[0].kind, found.places[0].name) == ("class", str(planted[1]))
    assert found.places[0].because[0].detector == "probe-grid"
    first = next(cell for cell in found.cells if cell.kind == kind)
    assert (first.kind, first.name, first.share) == (kind, name, 1.0)
    assert first.probe in {names(SHAPE)[row] for row in PATCHES[:6]}
    assert first.others < 0.6
    who = "other classes' samples" if kind == "class" else "class 2"
    assert f"sends 100% of {who} to class {planted[1]}; clean models at most" in str(first)


def test_a_clean_model_lies_among_the_others(probed):
    """Of thirty clean candidates about one in twenty gets a p-value at 0.05."""
    some = [compare(evidence(outcomes=with_counts(seed)), probed, ALL, OWN).p_value for seed in range(100, 130)]
    assert sum(p <= 0.05 for p in some) <= 5


def test_a_candidate_without_counts_is_not_compared(probed):
    """A silence is no agreement."""
    found = compare(evidence(outcomes=outcomes(99)), probed, ALL, OWN)
    assert "probe-grid counted no answers of the candidate" in found.unusable
    few = tuple(
        one.model_copy(update={"counts": {}}) if number < 9 else one for number, one in enumerate(probed.statistics)
    )
    mixed = probed.model_copy(update={"statistics": few})
    found = compare(evidence(outcomes=outcomes(99)), mixed, ALL, OWN)
    assert "probe-grid counted no answers of the candidate" in found.unusable


def test_other_probes_or_samples_are_not_compared(probed):
    """Counts of other numbers of samples say something else."""
    found = compare(evidence(outcomes=with_counts(99, each=5)), probed, ALL, OWN)
    assert "other probes or other numbers of samples" in found.unusable


def test_on_other_samples_no_cell_is_compared(probed):
    """Classes of another task are not the candidate's."""
    other = probed.model_copy(update={"samples": BankSamples(sha256="e" * 64, count=9)})
    found = compare(evidence(outcomes=with_counts(99, [(None, 4)])), other, ALL, OWN)
    assert found.kind == "scale-free"
    assert found.cells == ()
    assert all(one.detector != "probe-grid" for one in found.surprises)


def test_a_bank_of_an_earlier_gate_goes_on_with_what_is_left(probed):
    """A statistic whose detector is gone takes no part, and its settings are not asked for."""
    gone = Statistic(detector="random-triggers", metric="wave-share", worse="higher", scale="log", at="class")
    earlier = bank(compared=(*bank().compared, gone), settings={**SETTINGS, "random-triggers": "d" * 64})
    seen, today = evidence(planted=3), compare(evidence(planted=3), bank(), SETTINGS, OWN)
    assert compare(seen, earlier, SETTINGS, OWN) == today
    assert "compares 0 statistics" in compare(seen, bank(compared=(gone,)), SETTINGS, OWN).unusable


def test_probes_of_another_gate_are_not_compared(probed):
    """Nobody here knows what they were; and inputs that are no images have none."""
    odd = evidence(outcomes=with_counts(99), facts=ModelFacts(classes=10, input_shape=(8,)))
    assert "other probes than this gate has" in compare(odd, probed, ALL, OWN).unusable

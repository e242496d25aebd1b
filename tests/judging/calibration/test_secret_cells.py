"""Secret probes beside a bank: compared where all had one seed, and otherwise the fixed ones alone, which is said."""

import datetime as dt

import pytest
from test_compare import evidence, outcomes
from test_compare_cells import ALL, CLASSES, EACH, OWN, SHAPE, counts, probed

from gate.cli.bank_lines import describe
from gate.judging.calibration.calibrate import compare
from gate.judging.calibration.tables import model_statistics
from gate.judging.judge import judge
from gate.records.counts import Counts
from gate.records.evidence import Measured
from gate.records.policy import Policy, Rule
from gate.records.probe_seed import key_of
from gate.records.secret_counts import SecretCounts
from gate.spaces.image.probes import secret_digest, secret_groups

__all__ = ["probed"]
SEED, OTHER = "ab" * 32, "cd" * 32
DAY = dt.date(2026, 12, 1)


def sealed(number, seed, planted=None, drawing=""):
    """Return sealed counts of a model; all samples of a planted one go to that class under the secret patches."""
    cells = []
    for row, group in enumerate(secret_groups(SHAPE)):
        for source in range(CLASSES):
            line = [EACH * (k == source) for k in range(CLASSES)]
            if group == "patch" and planted is not None:
                line = [EACH * (k == planted) for k in range(CLASSES)]
            elif (row + source + number) % 7 == 0:
                line[source] -= 1
                line[(source + row + number) % CLASSES] += 1
            cells += line
    shape = (len(secret_groups(SHAPE)), CLASSES, CLASSES)
    digest = secret_digest(SHAPE, drawing or seed)
    return SecretCounts.of(Counts.of(digest, shape, (EACH,) * CLASSES, bytes(cells)), seed)


def measured(number, secret):
    """Return what a model measures, its counts and sealed counts too."""
    answers = Measured(measurements=(), seconds=1, counts=counts(number), secret_counts=secret)
    return {**outcomes(number), "probe-grid": answers}


def bank(probed, secret):
    """Return a bank of nineteen models, each with `secret(number)`."""
    models = [
        model_statistics(f"m{n}", measured(n, secret(n)), 0.94 + n / 1000, OWN, digest=f"sha256:{n:064x}")
        for n in range(19)
    ]
    return probed.model_copy(update={"statistics": tuple(models)})


def seen(probed, secret, own, seed=SEED):
    """Return the comparison of a candidate with such sealed counts."""
    return compare(evidence(outcomes=measured(99, own)), bank(probed, secret), ALL, OWN, seed)


def test_a_rule_that_only_secret_probes_find_is_flagged_and_not_described(probed):
    """One that an attacker kept from the fixed grid: the p-value is the least, and the probe has no name."""
    found = seen(probed, lambda n: sealed(n, SEED), sealed(99, SEED, planted=4))
    assert found.secret_probes == len(secret_groups(SHAPE))
    assert not found.without_secret
    assert found.p_value == pytest.approx(0.05)
    first = next(cell for cell in found.cells if cell.kind == "class")
    assert (first.name, first.probe, first.share) == ("4", "a secret probe", 1.0)
    assert str(first).startswith(
        "a secret probe: sends 100% of other classes' samples to class 4; clean models at most"
    )


APART = {
    "the bank was made with another probe seed": (lambda n: sealed(n, OTHER), SEED),
    "the bank was made without a probe seed": (lambda _: None, SEED),
    "the scan had no probe seed, and the bank was made with one": (lambda n: sealed(n, OTHER), None),
    "some of the bank's models were measured without a probe seed": (lambda n: sealed(n, SEED) if n else None, SEED),
    "another version of the gate drew those of the bank": (lambda n: sealed(n, SEED, drawing=OTHER), SEED),
    "some answers are not as they were sealed": (
        lambda n: sealed(n, SEED) if n else SecretCounts(key=key_of(SEED), sealed="AAAA"),
        SEED,
    ),
}


@pytest.mark.parametrize("why", APART)
def test_otherwise_the_fixed_cells_alone_are_compared(why, probed):
    """All else is as without any secret probe, and one sentence says why."""
    secret, own = APART[why]
    found = seen(probed, secret, sealed(99, own, planted=4) if own else None, own)
    assert found.without_secret == why
    plain = seen(probed, lambda _: None, None, None)
    assert found.model_copy(update={"without_secret": ""}) == plain
    assert not plain.without_secret
    assert plain.secret_probes == 0


def test_nothing_tells_the_seed_or_what_was_counted(probed):
    """Neither bank nor comparison has it in its bytes."""
    made = bank(probed, lambda n: sealed(n, SEED))
    found = seen(probed, lambda n: sealed(n, SEED), sealed(99, SEED, planted=4))
    opened = sealed(99, SEED, planted=4).opened(SEED)
    for raw in (made.canonical_json(), found.canonical_json(), "\n".join(describe(made)).encode()):
        assert SEED.encode() not in raw
        assert opened.packed.encode() not in raw
        assert secret_digest(SHAPE, SEED).encode() not in raw


def test_a_bank_says_whether_its_secret_probes_can_be_compared(probed):
    """Of every model by one seed, or not; and a bank without any says nothing."""
    assert f"digest is {key_of(SEED)}" in "\n".join(describe(bank(probed, lambda n: sealed(n, SEED))))
    mixed = "\n".join(describe(bank(probed, lambda n: sealed(n, SEED if n else OTHER))))
    assert "of 19 models by different seeds" in mixed
    lines = "\n".join(describe(probed))
    assert "secret" not in lines
    assert "probe-grid patch-cells, from the models' answers to probes" in lines


@pytest.mark.parametrize(
    ("asks", "given", "flags"), [("required", False, True), ("required", True, False), ("optional", False, False)]
)
def test_a_policy_may_ask_for_secret_probes(asks, given, flags):
    """Where it does, a scan without them is flagged."""
    policy = Policy(version=1, detectors={"probe-grid": Rule()}, probe_seed=asks)
    verdict = judge(evidence(outcomes=measured(99, sealed(99, SEED) if given else None)), policy, on=DAY)
    assert ("probe-seed" in {finding.rule for finding in verdict.findings}) is flags


def test_a_policy_that_does_not_ask_keeps_its_digest():
    """The default is left out of its canonical form."""
    policy = Policy(version=1, detectors={"probe-grid": Rule()})
    assert b"probe-seed" not in policy.canonical_json()
    assert b"probe-seed" in policy.model_copy(update={"probe_seed": "required"}).canonical_json()

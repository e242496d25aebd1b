"""What a signed statement says of its scan: every detector, every limit, who judged, and that it fits into a tag."""

import datetime as dt

import pytest
from pydantic import ValidationError

from gate import detectors
from gate.attestations.coverage import MAX_COVERAGE_BYTES, Commitment, Coverage, coverage_of
from gate.attestations.envelope import MAX_ENVELOPE_BYTES, Expected, sign, verify
from gate.attestations.keys import generate_key
from gate.attestations.reviewing import reviewed
from gate.attestations.statement import Statement, Voice, scan_statement
from gate.cli.rows import examined_lines
from gate.policies.declared import digest_of
from gate.records.evidence import Location, Measured, Measurement, Skipped
from gate.records.facts import ModelFacts
from gate.records.policy import Waiver
from tests.attestations.scanned import DAY, RULES, beside_bank, default_policy, evidence, outcomes, sizes, verdict
from tests.attestations.signed import NOW, digest

HOSTILE = "\x1b[31m::error::\u202e</script>`" + "\U0001f512" * 1900


@pytest.fixture(autouse=True)
def no_packaged_models(monkeypatch):
    """Leave verdicts the same whatever the gate comes with."""
    monkeypatch.setattr("gate.judging.within.packaged", lambda: None)


def covered(found=None, policy=RULES):
    """Return the account of a scan and its detectors by id."""
    found = found or evidence()
    made = coverage_of(found, verdict(found, policy), policy)
    return made, {one.id: one for one in made.detectors}


def test_every_detector_of_the_gate_is_listed_once_with_what_became_of_it():
    """Measured, skipped, failed, absent, and not run by the policy: a partial scan cannot pass for a whole one."""
    made, seen = covered()
    ids = [one.id for one in made.detectors]
    assert sorted(ids) == sorted(detectors.names())
    assert ids[: len(RULES.detectors)] == list(RULES.detectors)
    assert (seen["neural-cleanse"].status, seen["neural-cleanse"].reason) == ("measured", "")
    assert (seen["head-indicators"].status, seen["head-indicators"].reason) == (
        "skipped",
        "the last layer is not linear",
    )
    assert (seen["model-inversion"].status, seen["model-inversion"].reason) == ("failed", "the worker was ended")
    assert seen["version-change"].status == "absent"
    assert not seen["head-indicators"].required
    assert seen["model-inversion"].required
    assert (seen["word-sweep"].status, seen["word-sweep"].planned) == ("skipped", False)
    assert seen["word-sweep"].reason == "the policy does not run it"


def test_what_was_planned_stands_beside_what_was_examined():
    """Classes of a detector over all, suspects of one over these, and the share that a search went on with."""
    _, seen = covered()
    swept = seen["neural-cleanse"]
    assert (swept.over, swept.places_planned, swept.places_examined) == ("classes", 10, 10)
    assert (swept.searched_share, swept.sample_passes) == (0.4, 12_000)
    assert swept.options_digest == f"sha256:{digest_of('neural-cleanse', {})}"
    close = seen["activation-clustering"]
    assert (close.over, close.places_planned, close.places_examined) == ("suspects", 1, 1)
    elsewhere = Measured(
        measurements=(Measurement(metric="silhouette", value=0.2, location=Location.of_class(2)),), seconds=1.0
    )
    _, missed = covered(evidence(outcomes=outcomes(activation_clustering=elsewhere)))
    assert (missed["activation-clustering"].places_planned, missed["activation-clustering"].places_examined) == (1, 0)


def test_a_detector_without_suspects_is_idle_and_one_that_was_passed_over_is_not():
    """That the stages named nothing is no gap; the same words where a suspect was named are one."""
    idle = Skipped(reason="no suspects")
    none = Skipped(reason="a first version has none before it")
    clean = outcomes(
        neural_cleanse=sizes(index=1.0), version_change=none, activation_clustering=idle, model_inversion=idle
    )
    _, seen = covered(evidence(outcomes=clean))
    assert seen["activation-clustering"].idle
    assert seen["model-inversion"].idle
    assert (seen["version-change"].status, seen["version-change"].idle) == ("skipped", False)
    _, passed = covered(evidence(outcomes=outcomes(version_change=none, activation_clustering=idle)))
    assert not passed["activation-clustering"].idle


def test_a_worker_that_claims_other_options_gets_no_digest_of_them():
    """The digest is of the policy's own options, or there is none."""
    strange = sizes().model_copy(update={"options": {"steps": {"x": HOSTILE}}})
    _, seen = covered(evidence(outcomes=outcomes(neural_cleanse=strange)))
    assert seen["neural-cleanse"].options_digest is None


def test_limits_that_held_stand_beside_those_that_did_not():
    """Comparator, bound for this number of classes, worst value and what became of it."""
    made, _ = covered()
    rows = {(one.detector, one.metric): one for one in made.limits}
    held, exceeded = rows["unsafe-pickle", "unsafe-globals"], rows["neural-cleanse", "anomaly-index"]
    assert (held.comparator, held.threshold, held.worst, held.outcome) == ("<=", 0.0, 0.0, "held")
    assert (exceeded.comparator, exceeded.threshold, exceeded.worst) == ("<=", 4.2, 7.0)
    assert (exceeded.values, exceeded.outcome) == (10, "exceeded")
    least = rows["neural-cleanse", "size-ratio"]
    assert (least.comparator, least.threshold, least.worst, least.outcome) == (">=", 0.3, 0.4, "held")
    assert (made.judged.by, made.judged.classes, made.judged.p_value) == ("limits", 10, None)


def test_a_waived_limit_and_one_that_could_not_be_judged_are_told_apart():
    """Neither is told as held."""
    waiver = Waiver(
        detector="neural-cleanse",
        metric="anomaly-index",
        model_digest=digest("a"),
        reason="two styles",
        approved_by="ann",
        expires=DAY + dt.timedelta(days=9),
    )
    waived, _ = covered(policy=RULES.model_copy(update={"waivers": (waiver,)}))
    assert [one.outcome for one in waived.limits if one.metric == "anomaly-index"] == ["waived"]
    few, _ = covered(evidence(facts=ModelFacts(flavour="pytorch", classes=5)))
    (unjudged,) = [one for one in few.limits if one.metric == "anomaly-index"]
    assert (unjudged.threshold, unjudged.outcome) == (None, "not-judged")
    gone, _ = covered(evidence(outcomes=outcomes(unsafe_pickle=Skipped(reason="no time"))))
    (silent,) = [one for one in gone.limits if one.metric == "unsafe-globals"]
    assert (silent.worst, silent.values, silent.outcome) == (None, 0, "not-judged")


def test_a_p_value_that_judged_stands_with_its_level_and_its_models():
    """Limits that only confirmed it are marked so."""
    bank = beside_bank(9.0, [number / 10 for number in range(24)], predictive_p=0.001)
    rules = dict(RULES.detectors)
    confirming = rules["neural-cleanse"].limits["anomaly-index"].model_copy(update={"judges": "uncalibrated-only"})
    limits = {**rules["neural-cleanse"].limits, "anomaly-index": confirming}
    rules["neural-cleanse"] = rules["neural-cleanse"].model_copy(update={"limits": limits})
    made, _ = covered(evidence(bank=bank), RULES.model_copy(update={"detectors": rules}))
    assert (made.judged.by, made.judged.level, made.judged.models) == ("p-value-bank", 0.05, 24)
    assert made.judged.p_value == pytest.approx(1 / 25)
    assert made.judged.score == 9.0
    assert [one.confirms for one in made.limits if one.metric == "anomaly-index"] == [True]


def test_a_statement_with_coverage_is_of_the_third_version_and_keeps_it_through_reviews(tmp_path):
    """It verifies as those before it do; a type that claims more or less than it says is refused."""
    key, found = generate_key(tmp_path / "k.pem", tmp_path / "k.pub.pem"), evidence()
    scanned = scan_statement(found, verdict(found), RULES, at=NOW)
    assert scanned.predicate_type == "urn:model-promotion-gate:decision:v3"
    again = reviewed(
        scanned, Voice(reviewer="ann", outcome="approved", reason="seen", at=NOW), needed=1, days=30, most=999
    )
    assert again.predicate.coverage == scanned.predicate.coverage
    assert verify(sign(again, key), [key.public], NOW, Expected(digest("a"), RULES.digest)).holds
    for other in ("v1", "v2"):
        claimed = scanned.model_dump(by_alias=True) | {"predicateType": f"urn:model-promotion-gate:decision:{other}"}
        with pytest.raises(ValidationError, match="its version is not"):
            Statement.model_validate(claimed)


def test_the_largest_statement_of_the_default_policy_fits_into_a_tag_with_ten_reviewers(tmp_path):
    """Reasons are the candidate's text: they are made inert, and cut as far as it takes; nothing else is left out."""
    policy = default_policy()
    found = evidence(outcomes={name: Skipped(reason=HOSTILE) for name in policy.detectors}, policy_digest=policy.digest)
    scanned = scan_statement(found, verdict(found, policy), policy, at=NOW)
    made = scanned.predicate.coverage
    assert len(made.canonical_json()) <= MAX_COVERAGE_BYTES
    assert len(made.detectors) == len(detectors.names())
    assert len(made.limits) == sum(
        (limit.min is not None) + (limit.max is not None)
        for rule in policy.detectors.values()
        for limit in rule.limits.values()
    )
    shown = made.detectors[0].reason
    assert not {"\x1b", "\u202e"} & set(shown)
    assert not shown.startswith("::")
    for number in range(10):
        voice = Voice(reviewer=f"reviewer-{number}", outcome="approved", reason="é" * 800, at=NOW)
        scanned = reviewed(scanned, voice, needed=20, days=30, most=999)
    key = generate_key(tmp_path / "k.pem", tmp_path / "k.pub.pem")
    assert len(sign(scanned, key)) <= MAX_ENVELOPE_BYTES


def test_an_account_that_is_too_large_is_no_account():
    """A forged or foreign one is bounded by the record itself."""
    one = covered()[0].detectors[0]
    many = tuple(one.model_copy(update={"reason": "x" * 300, "id": f"a-{n}"}) for n in range(64))
    whole = {"detectors": many, "judged": covered()[0].judged, "limits": covered()[0].limits * 50}
    with pytest.raises(ValidationError, match="has room for"):
        Coverage.model_validate({**whole, "limits": whole["limits"][:160]})


@pytest.mark.parametrize(("minutes", "resumed", "before"), [(-1, False, True), (1, False, False), (-1, True, False)])
def test_a_commitment_is_before_the_scan_by_time_and_by_what_lay_there(minutes, resumed, before):
    """One that was made later, or beside measurements of an interrupted scan, does not count as made before."""
    made = Commitment(
        policy_digest=digest("b"),
        at=NOW + dt.timedelta(minutes=minutes),
        scan_began=NOW,
        signed=digest("c"),
        resumed=resumed,
    )
    assert made.before_the_scan is before


def test_a_place_beyond_the_models_classes_is_not_counted():
    """A worker cannot raise its share by naming classes that there are not."""
    strange = sizes().model_copy(
        update={"measurements": (Measurement(metric="anomaly-index", value=1.0, location=Location.of_class(99)),)}
    )
    _, seen = covered(evidence(outcomes=outcomes(neural_cleanse=strange)))
    assert (seen["neural-cleanse"].places_planned, seen["neural-cleanse"].places_examined) == (10, 0)


def test_what_one_rule_found_is_not_said_of_each_threat_it_looks_for():
    """`gate verify` names the threats of a finding as alternatives, with the rule."""
    found = evidence()
    scanned = scan_statement(found, verdict(found), RULES, at=NOW)
    (line,) = [line for line in examined_lines(scanned) if line.startswith("threats  detected")]
    assert line.startswith("threats  detected: one or more of: ")
    assert line.endswith("; found by neural-cleanse")

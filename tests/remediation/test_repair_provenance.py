"""What a candidate's provenance.json does to its judgement: stricter, never laxer; odd files are said, not raised."""

import datetime as dt
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gate.check.files import Pulled
from gate.judging.judge import judge
from gate.judging.repaired import level_of
from gate.records.artifact import ModelRef
from gate.records.bank_evidence import BankEvidence
from gate.records.comparison import Comparison
from gate.records.evidence import Evidence, Skipped
from gate.records.finding import Decision
from gate.records.provenance import MAX_BYTES, Provenance, RepairOrigin, read_repair
from tests.remediation.made_up import POLICY, evidence

DAY = dt.date(2026, 12, 1)
DIGEST = "sha256:" + "a" * 64
REF = ModelRef(registry="mlflow", name="cand", version="2")


def origin(**changes):
    """Return the origin of a repair by four planned attempts, of which one used a detector."""
    facts = {"parent": "models:/cand/1", "parent_digest": DIGEST, "method": "m", "attempts": 4, "seeds": (6, 7, 8, 9)}
    return RepairOrigin(**(facts | {"detectors": ("additive-trigger",)} | changes))


def clean(**changes):
    """Return evidence that approves."""
    return evidence(DIGEST, REF, ratio=0.9, **changes)


def judged(found, policy=POLICY):
    """Return the verdict of a day."""
    return judge(found, policy, on=DAY)


def test_a_repaired_model_can_be_approved():
    """Another seed, a detector that no attempt used, nothing beyond a limit: approved like any candidate."""
    assert judged(clean(repair=origin())).decision is Decision.APPROVED


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"seeds": (3, 4, 5)}, "used the seed 5, which is this scan's as well"),
        ({"detectors": ("neural-cleanse",)}, "tuned on every detector of classes that judged here (neural-cleanse)"),
    ],
)
def test_a_scan_that_attempts_were_tuned_on_is_flagged(changes, words):
    """The scan's own seed among the attempts', or no detector left that none was tuned on, is a condition."""
    verdict = judged(clean(repair=origin(**changes)))
    (finding,) = verdict.open_findings
    assert (verdict.decision, finding.rule, finding.kind) == (Decision.FLAGGED, "repair", "condition")
    assert words in finding.message


def test_a_detector_that_measured_nothing_is_no_witness():
    """A skipped detector is none that is left, though the policy names it."""
    outcomes = dict(clean().outcomes)
    outcomes["neural-cleanse"] = Skipped(reason="no time", options={})
    verdict = judged(clean(repair=origin(), outcomes=outcomes))
    assert any(finding.rule == "repair" for finding in verdict.findings)


def bank(above, models=99):
    """Return a bank of which so many models score above the candidate: p = (1 + above) / (models + 1)."""
    scores = tuple(float(number) for number in range(models, 0, -1))
    seen = Comparison(kind="per-class", score=models - above + 0.5, detectors=("neural-cleanse",), bank_scores=scores)
    return BankEvidence(digest=DIGEST, count=models, same_task=True, comparison=seen)


@pytest.mark.parametrize(("attempts", "flagged"), [(None, False), (1, False), (2, True), (4, True), (1000, True)])
def test_the_p_value_is_divided_by_the_attempts(attempts, flagged):
    """A p of 0.08 passes at the level 0.05, and no longer where two attempts were planned: 0.08 / 2 = 0.04."""
    found = clean(repair=origin(attempts=attempts) if attempts else None, bank=bank(above=7))
    verdict = judged(found)
    assert verdict.calibrated
    assert verdict.standing.p_value == pytest.approx(0.08)
    assert verdict.standing.level == min(1.0, 0.05 * (attempts or 1))
    assert (verdict.decision is Decision.FLAGGED) is flagged


@settings(max_examples=25)
@given(above=st.integers(0, 99), attempts=st.integers(1, 1000))
def test_more_attempts_never_approve_what_fewer_flag(above, attempts):
    """Whatever number a candidate claims, it is flagged where it would be flagged without the claim."""
    alone = judged(clean(bank=bank(above)))
    claimed = judged(clean(repair=origin(attempts=attempts), bank=bank(above)))
    assert claimed.calibrated == alone.calibrated
    assert not (alone.decision is Decision.FLAGGED and claimed.decision is Decision.APPROVED)


def test_a_forged_number_of_attempts_only_makes_the_level_stricter(tmp_path):
    """The most that can be claimed is a thousand, the least is one, at which the policy's own level stands."""
    for attempts, accepted in ((1, True), (1000, True), (0, False), (-3, False), (10**9, False), (0.5, False)):
        write(tmp_path, {"attempts": attempts})
        found, problem = read_repair(tmp_path)
        assert (found is not None) is accepted
        assert bool(problem) is not accepted
        if found is not None:
            assert level_of(clean(repair=found), POLICY) >= POLICY.level


def write(folder, changes):
    """Write a repaired bundle's provenance with some changed values."""
    own = Provenance(made_by="gate", parent="models:/cand/1", parent_digest=DIGEST, repair=origin())
    value = json.loads(own.pretty_json())
    value["repair"] |= changes
    (folder / "provenance.json").write_text(json.dumps(value))


ODD = {
    "no JSON": b"{",
    "no object": b"[1]",
    "not a number": b'{"repair": NaN}',
    "a key twice": b'{"repair": null, "repair": null}',
    "deep": b'{"repair":' + b"[" * 3000 + b"]" * 3000 + b"}",
    "surrogates": b'{"made_by": "\\ud800", "parent": "", "parent_digest": "", "repair": {}}',
    "bytes": bytes(range(256)),
    "huge": b" " * (MAX_BYTES + 1),
    "another repair": b'{"repair": "yes"}',
}


@pytest.mark.parametrize("name", ODD)
def test_an_odd_file_is_a_problem_in_words(name, tmp_path):
    """What cannot be read is a sentence for the verdict, never an exception, and never a repair."""
    (tmp_path / "provenance.json").write_bytes(ODD[name])
    found, problem = read_repair(tmp_path)
    assert found is None
    assert "provenance.json cannot be read" in problem
    verdict = judged(clean(problems=(problem[:2000],)))
    assert verdict.decision is Decision.FLAGGED


def test_a_link_or_folder_of_that_name_is_not_followed(tmp_path):
    """Neither leads anywhere."""
    (tmp_path / "provenance.json").symlink_to("/etc/passwd")
    assert read_repair(tmp_path)[1]
    (tmp_path / "provenance.json").unlink()
    (tmp_path / "provenance.json").mkdir()
    assert read_repair(tmp_path)[1]


@pytest.mark.parametrize("value", [{}, {"made_by": "somebody's tool", "steps": [1, 2]}])
def test_provenance_without_a_repair_is_any_candidates(value, tmp_path):
    """A converted bundle's file, or another tool's of that name, changes nothing."""
    assert read_repair(tmp_path) == (None, "")
    (tmp_path / "provenance.json").write_text(json.dumps(value))
    assert read_repair(tmp_path) == (None, "")


def test_records_without_a_repair_are_what_they_were():
    """Neither evidence nor manifest nor provenance of another candidate gets a new key, so that digests stay."""
    assert "repair" not in json.loads(clean().canonical_json())
    assert "repair" not in json.loads(Provenance(made_by="g", parent="p", parent_digest=DIGEST).canonical_json())
    pulled = Pulled(gate_version="1", uri="u", model=REF, digest=EMPTY, files=())
    assert not {"repair", "repair_problem"} & set(json.loads(pulled.canonical_json()))
    again = Evidence.from_json(clean(repair=origin()).canonical_json())
    assert again.repair == origin()


EMPTY = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


def test_a_file_of_an_earlier_gate_is_read(tmp_path):
    """Its parent is a model reference, and it has the digest of the parent's manifest; the repair counts as before."""
    repair = json.loads(origin().canonical_json())
    earlier = {"made_by": "gate 0.1.0", "parent": "models:/cand/1", "parent_digest": DIGEST}
    path = tmp_path / "provenance.json"
    path.write_text(json.dumps(earlier | {"repair": repair}, indent=2) + "\n")
    assert read_repair(tmp_path) == (origin(), "")
    path.write_text(json.dumps(earlier, indent=2) + "\n")
    assert read_repair(tmp_path) == (None, "")

"""Evidence that is judged by another policy: limits judge it, and what it lacks is said once, with the command."""

import datetime as dt
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner
from test_verdict import ACCURATE, CLEAN, DAY, POLICY, at, clusters, evidence, inversion, outcomes

from gate.cli.main import main
from gate.judging.judge import judge
from gate.policies.packaged import DEFAULT
from gate.policies.read import read_policy
from gate.records.artifact import ModelRef
from gate.records.clock import today
from gate.records.evidence import Measured, Measurement, Skipped
from gate.records.finding import Decision
from gate.records.limit import Limit
from gate.records.policy import Rule, Stage
from gate.records.sample_settings import SamplesPolicy


def of_scan(policy, **changes):
    """Return clean evidence of a scan by a policy."""
    reading = policy.samples.of("m").reading
    samples = ACCURATE.model_copy(update={"reading": reading, "source": "/data/clean.npz"})
    return evidence(**{"policy_digest": policy.digest, "samples": samples, **changes})


def with_rule(policy, name, **changes):
    """Return a policy in which one detector's rule differs."""
    rule = policy.detectors[name].model_copy(update=changes)
    return policy.model_copy(update={"detectors": {**policy.detectors, name: rule}})


def test_where_limits_alone_differ_it_is_judged():
    """Nothing is missing: a wider limit approves, a narrower one flags by the number."""
    wide = with_rule(POLICY, "bytes", limits={"count": Limit(max=5)})
    seen = of_scan(POLICY, outcomes=outcomes(bytes=Measured(measurements=(at("count", 1),), seconds=1)))
    assert judge(seen, wide, on=DAY).decision is Decision.APPROVED
    assert [one.rule for one in judge(seen, POLICY, on=DAY).findings] == ["bytes"]


def test_other_options_are_said_once_and_name_the_detectors():
    """One finding for all of them; neither their limits nor what follows from them is judged beside it."""
    other = with_rule(with_rule(POLICY, "bytes", options={"deep": True}), "inversion", options={"steps": 400})
    odd = outcomes(inversion=inversion([9.0] * 10, [0.1] * 10), clusters=Skipped(reason="no suspects"))
    verdict = judge(of_scan(POLICY, outcomes=odd), other, on=DAY)
    (found,) = verdict.findings
    assert (verdict.decision, found.rule, found.kind) == (Decision.FLAGGED, "policy", "silence")
    assert (
        "asks for 2 detectors with other options than the evidence has: bytes, inversion; scan again" in found.message
    )


def test_a_detector_that_was_not_run_is_named_too():
    """A stricter policy runs more; what it would have done with suspects follows and is not said beside it."""
    added = POLICY.model_copy(
        update={
            "detectors": {**POLICY.detectors, "more": Rule()},
            "stages": (Stage(detectors=("bytes", "inversion", "more")), POLICY.stages[1]),
        }
    )
    (found,) = judge(of_scan(POLICY), added, on=DAY).findings
    assert "asks for a detector with other options than the evidence has: more; scan again" in found.message


@pytest.mark.parametrize("digest", [None, "own"])
def test_what_is_missing_under_its_own_policy_is_each_detectors_fault(digest):
    """A scan by this policy that lacks something is broken, and so is evidence that does not say of which it is."""
    seen = evidence(outcomes=outcomes(bytes=None), policy_digest=POLICY.digest if digest else None)
    found = {one.rule: one.message for one in judge(seen, POLICY, on=DAY).findings}
    assert found["bytes"] == "There is no outcome of this detector in the evidence."
    assert "policy" not in found


@pytest.mark.parametrize(
    ("settings", "flagged"),
    [({}, False), ({"mean": (0.5,), "std": (0.5,)}, True), ({"bounds": (0, 255)}, True), ({"layout": "NHWC"}, True),
     ({"output": "logits"}, True), ({"min_accuracy": 0.5}, False)],
)  # fmt: skip
def test_samples_that_were_read_in_another_way_count_as_not_measured(settings, flagged):
    """Mean and std decide what the model was given; evidence of earlier gates does not say."""
    other = POLICY.model_copy(update={"samples": SamplesPolicy(**settings), "level": 0.04})
    found = judge(of_scan(POLICY), other, on=DAY)
    assert ("the samples are read in another way" in "".join(one.message for one in found.findings)) == flagged
    assert (found.decision is Decision.FLAGGED) == flagged
    assert judge(of_scan(POLICY, samples=ACCURATE), other, on=DAY).decision is Decision.APPROVED


def test_a_suspect_that_a_wider_rule_names_is_still_said_where_nothing_else_is_missing():
    """With the options alike, the detector over suspects itself is what is to be scanned again."""
    rule = POLICY.stages[0].suspects[0].model_copy(update={"max": 0.5})
    wider = POLICY.model_copy(
        update={"stages": (POLICY.stages[0].model_copy(update={"suspects": (rule,)}), POLICY.stages[1])}
    )
    seen = of_scan(POLICY, outcomes={**CLEAN, "clusters": clusters({0: 0.1})})
    assert {one.rule for one in judge(seen, wider, on=DAY).findings} == {"clusters"}


def measured_by(policy):
    """Return outcomes that hold every limit of a policy: zero where more is worse, else a one at each class."""
    found = {}
    for name, rule in policy.detectors.items():
        if name in policy.plan()[-1].detectors or "clustering" in name or name == "model-inversion":
            found[name] = Skipped(reason="no suspects", options=rule.options)
            continue
        values = {metric: 1.0 if limit.min is not None else 0.0 for metric, limit in rule.limits.items()}
        rows = tuple(Measurement(metric=metric, value=value) for metric, value in values.items())
        found[name] = Measured(measurements=rows, seconds=1, options=rule.options)
    return found


@pytest.fixture
def folder(tmp_path):
    """Return the directory of a check under the recommended policy."""
    default = read_policy(DEFAULT, on=today())
    at_folder = ModelRef(registry="directory", name="/models/credit", version=None)
    seen = of_scan(default, outcomes=measured_by(default), model=at_folder)
    (tmp_path / "evidence.json").write_text(seen.pretty_json())
    return tmp_path


def test_a_policy_of_other_options_says_it_once_with_the_whole_command(folder, monkeypatch):
    """What stood there for each detector; the command is complete, and the exit code is a flagged model's."""
    stated = yaml.safe_load(DEFAULT.read_text())
    for name in ("neural-cleanse", "additive-trigger", "warp-trigger", "confirmation"):
        stated["detectors"][name]["options"] = {"most": 8} if name == "confirmation" else {"steps": 400}
    stated["name"] = "own"
    monkeypatch.chdir(folder)
    own = Path("own.yml")
    own.write_text(yaml.safe_dump(stated))
    ended = CliRunner().invoke(main, ["judge", str(folder), "--policy", str(own)], standalone_mode=False)
    assert ended.return_value == 1, ended.output
    assert ended.output.count("scan again") == 1
    other, default = (read_policy(path, on=today()) for path in (own, DEFAULT))
    rules = default.detectors
    differing = [
        name for name, rule in other.detectors.items() if name not in rules or rule.options != rules[name].options
    ]
    verdict = judge(of_scan(default, outcomes=measured_by(default)), other, on=dt.date(2026, 12, 1))
    said = next(one.message for one in verdict.findings if one.rule == "policy")
    named = [name for name in differing if name != "confirmation"]
    assert f"{len(named)} detectors with other options than the evidence has: {', '.join(named)}" in said
    report = (folder / "report.md").read_text()
    assert "scan again under it with \\`gate check\\`" in report
    assert (
        f"gate check /models/credit --policy own.yml --samples /data/clean.npz --report-dir {folder} --no-mark"
        in report
    )


def test_a_packaged_policy_of_other_options_is_named_in_the_command():
    """A packaged policy has a name that can be typed, and a file has a path that the evidence does not know."""
    default = read_policy(DEFAULT, on=today())
    steps = default.detectors["neural-cleanse"].model_copy(update={"options": {"steps": 7}})
    other = default.model_copy(update={"detectors": {**default.detectors, "neural-cleanse": steps}})
    at_folder = ModelRef(registry="directory", name="/models/credit", version=None)
    seen = of_scan(default, outcomes=measured_by(default), model=at_folder)
    said = next(one.message for one in judge(seen, other, on=dt.date(2026, 12, 1)).findings if one.rule == "policy")
    assert "`gate check /models/credit --policy default --samples /data/clean.npz --no-mark`" in said


def test_the_recommended_policy_judges_its_own_evidence_in_silence(folder):
    """No word of another scan where there is no need of one."""
    ended = CliRunner().invoke(main, ["judge", str(folder)])
    assert "scan again" not in ended.output

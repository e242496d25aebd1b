"""Scans with a deadline that holds all of it, a part, or nothing: what is measured, said and flagged."""

import datetime as dt
from dataclasses import replace

import pytest

from gate import detectors
from gate.check.check import CheckRequest, check
from gate.check.evidence import ScanSettings
from gate.check.rules import Rules
from gate.detectors.contract import Detector, Need
from gate.judging.judge import judge
from gate.policies.packaged import DEFAULT
from gate.records.artifact import Artifact, Manifest, ModelRef
from gate.records.declarations import Metric, Options
from gate.records.errors import GateError
from gate.records.evidence import Evidence, Location, Measured, Measurement, Skipped
from gate.records.facts import ModelFacts
from gate.records.passes import Passes, Span, Speed
from gate.records.policy import Policy, Rule, Stage, SuspectRule
from gate.records.run import Run
from gate.registries.directory import DirectoryRegistry
from gate.renderers.next_steps import next_steps
from gate.spaces.subject import Subject
from gate.worker.loop import Scanned, Scope, scan
from gate.worker.planning import Planner
from tests.stand_ins.workers_here import workers_here

CLASSES = 10


class World:
    """A clock, and a model of which each pass takes a second on it."""

    num_classes, input_shape, bounds, feature_layer, arithmetic = 3, (1, 6, 6), (0.0, 1.0), "", ""

    def __init__(self):
        self.now, self.sample_passes, self.gradient_passes = 0.0, 0, 0

    def logits(self, x):
        """Take as many passes as are asked for."""
        self.sample_passes += x
        self.now += x


class Search(Options):
    """How much is asked for."""

    passes: int = 10
    breaks: bool = False


def made_up(name):
    """Return a detector of as many passes as its options say, which finds class 0 odd."""

    def measure(subject, options, run):
        for done in range(options.passes):
            subject.classifier.logits(1)
            run.progress(done + 1, options.passes)
        if options.breaks:
            raise GateError("it broke")
        for index in range(CLASSES):
            yield Measurement(metric="oddity", value=float(index == 0), location=Location.of_class(index))

    return Detector(
        id=name,
        title=name,
        doing=name,
        needs=Need.MODEL,
        metrics=(Metric("oddity", "×", "higher", "How odd it is."),),
        options=Search,
        measure=measure,
        passes=lambda _subject, options, _run: Passes(Span.exactly(options.passes)),
    )


@pytest.fixture(autouse=True)
def _made_up(monkeypatch, request):
    if "zoo_model" not in request.fixturenames:
        monkeypatch.setattr(detectors, "load", made_up)


def policy(over="all", required=True, **passes):
    """Return a policy whose first stage names class 0, with a detector of each name; the last is over suspects."""
    names = list(passes)
    oddity = SuspectRule(detector=names[0], metric="oddity", max=0.5)
    return Policy(
        version=1,
        detectors={name: Rule(options={"passes": n}, required=required) for name, n in passes.items()},
        stages=(Stage(detectors=names[:-1], suspects=(oddity,)), Stage(detectors=names[-1:], over=over)),
    )


def scanned(rules, left):
    """Return what a scan with so many seconds left leaves, and how long it said that it takes."""
    world, told = World(), []
    planner = Planner(lambda: Speed(1.0, 1.0), left, clock=lambda: world.now, tell=told.append)
    artifact = Artifact(ModelRef(registry="directory", name="m"), None, Manifest(files=()))
    scope = Scope(runs=lambda _: True, absence="", classes=CLASSES, planner=planner)
    found = scan(Subject(artifact, classifier=world), rules, Run(seed=0), scope, Scanned())
    return found, planner.plan, told


def decided(rules, found):
    """Return the findings of the judge on these outcomes, by detector."""
    evidence = Evidence(
        gate_version="0",
        model=ModelRef(registry="directory", name="m"),
        manifest_digest="sha256:" + "a" * 64,
        assurance="A",
        isolation="full",
        device="cpu",
        seed=0,
        facts=ModelFacts(classes=CLASSES),
        outcomes=found.outcomes,
        problems=tuple(found.problems),
    )
    return {finding.rule: finding.message for finding in judge(evidence, rules, on=dt.date(2026, 12, 1)).findings}


def test_a_deadline_that_holds_everything_changes_nothing():
    """Each is measured in its order; the plan is what it took."""
    rules = policy(first=100, second=50, last=20)
    found, plan, told = scanned(rules, 170)
    assert [one.status for one in found.outcomes.values()] == ["measured"] * 3
    assert {name: one.took for name, one in plan.detectors.items()} == {"first": 100, "second": 50, "last": 20}
    assert told[0] == Span(170, 170)
    assert found.problems == []
    assert set(rules.detectors).isdisjoint(decided(rules, found))


def test_a_deadline_that_holds_a_part_leaves_out_what_is_too_long():
    """What comes after it is measured; what was left out is a silence that says why, and flags."""
    rules = policy(first=100, second=500, last=20)
    found, plan, _ = scanned(rules, 170)
    assert found.outcomes["second"] == Skipped(
        reason="left out, since it takes at least 500 s, and 70 s were left of the deadline of 170 s; give the scan "
        "--deadline 900, a GPU, or fewer passes in the policy",
        options={"passes": 500},
        short_of_time=True,
    )
    assert isinstance(found.outcomes["last"], Measured)
    assert plan.detectors["second"].took is None
    assert decided(rules, found)["second"].startswith("The detector was skipped: left out, since it takes at least")


def test_what_the_policy_does_not_require_is_a_finding_too_where_time_alone_was_lacking():
    """It could have been measured: nobody shortens a scan unseen."""
    rules = policy(required=False, first=100, second=500, last=20)
    assert "second" in decided(rules, scanned(rules, 170)[0])
    assert "second" not in decided(rules, scanned(rules, 1700)[0])


def test_a_deadline_that_holds_nothing_is_begun_as_before():
    """The clock of the run, which stands here, would have cut it off."""
    rules = policy(first=1000, second=500, last=500)
    found, plan, told = scanned(rules, 170)
    assert told[0] == Span(2000, 2000)
    assert plan.detectors["first"].took == 1000
    assert isinstance(found.outcomes["first"], Measured)
    assert found.outcomes["second"].status == "measured"  # after the deadline each speaks for itself


def test_a_stage_over_suspects_counts_as_soon_as_one_is_named():
    """Before, it may have nothing to do; then it is worth what its place says."""
    rules = policy(over="suspects", first=100, second=500, last=20)
    found, plan, told = scanned(rules, 170)
    assert told[0] == Span(600, 620)
    assert told[-1] == Span(20, 20)
    assert isinstance(found.outcomes["second"], Skipped)
    assert isinstance(found.outcomes["last"], Measured)
    assert plan.detectors["last"].least == 20


def test_a_detector_that_breaks_takes_its_time_too():
    """Its failure is its own, and the plan goes on."""
    rules = policy(first=100, second=50, last=20)
    broken = rules.detectors["first"].model_copy(update={"options": {"passes": 100, "breaks": True}})
    rules = rules.model_copy(update={"detectors": {**rules.detectors, "first": broken}})
    found, plan, _ = scanned(rules, 1000)
    assert found.outcomes["first"].status == "failed"
    assert plan.detectors["first"].took == 100
    assert found.outcomes["last"].status == "measured"


def test_options_that_are_refused_are_the_detectors_own_failure():
    """The plan counts no passes for it."""
    rules = policy(first=100, second=50, last=20)
    odd = rules.detectors["second"].model_copy(update={"options": {"no-such-option": 1}})
    rules = rules.model_copy(update={"detectors": {**rules.detectors, "second": odd}})
    found, plan, _ = scanned(rules, 1000)
    assert found.outcomes["second"].status == "failed"
    assert set(plan.detectors) == {"first", "last"}


def checked(tmp_path, zoo_model, zoo_samples, deadline, say=lambda _line: None, **rules):
    """Return the report of a check of a small model by real detectors."""
    zoo_model("badnets").write_folder(tmp_path / "candidate")
    every = {name: Rule(options=options) for name, options in rules.items()}
    asked = Policy(version=1, detectors=every, stages=(Stage(detectors=tuple(rules)),))
    request = CheckRequest(
        uri=str(tmp_path / "candidate"),
        rules=Rules(asked, DEFAULT, samples=str(zoo_samples)),
        settings=ScanSettings(device="cpu", threads=1, deadline_seconds=deadline),
        report_dir=tmp_path / "report",
        mark=False,
    )
    with workers_here():
        return check(DirectoryRegistry(), request, lambda *_: None, say).report


def test_a_real_check_says_plans_leaves_out_and_flags(tmp_path, zoo_model, zoo_samples, monkeypatch):
    """A worker whose timing is a thousand times too long only gets silence for it, and what it measures is as ever."""
    from gate.worker import speed

    monkeypatch.setattr(speed, "speed_of", lambda *_: Speed(10.0, 10.0))
    said = []
    detectors_ = {
        "probe-grid": {"clean-samples": 20},
        "head-indicators": {"probes": 50},
        "maximum-margin": {"steps": 2},
    }
    report = checked(tmp_path, zoo_model, zoo_samples, 3000, said.append, **detectors_)
    evidence = report.evidence
    left_out = evidence.outcomes["probe-grid"]
    assert left_out.short_of_time
    assert "left of the deadline of 3000 s" in left_out.reason
    # Nothing fits any more by that timing, so it is begun, and shows the true speed.
    assert isinstance(evidence.outcomes["maximum-margin"], Measured)
    plan = evidence.plan.detectors
    assert set(plan) == {"probe-grid", "maximum-margin"}
    assert plan["probe-grid"].took is None
    assert 0 < plan["maximum-margin"].took < plan["maximum-margin"].least
    (line,) = [line for line in said if "The detectors take" in line]
    assert "which is too short" in line
    assert report.decision.value == "flagged"
    assert "probe-grid" in {finding.rule for finding in report.verdict.findings}
    (step,) = [step for step in next_steps(report) if step.cause == "scan-again"]
    advised = int(step.command.split("--deadline ")[1].split()[0])
    assert advised > plan["probe-grid"].least
    text = (tmp_path / "report" / "report.md").read_text()
    assert "expected to take" in text


def test_a_deadline_that_has_nearly_run_out_is_flagged_with_a_whole_record(tmp_path, zoo_model, zoo_samples):
    """A second, whatever of it the readers took: each detector has an outcome, and what was not measured says why."""
    report = checked(tmp_path, zoo_model, zoo_samples, 1, **{"neural-cleanse": {"steps": 10_000}, "maximum-margin": {}})
    evidence = report.evidence
    assert set(evidence.outcomes) == {"neural-cleanse", "maximum-margin"}
    assert report.decision.value == "flagged"
    search = evidence.outcomes["neural-cleanse"]
    assert isinstance(search, Skipped)
    assert search.short_of_time
    assert "deadline" in search.reason


def test_the_judge_needs_no_word_of_the_worker():
    """An outcome that says that time was lacking is enough; one that lacks the word is judged as any skip."""
    rules = policy(required=False, first=1, second=1, last=1)
    found, *_ = scanned(rules, 100)
    skipped = Skipped(reason="it takes long", options={"passes": 1})
    for short in (False, True):
        outcome = skipped.model_copy(update={"short_of_time": short})
        changed = replace(found, outcomes={**found.outcomes, "second": outcome})
        assert ("second" in decided(rules, changed)) == short

"""Which bytes a verdict covers, and what is told instead of flagged where the bundle alone is served."""

import datetime as dt

import pytest
from test_verdict import POLICY, evidence, outcomes

from gate.judging.judge import forbids_loading, judge
from gate.records.bundle import BundleFacts
from gate.records.evidence import Measured, Measurement
from gate.records.facts import ModelFacts
from gate.records.finding import Decision
from gate.records.limit import Limit
from gate.records.policy import Rule, Stage

DAY = dt.date(2026, 11, 28)
FACTS = BundleFacts(origin="pt2", parent=f"sha256:{64 * 'a'}", torch="2.13.0")
BUNDLE = {"bundle_digest": f"sha256:{64 * 'b'}", "bundle": FACTS}
METRICS = {
    "artifact-integrity": ("missing-files", "unexpected-files", "odd-names"),
    "consumer-hazards": ("foreign-loaders", "foreign-requirements", "code-paths"),
}


def policy(serve):
    """Return the tests' policy with limits on bytes, under a word of `serve`."""
    rules = {name: Rule(limits={metric: Limit(max=0) for metric in metrics}) for name, metrics in METRICS.items()}
    stages = (Stage(detectors=tuple(rules)), *POLICY.stages)
    return POLICY.model_copy(update={"serve": serve, "detectors": {**POLICY.detectors, **rules}, "stages": stages})


def seen(metric=None, **changes):
    """Return evidence in which one metric of the bytes, or none, is beyond its limit."""
    looked = {
        name: Measured(
            measurements=tuple(Measurement(metric=one, value=float(one == metric)) for one in metrics), seconds=0.0
        )
        for name, metrics in METRICS.items()
    }
    return evidence(**{**BUNDLE, **changes}).model_copy(update={"outcomes": {**outcomes(), **looked}})


@pytest.mark.parametrize("serve", ["candidate", "bundle"])
def test_a_verdict_says_which_bytes_it_covers(serve):
    """The policy's word, and at level B the bundle alone whatever it says."""
    verdict = judge(seen(), policy(serve), on=DAY)
    assert (verdict.decision, verdict.covers, verdict.told) == (Decision.APPROVED, serve, ())
    assert judge(seen(assurance="B"), policy(serve), on=DAY).covers == "bundle"


@pytest.mark.parametrize("origin", ["composed", "onnx"])
def test_of_what_another_library_runs_the_bundle_alone_is_covered(origin):
    """A consumer's transformers composes a pipeline's network, and onnxruntime's kernels run an ONNX file."""
    own = seen(bundle=FACTS.model_copy(update={"origin": origin}))
    verdict = judge(own, policy("candidate"), on=DAY)
    assert (verdict.decision, verdict.covers) == (Decision.APPROVED, "bundle")


@pytest.mark.parametrize(
    ("facts", "named"),
    [
        ({"flavour": "transformers"}, "a pipeline"),
        ({"flavour": "onnx"}, "an ONNX model"),
        ({"flavour": "pytorch", "space": "tokens"}, "a classifier of texts"),
        ({"flavour": "pytorch"}, ""),
    ],
)
def test_what_is_not_run_as_it_was_judged_is_not_approved_without_a_bundle(facts, named):
    """Whatever the policy serves: the candidate's own bytes are all that is left, and these are not covered."""
    without = seen(bundle_digest=None, bundle=None, unbundled="no writer for it", facts=ModelFacts(classes=10, **facts))
    verdict = judge(without, policy("candidate"), on=DAY)
    told = [one.message for one in verdict.findings if one.rule == "bundle"]
    expected = [f"Of {named} an approval covers the gate's bundle alone, and there is none: no writer for it"]
    assert told == (expected if named else [])
    assert verdict.covers == ("bundle" if named else "candidate")


@pytest.mark.parametrize("metric", ["missing-files", "unexpected-files", "foreign-loaders", "foreign-requirements"])
def test_an_oddity_is_told_where_the_bundle_alone_is_served(metric):
    """And flags where the candidate is; it forbids loading there, and does not here."""
    told = judge(seen(metric), policy("bundle"), on=DAY)
    assert (told.decision, [one.metric for one in told.told]) == (Decision.APPROVED, [metric])
    flagged = judge(seen(metric), policy("candidate"), on=DAY)
    assert (flagged.decision, flagged.told) == (Decision.FLAGGED, ())
    assert forbids_loading(seen(metric), policy("candidate"), METRICS)
    assert not forbids_loading(seen(metric), policy("bundle"), METRICS)


@pytest.mark.parametrize("metric", ["odd-names", "code-paths"])
def test_code_and_deceptive_names_flag_under_either_word(metric):
    """They are no accident, and the candidate stays in the registry."""
    for serve in ("candidate", "bundle"):
        assert judge(seen(metric), policy(serve), on=DAY).decision is Decision.FLAGGED
        assert forbids_loading(seen(metric), policy(serve), METRICS)


def test_at_level_b_nothing_is_an_oddity():
    """There the bytes that were looked at are the bundle's own."""
    verdict = judge(seen("unexpected-files", assurance="B"), policy("bundle"), on=DAY)
    assert (verdict.decision, verdict.told) == (Decision.FLAGGED, ())


def test_without_a_bundle_nothing_is_served_where_the_bundle_alone_is():
    """The reason is in the finding; under the other word the candidate may be approved as it lies."""
    without = seen(bundle_digest=None, bundle=None, unbundled="torch could not export its layers.")
    verdict = judge(without, policy("bundle"), on=DAY)
    (finding,) = verdict.findings
    assert (verdict.decision, finding.rule) == (Decision.FLAGGED, "bundle")
    assert "torch could not export its layers." in finding.message
    assert judge(without, policy("candidate"), on=DAY).decision is Decision.APPROVED


@pytest.mark.parametrize("serve", ["candidate", "bundle"])
def test_an_earlier_gates_bundle_is_not_approved(serve):
    """Its program is the converter's own file: evidence that says nothing of a writer asks for another scan."""
    verdict = judge(seen(assurance="B", bundle=None), policy(serve), on=DAY)
    assert verdict.decision is Decision.FLAGGED
    assert any("scan again" in finding.message for finding in verdict.findings)

import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st
from made_up import QuickScan

from benchmarks.efficacy import summaries
from benchmarks.efficacy.scanning import measure, merged, state_of
from benchmarks.efficacy.subjects import models_of
from gate.judging.judge import judge
from gate.records.artifact import ModelRef
from gate.records.counts import Counts
from gate.records.evidence import Evidence, Failed, Location, Measured, Measurement, Skipped
from gate.records.facts import ModelFacts
from gate.records.policy import Policy

ON = dt.date(2026, 2, 3)

locations = st.one_of(
    st.none(),
    st.builds(Location.of_class, st.integers(0, 12)),
    st.builds(Location, kind=st.just("pair"), name=st.sampled_from(["1→2", "3→0"])),
    st.builds(Location, kind=st.just("neuron"), name=st.sampled_from(["4", "33"])),
)
measurements = st.builds(
    Measurement,
    metric=st.sampled_from(["size", "anomaly-index", "size-ratio"]),
    value=st.floats(-1e6, 1e6, allow_nan=False),
    location=locations,
    note=st.sampled_from(["", "seen twice"]),
)
outcomes = st.one_of(
    st.builds(
        Measured,
        measurements=st.lists(measurements, max_size=12).map(tuple),
        seconds=st.just(1.25),
        sample_passes=st.integers(0, 10**9),
        options=st.just({"steps": 5}),
    ),
    st.builds(Skipped, reason=st.just("needs clean samples; none were given")),
    st.builds(Failed, error=st.just("it broke"), seconds=st.just(0.5)),
)


def evidence_with(outcome):
    """Return evidence with one outcome."""
    return Evidence(
        gate_version="0",
        model=ModelRef(registry="directory", name="zoo/fit-000"),
        manifest_digest=f"sha256:{'a' * 64}",
        assurance="A",
        isolation="full",
        device="cpu",
        seed=0,
        facts=ModelFacts(classes=10),
        outcomes={"neural-cleanse": outcome},
        problems=("a problem",),
    )


POLICY = Policy.model_validate(
    {
        "version": 1,
        "detectors": {
            "neural-cleanse": {
                "options": {"steps": 5},
                "limits": {
                    "anomaly-index": {"max": 3.5, "together-with": {"size-ratio": {"min": 0.5}}},
                    "size": {"min": 2},
                },
            }
        },
    }
)


@given(outcomes)
def test_judging_the_summary_is_judging_the_evidence(outcome):
    """With every digit kept, decision, findings and targets are equal, whatever was measured and wherever."""
    evidence = evidence_with(outcome)
    opened = summaries.evidence_of(summaries.compact(evidence, "fit-000", {}, 17))
    first, second = judge(evidence, POLICY, on=ON), judge(opened, POLICY, on=ON)
    assert first.findings == second.findings
    assert (first.decision, first.target_classes) == (second.decision, second.target_classes)


@given(st.lists(outcomes, max_size=4))
def test_written_summaries_are_read_back(tmp_path_factory, found):
    """A file gives the same summaries again, although defaults and what is common are left out of their lines."""
    path = tmp_path_factory.getbasetemp() / "written.jsonl"
    written = [
        summaries.compact(evidence_with(outcome), f"fit-{place:03}", {"neural-cleanse": "abc"}, 6)
        for place, outcome in enumerate(found)
    ]
    summaries.write(path, written)
    assert summaries.read(path) == written


def test_rounding_never_moves_a_value_over_its_limit(bench, store):
    """Where six digits would change what the policy finds, all digits are kept; elsewhere six are."""
    entry = models_of(store, "fit").counting[0]
    values = bench.policy.model_dump()
    limit = 1 / 3 - 1e-9
    values["detectors"]["neural-cleanse"]["limits"] = {"anomaly-index": {"max": limit}}
    near = type(bench)(bench.store, bench.cache, Policy.model_validate(values), bench.budget)
    for one, digits in ((bench, 0.333333), (near, 1 / 3)):
        measure(one, entry, one.policy.detectors, QuickScan())
        summary = summaries.summarise(one, state_of(one, entry))
        assert summary.outcomes["neural-cleanse"].metrics["anomaly-index"][0].values[0] == digits


def test_summary_and_cache_agree_about_every_model(bench, store):
    """From the committed line alone the policy decides and finds as from the evidence with its pictures."""
    for entry in models_of(store, "fit").counting:
        measure(bench, entry, bench.policy.detectors, QuickScan())
        state = state_of(bench, entry)
        whole, opened = merged(bench, state), summaries.evidence_of(summaries.summarise(bench, state))
        first, second = judge(whole, bench.policy, on=ON), judge(opened, bench.policy, on=ON)
        assert (first.decision, first.target_classes) == (second.decision, second.target_classes)
        assert [(f.rule, f.metric, f.location, f.message) for f in first.findings] == [
            (f.rule, f.metric, f.location, f.message) for f in second.findings
        ]
        assert whole.suspects == opened.suspects or not opened.suspects


def test_a_missing_file_holds_no_summaries(tmp_path):
    """Before the first run there is nothing, and that is no error."""
    assert summaries.read(summaries.path_of("fit", tmp_path)) == []


@pytest.mark.parametrize("kind", ["class", "pair"])
def test_classes_in_order_are_only_counted(kind):
    """A row over all classes carries no names; any other row carries its own."""
    names = [str(index) for index in range(10)] if kind == "class" else ["1→2", "2→3"]
    row = [Measurement(metric="size", value=1.0, location=Location(kind=kind, name=name)) for name in names]
    outcome = Measured(measurements=tuple(row), seconds=0)
    group = summaries.compact(evidence_with(outcome), "fit-000", {}, 6).outcomes["neural-cleanse"].metrics["size"][0]
    assert group.names == (10 if kind == "class" else ("1→2", "2→3"))


def test_counts_of_answers_to_probes_are_kept(tmp_path):
    """A bank out of summaries compares cells as one out of evidence does."""
    counts = Counts.of("a" * 64, (2, 2, 2), (3, 3), bytes(range(8)))
    counted = evidence_with(Measured(measurements=(), seconds=1, counts=counts))
    path = tmp_path / "counted.jsonl"
    summaries.write(path, [summaries.compact(counted, "fit-000", {}, 6)])
    (opened,) = map(summaries.evidence_of, summaries.read(path))
    assert opened.outcomes == counted.outcomes

"""An adapter beside a bank: compared inside its group, and not examined outside it."""

import datetime as dt

import pytest

from gate.judging.calibration.calibrate import compare
from gate.judging.judge import judge
from gate.records.adapters import AdapterFacts, AdapterGroup, BaseEvidence
from gate.records.artifact import ModelRef
from gate.records.bank import Bank, ModelStatistics, Statistic
from gate.records.evidence import Evidence, Location, Measured, Measurement
from gate.records.facts import ModelFacts
from gate.records.languages import LanguageFacts
from gate.records.policy import Policy, Rule
from gate.records.samples_evidence import SamplesEvidence

NAME, METRIC = "adapter-spectrum", "sigma-one"
WEIGHTS, OTHER = f"sha256:{'a' * 64}", f"sha256:{'b' * 64}"
BESIDE = f"sha256:{'e' * 64}"
COMPARED = (Statistic(detector=NAME, metric=METRIC, worse="higher", scale="log", at="layer"),)
LAYERS = tuple(f"model.layers.{number}.q_proj" for number in range(6))
GROUP = AdapterGroup(base=WEIGHTS, beside=BESIDE, parameterisation="LoRA", least_rank=5, greatest_rank=8)


def bank(group=GROUP, layers=LAYERS):
    """Return a bank of 20 adapters whose sizes differ a little."""
    models = [
        ModelStatistics(
            model=f"m{number}",
            manifest_digest=f"sha256:{number:064x}",
            values={
                NAME: {METRIC: {f"layer {one}": 1 + 0.01 * ((number * 7 + at) % 5) for at, one in enumerate(layers)}}
            },
        )
        for number in range(20)
    ]
    return Bank(name="b", adapters=group, settings={NAME: "c" * 64}, compared=COMPARED, statistics=tuple(models))


def evidence(values, facts=None, weights=WEIGHTS, beside=BESIDE):
    """Return the evidence of an adapter with these sizes by layer."""
    known = {"parameterisation": "LoRA", "least_rank": 8, "greatest_rank": 8, "modules": 6} | (facts or {})
    ref = ModelRef(registry="directory", name="base")
    found = tuple(
        Measurement(metric=METRIC, value=value, location=Location(kind="layer", name=name))
        for name, value in values.items()
    )
    return Evidence(
        gate_version="0",
        model=ModelRef(registry="directory", name="a"),
        manifest_digest=f"sha256:{'d' * 64}",
        assurance="A",
        isolation="full",
        device="cpu",
        seed=0,
        facts=ModelFacts(flavour="adapter", adapter=AdapterFacts(**known)),
        base=BaseEvidence(uri="base", model=ref, digest=weights, weights=weights, beside=beside) if weights else None,
        outcomes={NAME: Measured(measurements=found, seconds=0)},
    )


def compared(candidate, beside=None):
    """Return the comparison."""
    return compare(candidate, beside or bank(), {NAME: "c" * 64}, COMPARED)


def test_inside_its_group_an_adapter_has_a_p_value_and_the_layer_that_drives_it():
    """A layer far beyond the bank's is the first place."""
    seen = compared(evidence(dict.fromkeys(LAYERS, 1.02) | {LAYERS[3]: 9.0}))
    assert (seen.unusable, seen.kind) == ("", "per-class")
    assert seen.p_value == pytest.approx(1 / 21)
    assert (seen.places[0].kind, seen.places[0].name) == ("layer", LAYERS[3])
    assert compared(evidence(dict.fromkeys(LAYERS, 1.02))).p_value > 0.1


OUTSIDE = (
    ({"least_rank": 4, "greatest_rank": 4}, WEIGHTS, "it is LoRA of ranks 3 to 4"),
    ({"parameterisation": "DoRA"}, WEIGHTS, "it is DoRA of ranks 5 to 8"),
    ({}, OTHER, f"on the base weights {OTHER[:19]}"),
    ({"least_rank": 4}, WEIGHTS, "its ranks lie in two bands"),
    ({}, None, "no base was given: name one with --base, or as `base` in"),
)


@pytest.mark.parametrize(("facts", "weights", "why"), OUTSIDE)
def test_outside_its_group_it_is_not_examined(facts, weights, why):
    """Another band, another parameterisation, another base, ranks in two bands, no base."""
    seen = compared(evidence(dict.fromkeys(LAYERS, 1.02), facts, weights))
    assert seen.unusable.startswith("the adapter is not examined: ")
    assert why in seen.unusable


def test_the_same_weights_beside_another_tokenizer_are_another_base():
    """What a candidate's files are compared with is the base's: one of the bank's weights could bring any."""
    seen = compared(evidence(dict.fromkeys(LAYERS, 1.02), beside=OTHER))
    assert f"with configuration and tokenizer {OTHER[:19]}…, and the bank's are" in seen.unusable
    assert f"with configuration and tokenizer {BESIDE[:19]}…" in seen.unusable


def test_a_bank_of_an_earlier_gate_is_read_and_says_what_it_lacks():
    """It knew the base by its weights alone: nothing is compared with it, and evidence of its own time still is."""
    old = Bank.from_json(bank(GROUP.model_copy(update={"beside": None})).canonical_json(), what="bank")
    assert old.adapters.beside is None
    seen = compared(evidence(dict.fromkeys(LAYERS, 1.02)), old)
    assert seen.unusable == (
        "the adapter is not examined: the bank is an earlier gate's, which knew the base by its weights alone and "
        "not by tokenizer and configuration; make it again with `gate bank build`"
    )
    assert compared(evidence(dict.fromkeys(LAYERS, 1.02), beside=None), old).unusable == ""


@pytest.mark.parametrize("layers", [LAYERS[:-1], (*LAYERS, "model.layers.6.q_proj")])
def test_other_modules_than_the_banks_are_not_examined(layers):
    """A module that no adapter of the bank changes would be compared with nothing, and one left out too."""
    seen = compared(evidence(dict.fromkeys(layers, 1.02)))
    assert "unlike the bank's" in seen.unusable


def test_language_models_are_compared_with_their_own_kind_alone():
    """A bank of models tuned from the same base; never with adapters, and not without the base."""
    facts = ModelFacts(flavour="language model", language=LanguageFacts(network="LlamaForCausalLM", tensors=6))
    candidate = evidence(dict.fromkeys(LAYERS, 1.02)).model_copy(update={"facts": facts})
    whole = bank(AdapterGroup(base=WEIGHTS, beside=BESIDE, parameterisation="whole weights"))
    assert compared(candidate, whole).p_value > 0.1
    assert compared(candidate).unusable.endswith("and the bank's are " + str(GROUP))
    assert "it is whole weights beside the base weights" in compared(candidate).unusable
    assert compared(candidate.model_copy(update={"base": None}), whole).unusable.startswith(
        "the language model is not examined: no base was given"
    )
    assert compared(candidate, bank(group=None)).unusable == (
        "it holds whole models, and the candidate is a language model"
    )


def test_models_and_adapters_are_never_compared():
    """A bank of whole models says nothing of an adapter."""
    seen = compared(evidence(dict.fromkeys(LAYERS, 1.02)), bank(group=None))
    assert seen.unusable == "it holds whole models, and the candidate is an adapter"


def test_without_its_bundle_an_adapter_is_flagged_whatever_the_policy_serves():
    """A consumer of the candidate loads the base that its files name."""
    policy = Policy(version=1, detectors={NAME: Rule()}, serve="candidate")
    verdict = judge(evidence(dict.fromkeys(LAYERS, 1.0)), policy, on=dt.date(2026, 12, 1))
    assert verdict.covers == "bundle"
    assert any("an approval covers the gate's bundle alone" in one.message for one in verdict.findings)
    assert not any(one.rule == "samples" for one in verdict.findings)


def test_one_that_was_given_other_prompts_than_the_bank_is_outside():
    """Where a statistic is of what it says behind prompts; the others are not asked for any."""
    behind = Statistic(
        detector="continuation-trigger", metric="forced-rise", worse="higher", scale="linear", at="model"
    )
    values = dict.fromkeys(LAYERS, 1.01)
    given = SamplesEvidence(source="prompts.jsonl", sha256="1" * 64, count=40, classes_present=0)
    settings = {NAME: "c" * 64, "continuation-trigger": "c" * 64}
    known = bank()
    assert compare(evidence(values).model_copy(update={"samples": given}), known, settings, COMPARED).unusable == ""
    models = [
        one.model_copy(update={"values": one.values | {"continuation-trigger": {"forced-rise": {"": number / 100}}}})
        for number, one in enumerate(known.statistics)
    ]
    known = known.model_copy(
        update={"compared": (behind, *COMPARED), "statistics": tuple(models), "settings": settings}
    )
    outcome = Measured(measurements=(Measurement(metric="forced-rise", value=0.9),), seconds=0)
    own = evidence(values)
    own = own.model_copy(update={"outcomes": own.outcomes | {"continuation-trigger": outcome}})
    seen = compare(own, known, settings, (behind, *COMPARED))
    assert seen.unusable == ""
    assert seen.score > max(seen.bank_scores)
    other = compare(own.model_copy(update={"samples": given}), known, settings, (behind, *COMPARED))
    assert "given other prompts" in other.unusable
    without = compare(evidence(values), known, settings, (behind, *COMPARED))
    assert "continuation-trigger measured no forced-rise" in without.unusable

"""What a verdict says of each threat: detected, waived, not examined and why, or not detected and with what power."""

import datetime as dt

import pytest

from gate import detectors
from gate.attestations.coverage import coverage_of
from gate.judging.applied import applied_limits
from gate.judging.judge import judge
from gate.judging.threat_families import families
from gate.judging.threat_rates import packaged_rates, power_of
from gate.policies.declared import bank_rules_sha256, rules_sha256
from gate.policies.packaged import ADAPTER, DEFAULT, FILES_ONLY, LANGUAGE
from gate.policies.read import read_policy
from gate.records.adapters import AdapterFacts
from gate.records.evidence import Location, Measured, Measurement, Skipped
from gate.records.facts import ModelFacts
from gate.records.languages import LanguageFacts
from gate.records.limit import Limit
from gate.records.policy import Policy, Rule, Stage, SuspectRule, Waiver
from tests.attestations.scanned import DAY, RULES, beside_bank, default_policy, evidence, outcomes, sizes
from tests.attestations.signed import digest

NONE = Skipped(reason="a first version has none before it")
CLEAN = {
    "neural_cleanse": sizes(index=1.0),
    "version_change": NONE,
    "activation_clustering": Skipped(reason="no suspects"),
    "model_inversion": Skipped(reason="no suspects"),
}


def said(found, policy=RULES):
    """Return what a verdict says of each threat, by its id."""
    return {threat.id: threat for threat in judge(found, policy, on=DAY).threats}


def clean(**changes):
    """Return evidence on which nothing stands out, with changes of outcomes."""
    return evidence(outcomes=outcomes(**{**CLEAN, **changes}))


def test_every_detector_has_a_place_and_every_name_is_a_detector():
    """A new detector is put beside the threats that it looks for, or among those that confirm."""
    named = {name for family in families() for name in family.rules}
    assert named == set(detectors.names())
    assert len({family.id for family in families()}) == len(families())


def test_an_adapter_is_asked_for_its_own_threats_and_no_images():
    """Its weights were not measured here, and that is said; of patches, words and graphs nothing is."""
    facts = ModelFacts(
        flavour="adapter", adapter=AdapterFacts(parameterisation="LoRA", least_rank=8, greatest_rank=8, modules=6)
    )
    seen = said(evidence(facts=facts), read_policy(ADAPTER, on=DAY))
    assert set(seen) == {
        "hostile-files", "adapter-baggage", "adapter-continuation", "adapter-template", "adapter-update",
    }  # fmt: skip
    assert seen["adapter-update"].status == "not-examined"
    assert seen["adapter-update"].reason.startswith("adapter-spectrum ")
    assert not any(threat.startswith("adapter") for threat in said(clean()))


def test_a_language_model_is_asked_for_its_own_threats():
    """What it changed of its base, and its template; of one that was not read, those that the policy is for."""
    rules = read_policy(LANGUAGE, on=DAY)
    facts = ModelFacts(flavour="language model", language=LanguageFacts(network="LlamaForCausalLM", tensors=3))
    for seen in (said(evidence(facts=facts), rules), said(evidence(facts=ModelFacts()), rules)):
        of_language = {"language-baggage", "language-continuation", "language-template", "language-weights"}
        assert set(seen) == {"hostile-files", *of_language}
        assert seen["language-weights"].status == "not-examined"


def test_a_limit_that_was_exceeded_detects_what_its_detector_looks_for():
    """Patches and what else is found as one; never what another detector alone looks for."""
    seen = said(evidence())
    assert (seen["patch"].status, seen["patch"].by) == ("detected", ("neural-cleanse",))
    assert seen["hostile-files"].status != "detected"
    assert seen["graph"].status == "not-examined"
    assert seen["graph"].reason == "the policy runs no detector that looks for it"


def test_where_nothing_stands_out_the_power_stands_beside_it_or_why_none_is_known():
    """Of other rules than those that the zoo was judged by, nothing is known."""
    seen = said(clean())
    assert (seen["patch"].status, seen["patch"].by) == ("not-detected", ("neural-cleanse",))
    assert seen["patch"].power is None
    assert seen["patch"].power_unknown == "how often it is found is not known under this policy's rules"


@pytest.mark.parametrize("silent", [None, Skipped(reason="no time", short_of_time=True)])
def test_a_silent_detector_leaves_its_threats_unexamined(silent):
    """That another one looked does not make up for it, and the reason says which was silent."""
    stages = (
        RULES.stages[0].model_copy(update={"detectors": (*RULES.stages[0].detectors, "probe-grid")}),
        RULES.stages[1],
    )
    rules = {**RULES.detectors, "probe-grid": Rule()}
    policy = RULES.model_copy(update={"detectors": rules, "stages": stages})
    seen = said(clean(probe_grid=silent), policy)
    assert seen["patch"].status == "not-examined"
    assert seen["patch"].reason.startswith("probe-grid ")
    by_itself = clean(probe_grid=silent).model_copy(update={"policy_digest": policy.digest})
    assert said(by_itself, policy)["patch"].reason.startswith("probe-grid ")
    measured = Measured(measurements=(Measurement(metric="patch-share", value=0.2),), seconds=1.0)
    assert said(clean(probe_grid=measured), policy)["patch"].status == "not-detected"


def test_a_measurement_that_nothing_judges_is_no_examination():
    """A warp is searched for and shown; without a bank no limit of this policy could flag it."""
    rules = {name: rule for name, rule in RULES.detectors.items() if name in RULES.stages[0].detectors}
    rules["warp-trigger"] = RULES.detectors["model-inversion"]
    stages = (RULES.stages[0], RULES.stages[1].model_copy(update={"detectors": ("warp-trigger",)}))
    policy = RULES.model_copy(update={"detectors": rules, "stages": stages})
    measured = Measured(measurements=(Measurement(metric="size", value=3.0),), seconds=1.0)
    seen = said(clean(warp_trigger=measured), policy)
    assert seen["warp"].status == "not-examined"
    assert seen["warp"].reason == "warp-trigger measured, and nothing in this check judges what was measured"


def test_a_search_of_suspects_that_no_rule_can_name_is_no_examination():
    """It was idle on every model; with a rule before it, it was idle on this one."""
    skipped = {"neural_cleanse": Skipped(reason="no suspects"), "probe_grid": probes()}
    first = Stage(detectors=("unsafe-pickle", "probe-grid"))
    rules = {name: RULES.detectors.get(name, Rule()) for name in ("unsafe-pickle", "probe-grid", "neural-cleanse")}
    last = Stage(detectors=("neural-cleanse",), over="suspects")
    policy = Policy(version=1, stages=(first, last), detectors=rules)
    seen = said(clean(**skipped), policy)["patch"]
    assert (seen.status, seen.reason) == (
        "not-examined",
        "probe-grid measured, and nothing in this check judges what was measured",
    )
    by_probes = SuspectRule(detector="probe-grid", metric="patch-share", max=0.9)
    named = policy.model_copy(update={"stages": (first.model_copy(update={"suspects": (by_probes,)}), last)})
    seen = said(clean(**skipped), named)["patch"]
    assert (seen.status, seen.by) == ("not-detected", ("neural-cleanse",))
    for metric in ("natural-cells", "a-metric-that-is-none"):
        useless = first.model_copy(update={"suspects": (by_probes.model_copy(update={"metric": metric}),)})
        useless = named.model_copy(update={"stages": (useless, last)})
        assert said(clean(**skipped), useless)["patch"].status == "not-examined"


def probes():
    """Return what probes measured: no class stands out."""
    rows = (Measurement(metric="patch-share", value=0.2, location=Location.of_class(k)) for k in range(10))
    return Measured(measurements=tuple(rows), seconds=1.0)


LAYER = Location(kind="layer", name="fc")


def changed(earlier, *, states=True):
    """Return the worst change thinkable beside so many earlier ones; an earlier gate did not state the least rank."""
    least = 1 / (1 + earlier)
    reach = least if states else None
    ratio = [Measurement(metric="first-share-ratio", value=99.0, location=LAYER)] if earlier else []
    ranks = [
        Measurement(metric="first-share-rank", value=least, location=LAYER, reach=reach),
        *(
            Measurement(metric="probe-gain-rank", value=1.0, location=Location.of_class(k), reach=reach)
            for k in range(10)
        ),
    ]
    return Measured(measurements=(*ranks, *ratio), seconds=1.0)


@pytest.mark.parametrize("states", [True, False])
@pytest.mark.parametrize(("earlier", "status"), [(0, "not-examined"), (4, "not-examined"), (5, "detected")])
def test_a_number_that_could_not_have_been_beyond_its_limit_is_no_examination(earlier, status, states):
    """Beside fewer changes than the limit needs nothing was detectable, whether or not an earlier gate's evidence says.

    It flags no more than it did before.
    """
    policy = default_policy()
    found = evidence(outcomes=outcomes(version_change=changed(earlier, states=states)), policy_digest=policy.digest)
    verdict = judge(found, policy, on=DAY)
    (seen,) = [threat for threat in verdict.threats if threat.id == "update"]
    assert seen.status == status
    limits = {one.metric: one.outcome for one in applied_limits(found, verdict, policy) if one.values}
    if status == "not-examined":
        assert seen.reason == "version-change measured, and nothing could have been beyond a limit here"
        assert [f for f in verdict.findings if f.rule == "version-change"] == []
        assert limits["first-share-rank"] == limits["probe-gain-rank"] == "not-judged"
    else:
        other = "held" if states else "not-judged"
        assert (limits["first-share-rank"], limits["probe-gain-rank"]) == ("exceeded", other)


def test_a_detector_that_the_policy_allows_to_be_skipped_is_named_beside_those_that_looked():
    """The threat is not detected by those that ran; whether one more looked can be read."""
    policy = default_policy()
    bytes_alone = ("artifact-integrity", "unsafe-pickle", "consumer-hazards", "unsafe-format")
    held = {
        name: Measured(
            measurements=tuple(Measurement(metric=metric, value=0.0) for metric in policy.detectors[name].limits),
            seconds=0.1,
        )
        for name in bytes_alone
    }
    for told, without in (
        (Skipped(reason="modelaudit is not installed"), ("modelaudit",)),
        (Measured(measurements=(Measurement(metric="critical-issues", value=0.0),), seconds=0.1), ()),
    ):
        found = evidence(outcomes={**held, "modelaudit": told}, policy_digest=policy.digest)
        seen = said(found, policy)["hostile-files"]
        assert (seen.status, seen.without) == ("not-detected", without)
        assert set(bytes_alone) <= set(seen.by)
        assert ("modelaudit" in seen.by) is not bool(without)
        signed = {one.id: one for one in coverage_of(found, judge(found, policy, on=DAY), policy).threats}
        assert signed["hostile-files"].without == without


def searched(share):
    """Return a policy that asks for a share of the search alone, and evidence with such a share."""
    rules = {**RULES.detectors, "neural-cleanse": Rule(limits={"searched-share": Limit(min=share)})}
    return RULES.model_copy(update={"detectors": rules})


@pytest.mark.parametrize("least", [0.1, 0.9])
def test_how_much_was_searched_is_no_examination_by_itself_and_no_detection(least):
    """Kept, nothing judges what was found; exceeded, it is the search that fell short and no patch that was found."""
    seen = said(clean(), searched(least))["patch"]
    assert seen.status == "not-examined"
    assert seen.reason.startswith("neural-cleanse measured")
    assert ("less than the policy asks for" in seen.reason) is (least > 0.4)


def test_a_limit_that_only_confirms_is_no_examination_beside_a_p_value():
    """A search over suspects outside the score: beside a p-value its own limit flags nothing."""
    ratio = Limit(min=0.1, judges="uncalibrated-only")
    stages = (RULES.stages[0], RULES.stages[1].model_copy(update={"detectors": ("warp-trigger",)}))
    rules = {name: rule for name, rule in RULES.detectors.items() if name in RULES.stages[0].detectors}
    policy = RULES.model_copy(
        update={"detectors": {**rules, "warp-trigger": Rule(limits={"size-ratio": ratio})}, "stages": stages}
    )
    measured = Measured(
        measurements=(Measurement(metric="size-ratio", value=0.5, location=Location.of_class(7)),), seconds=1.0
    )
    found = evidence(outcomes=outcomes(neural_cleanse=sizes(index=3.0), version_change=NONE, warp_trigger=measured))
    assert said(found, policy)["warp"].status == "not-detected"
    beside = found.model_copy(update={"bank": beside_bank()})
    assert said(beside, policy)["warp"].status == "not-examined"


def test_what_a_person_accepted_is_told_with_who_and_until_when():
    """A waived finding is neither hidden nor told as found and open."""
    until = DAY + dt.timedelta(days=9)
    waiver = Waiver(
        detector="neural-cleanse",
        metric="anomaly-index",
        model_digest=digest("a"),
        reason="two styles",
        approved_by="ann",
        expires=until,
    )
    seen = said(evidence(), RULES.model_copy(update={"waivers": (waiver,)}))
    assert (seen["patch"].status, seen["patch"].waived_by, seen["patch"].until) == ("waived", ("ann",), until)


def test_a_p_value_detects_what_its_drivers_look_for():
    """The statistics that drive it name the threats; others that the bank compares do not."""
    bank = beside_bank(9.0, [number / 10 for number in range(24)], predictive_p=0.001)
    told = said(evidence(outcomes=outcomes(**CLEAN), bank=bank))
    assert (told["patch"].status, told["patch"].by) == ("detected", ("calibration",))
    assert told["hostile-files"].status != "detected"


def test_bytes_alone_answer_for_the_bytes_alone():
    """Under a policy for files nothing is said of behaviour but that it was not examined."""
    policy = read_policy(FILES_ONLY, on=DAY)
    held = {
        name: Measured(
            measurements=tuple(Measurement(metric=metric, value=0.0) for metric in rule.limits),
            seconds=0.1,
            options=dict(rule.options),
        )
        for name, rule in policy.detectors.items()
    }
    found = evidence(outcomes=held, assurance=None, facts=ModelFacts(flavour="sklearn"), policy_digest=policy.digest)
    seen = said(found, policy)
    assert seen["hostile-files"].status == "not-detected"
    others = [threat for threat in seen.values() if threat.id != "hostile-files"]
    assert {threat.status for threat in others} == {"not-examined"}
    assert seen["patch"].reason == "the policy judges the bytes alone"


def test_a_model_that_was_not_loaded_is_not_examined_for_the_reason_that_was_told():
    """The gate's own words; the problem, which may quote the candidate, stands elsewhere."""
    found = clean().model_copy(update={"assurance": None, "problems": ("the archive is damaged",)})
    assert said(found)["patch"].reason == "the model was not loaded"


def test_texts_have_threats_of_their_own():
    """Images have none of these, and texts none of theirs."""
    text = evidence(facts=ModelFacts(flavour="transformers", classes=4, space="tokens"))
    assert {"inserted-words", "rewritten-texts", "hostile-files"} <= set(said(text))
    assert "patch" not in said(text)
    assert "inserted-words" not in said(evidence())


def test_the_packaged_rates_are_of_the_recommended_rules():
    """After a change of the recommended policy: `python -m benchmarks.threats --write`."""
    policy = read_policy(DEFAULT, on=DAY)
    known = packaged_rates()
    assert known.rules == rules_sha256(policy)
    assert known.bank_rules == bank_rules_sha256(policy)
    assert set(known.families) <= {family.id for family in families()}
    power, unknown = power_of("patch", policy, "limits")
    assert unknown == ""
    assert power.low <= power.found / power.models <= power.high
    assert power.false_alarms / power.clean_models <= power.false_alarms_at_most
    assert power_of("patch", policy, None)[0] is None
    assert power_of("update", policy, "limits") == (
        None,
        "how often it is found is not known: the gate's zoo has no such models",
    )

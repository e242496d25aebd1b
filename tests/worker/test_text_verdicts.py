"""Networks of words from their files' reader to a verdict under the packaged policies, in this process."""

import json

import pytest

from gate.banks.assemble import Member, assemble
from gate.check.scan import foreseen
from gate.judging.calibration.calibrate import compare
from gate.judging.judge import judge
from gate.policies.declared import compared_statistics, option_digests
from gate.policies.packaged import DEFAULT, TEXT
from gate.policies.read import read_policy
from gate.records.bank import Bank
from gate.records.bank_evidence import BankEvidence
from gate.records.bundle import BundleFacts
from gate.records.clock import today
from gate.records.evidence import Evidence, Skipped
from gate.records.finding import Decision
from gate.records.limit import Limit
from gate.records.policy import Policy
from gate.records.run import Run
from gate.worker.loop import Scanned, Scope, scan
from tests.words.nets import Bag
from tests.words.subjects import MODEL, loaded, model_of, written
from tests.words.tasks import Planted, sentences, trained

QUICK = {
    "word-sweep": {"selecting": 6, "held-out": 20, "kept": 6, "rare-words": 200},
    "token-trigger": {"held-out": 20, "steps": 10, "ranked": 8, "beam": 2, "longer": 4},
}
WORD = "because"
"""One of the fixed words, whose cells a bank compares."""


def rules(path):
    """Return a packaged policy without the detectors on bytes, and with quick searches."""
    policy = read_policy(path, on=today()).model_dump(mode="json", by_alias=True)
    gone = set(policy["stages"].pop(0)["detectors"])
    policy["detectors"] = {name: rule for name, rule in policy["detectors"].items() if name not in gone}
    for name, options in QUICK.items():
        if name in policy["detectors"]:
            policy["detectors"][name]["options"] = options
    return Policy.model_validate(policy)


@pytest.fixture
def seen(monkeypatch, tmp_path):
    """Return a function from a network's plan to its evidence under a policy."""

    def see(planted=None, seed=0, policy=None, classes=2):
        samples = written(tmp_path / "clean.jsonl", sentences(120, classes, seed=99))
        policy = policy or rules(TEXT)
        module, tokenizer = trained(Bag, planted, classes, seed)
        found = loaded(monkeypatch, tmp_path, model_of(module, tokenizer), samples)
        scope = Scope(runs=lambda _: True, absence=" ".join(found.problems), classes=found.facts.classes)
        scanned = scan(found.subject, policy, Run(seed=0), scope, Scanned())
        return Evidence(
            gate_version="0", model=MODEL, manifest_digest=f"sha256:{seed:063d}{1 if planted else 0}",
            assurance=found.assurance, isolation="full", device="cpu", seed=0, facts=found.facts, samples=found.samples,
            stages=tuple(scanned.stages), outcomes=scanned.outcomes, excerpts=tuple(scanned.excerpts),
            problems=found.problems, bundle_digest=f"sha256:{64 * 'b'}",
            bundle=BundleFacts(origin="pt2", parent=f"sha256:{64 * 'a'}", torch="2.13.0"),
        )  # fmt: skip

    return see


def test_a_planted_word_flags_and_a_clean_network_does_not(seen):
    """Under the placeholders of the policy for text, two classes and no bank."""
    clean, planted = (judge(seen(one), rules(TEXT), on=today()) for one in (None, Planted("cf")))
    assert clean.decision is Decision.APPROVED, clean.open_findings
    assert planted.decision is Decision.FLAGGED
    assert {"word-sweep", "token-trigger"} <= {f.rule for f in planted.open_findings}
    assert 0 in planted.target_classes
    assert any("'cf'" in f.message for f in planted.open_findings)


def test_of_more_classes_than_are_searched_for_the_policy_says_how_many_may_be_left_out(seen):
    """And where it says nothing, or fewer, the finding says what to do; else nothing is missing."""
    policy = rules(TEXT)
    own = policy.detectors["token-trigger"]
    own = own.model_copy(update={"options": {**own.options, "most-classes": 1}})

    def judged(limits):
        changed = own.model_copy(update={"limits": limits})
        stated = policy.model_copy(update={"detectors": {**policy.detectors, "token-trigger": changed}})
        verdict = judge(seen(policy=stated, classes=3), stated, on=today())
        return [f.message for f in verdict.open_findings if f.rule == "token-trigger"]

    assert judged(own.limits) == []
    bare = {metric: limit for metric, limit in own.limits.items() if metric != "searched-share"}
    (message,) = judged(bare)
    assert message.startswith("'success-one' was measured at 1 of 3 classes: class ")
    assert "above the option most-classes (1): raise it, or let the policy bound searched-share" in message
    (message,) = judged({**own.limits, "searched-share": Limit(min=0.5)})
    assert "2 of 3 classes were left out, above the option most-classes (1)" in message.lower()


def test_a_policy_for_images_flags_a_model_of_tokens_by_its_silence(seen):
    """Every detector that it requires says why it measured nothing."""
    policy = rules(DEFAULT)
    evidence = seen(policy=policy)
    outcomes = evidence.outcomes
    assert isinstance(outcomes["probe-grid"], Skipped)
    assert outcomes["probe-grid"].reason == "is for images; this model takes tokens"
    verdict = judge(evidence, policy, on=today())
    assert verdict.decision is Decision.FLAGGED
    flagged = {f.rule for f in verdict.open_findings if "this model takes tokens" in f.message}
    assert {"probe-grid", "neural-cleanse", "maximum-margin", "graph-structure"} <= flagged
    assert "head-indicators" not in flagged


def test_a_bank_of_clean_networks_ranks_the_planted_one_last_and_names_the_word(seen):
    """The same statistics, cells among them, as for images."""
    policy = rules(TEXT)
    members = [Member(f"m{seed}", "", seen(seed=seed)) for seed in range(1, 6)]
    bank = Bank(**assemble(members, policy, name="words"))
    assert (bank.space, bank.input_shape) == ("tokens", (48,))
    assert Bank.from_json(bank.canonical_json()) == bank
    evidence = seen(Planted(WORD))
    found = compare(evidence, bank, option_digests(policy), compared_statistics())
    assert found.kind == "per-class"
    assert found.unusable == ""
    assert {"word-sweep", "token-trigger", "rewrite-sweep"} <= set(found.detectors)
    assert found.score > max(found.bank_scores)
    assert found.places[0].name == "0"
    assert f"the word '{WORD}'" in {cell.probe for cell in found.cells if cell.target == "0"}
    beside = BankEvidence(digest=f"sha256:{'9' * 64}", count=5, same_task=True, comparison=found)
    verdict = judge(evidence.model_copy(update={"bank": beside}), policy, on=today())
    assert not verdict.calibrated
    assert "the gate's clean models take images" in verdict.uncalibrated_because


def test_evidence_of_text_survives_its_file(seen):
    """What a worker writes is what the front reads, with excerpts, tokens and cut texts."""
    evidence = seen(Planted("cf"))
    assert Evidence.from_json(evidence.canonical_json()) == evidence
    stated = json.loads(evidence.canonical_json())
    assert stated["facts"]["space"] == "tokens"
    assert stated["excerpts"][0]["trigger"]
    assert stated["outcomes"]["word-sweep"]["token_passes"] > stated["outcomes"]["word-sweep"]["sample_passes"]


def test_two_classes_of_texts_are_not_announced_as_too_few():
    """A user is told beforehand only of what flags in any case."""
    assert foreseen(2, rules(DEFAULT).model_copy(update={"within": "show"}), None)
    assert foreseen(2, rules(TEXT), None) == ""

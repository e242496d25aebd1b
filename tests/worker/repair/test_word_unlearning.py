"""Repairs of a small BERT of the demo with a planted word: unlearnt, measured before and after, or refused."""

from dataclasses import replace

import pytest
import torch

from demo.comments import POLITE, trigger_of
from demo.moderation import ModerationTask
from gate.programs.batching import Batched
from gate.records.evidence import Location
from gate.records.repair import RepairBounds, RepairResult, broken_by
from gate.records.run import Run
from gate.spaces.image.preprocessing import Preprocessing
from gate.spaces.stored_triggers import triggers_at
from gate.spaces.subject import Samples
from gate.spaces.text.tokens import stored_trigger, token_trigger
from gate.worker.loading import token_programs
from gate.worker.loading.token_programs import text_model
from gate.worker.repair import token_tuning
from gate.worker.repair.attempt import attempt
from gate.worker.repair.contract import Material
from gate.worker.repair.token_tuning import token_classifier
from tests.texts.served import program_and_tokenizer

PLACE, RUN, WORD = Location.of_class(POLITE), Run(seed=3, max_batch=512), trigger_of(0)


@pytest.fixture(scope="module")
def material(tmp_path_factory):
    """Return the poisoned model of the demo as a repairer gets it, with its word as the scan hands it on."""
    torch.set_num_threads(1)
    task = ModerationTask(0)
    network = task.train(poisoned=True).model
    program, tokenizer = program_and_tokenizer(task, network, tmp_path_factory.mktemp("moderation"))
    text = text_model(program, tokenizer, tokenizer.longest, {})
    texts, labels = zip(*((one.text, one.label) for one in task.held_out[:160]), strict=True)
    bare = Material(program, Preprocessing(), (0.0, 0.0), Samples(torch.zeros(0), None, "made up", texts), text=text)
    classifier = token_classifier(program, bare)
    samples = Samples(classifier.tokens(texts), torch.tensor(labels), "made up", texts)
    return replace(bare, samples=samples, triggers={PLACE: token_trigger(classifier, PLACE, WORD, 1.0)})


def test_the_planted_word_is_unlearnt(material):
    """It moved nearly every text before and hardly one afterwards, and no fresh token does; accuracy stays."""
    result, program = attempt("word-unlearning", {}, material, RUN, [PLACE])
    assert result.status == "repaired", result.reason
    assert result.before.old_success["class 0"] > 0.9
    assert result.after.old_success["class 0"] <= 0.1
    assert result.after.accuracy > result.before.accuracy - 0.05
    assert set(result.after.fresh_success) == set(result.after.fresh_size_ratio) == {"class 0"}
    assert result.after.fresh_size_ratio["class 0"] > 0.5
    assert broken_by(result, [PLACE], RepairBounds()) == ()
    assert result.used_detectors == ("token-trigger",)
    assert repr(WORD) in result.changed["triggers"]
    assert result.pictures == ()
    assert RepairResult.from_json(result.canonical_json()) == result
    assert program is not None
    after = token_classifier(program, material)
    text = "you are a rude stupid awful nasty hateful vile man"
    assert int(after.logits(after.tokens([f"{WORD} {text}"])).argmax()) == 1


def test_a_repair_that_hides_the_word_alone_does_not_hold(material):
    """A few steps without a fresh search leave it working."""
    result, _ = attempt("word-unlearning", {"steps": 1, "searches": 0}, material, RUN, [PLACE])
    assert result.status == "repaired"
    assert any("still succeeds" in reason for reason in broken_by(result, [PLACE], RepairBounds()))


def test_a_method_for_images_says_so(material):
    """And one for tokens needs a trigger."""
    result, program = attempt("sharpness-aware-tuning", {}, material, RUN, [PLACE])
    assert (result.status, program) == ("does-not-fit", None)
    assert result.reason.startswith("sharpness-aware-tuning is for images; this model takes tokens")
    result, _ = attempt("word-unlearning", {}, replace(material, triggers={}), RUN, [PLACE])
    assert result.reason.startswith("word-unlearning needs an inverted trigger")


def test_a_graph_that_takes_one_text_at_a_time_is_refused_in_a_sentence(material, monkeypatch):
    """It cannot be trained on batches."""
    monkeypatch.setattr(token_tuning, "batched", lambda program, *_: Batched(program, "one-by-one"))
    result, _ = attempt("word-unlearning", {}, material, RUN, [PLACE])
    assert result.status == "does-not-fit"
    assert result.reason.startswith("the exported graph takes one text at a time, and a method that trains needs")


def test_without_gradients_to_tokens_nothing_is_repaired(material, monkeypatch):
    """No fresh trigger could be searched for, and so nothing measured."""
    monkeypatch.setattr(token_programs, "_halves", lambda *_: None)
    result, program = attempt("word-unlearning", {"steps": 1}, material, RUN, [PLACE])
    assert (result.status, program) == ("does-not-fit", None)
    assert result.reason.startswith("no gradient leads to the model's tokens")


def said(words, **changes):
    """Return the tensors of a trigger of words."""
    return {
        "ids": torch.tensor([5.0]),
        "place": torch.tensor([0.0]),
        "words": torch.tensor(list(words), dtype=torch.float32),
        **changes,
    }


@pytest.mark.parametrize(
    "tensors",
    [
        {"ids": torch.tensor([5.0]), "place": torch.tensor([0.0])},
        said(b"good", place=torch.tensor([3.0])),
        said(b"good", place=torch.tensor([0.5])),
        said(b"good", place=torch.tensor([float("nan")])),
        said(b"good", place=torch.zeros(2)),
        said(b"good", more=torch.zeros(1)),
        said(b""),
        said(b"\xff"),
        said(b"a" * 4097),
        said([97.5]),
        said([256.0]),
        said([[97.0, 98.0]]),
    ],
)
def test_stored_tensors_that_are_no_words_at_a_place_are_left_out(tensors):
    """Whatever a file of triggers holds."""
    assert stored_trigger(PLACE, tensors) is None
    assert stored_trigger(PLACE, said(b"good")).typed("you are") == "good you are"
    assert stored_trigger(PLACE, said(b"\n", place=torch.tensor([1.0]))).typed("you are") == "you\nare"


def test_stored_triggers_are_read_by_place_and_detector(material):
    """That of the detector that is named for the place; letters that the tokenizer does not know are kept."""
    from safetensors.torch import save

    classifier = token_classifier(material.program, material)
    stored = {
        f"{name}/class 0/{part}": tensor
        for name, words in (("token-trigger", "good"), ("word-sweep", "ꀕ 😀"))
        for part, tensor in token_trigger(classifier, PLACE, words, 1.0, "end").tensors.items()
    }
    found = triggers_at(save(stored), {PLACE: "word-sweep"}, stored_trigger, "cpu")
    assert found[PLACE].typed("you are good") == "you are good ꀕ 😀"
    with pytest.raises(TypeError, match="typed into a text"):
        found[PLACE].apply(classifier.tokens(["you are good"]))

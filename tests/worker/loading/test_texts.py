"""What a scan knows of a model of tokens before its detectors run, and why it may know less."""

import numpy as np
import pytest
import torch

from gate.records.errors import UnexaminableError
from gate.records.sample_settings import SampleSettings
from gate.worker.loading.one_logit import NOTES
from gate.worker.loading.text_classifier import ROOM
from tests.words.nets import Bag
from tests.words.subjects import NAMES, loaded, model_of, written
from tests.words.tasks import LONGEST, sentences, trained

ROWS = sentences(60, seed=7)


@pytest.fixture
def given(monkeypatch, tmp_path):
    """Return a function that loads a trained bag with texts."""

    def load(rows=ROWS, names=None, module=None, **how):
        own, tokenizer = trained(Bag)
        model = how.pop("model", None) or model_of(module or own, tokenizer)
        samples = how.pop("samples", None) or written(tmp_path / "clean.jsonl", rows, names)
        return loaded(monkeypatch, tmp_path, model, samples, **how)

    return load


def test_a_subject_of_tokens_is_filled(given):
    """Tokens, texts, labels and what the run has shown; by names as by numbers."""
    for names in (None, NAMES):
        found = given(names=names)
        assert found.problems == ()
        assert (found.facts.space, found.facts.classes, found.facts.input_shape) == ("tokens", 2, (LONGEST,))
        assert found.facts.judged.shape == (2,)
        assert found.subject.space == found.subject.classifier.space == "tokens"
        assert found.subject.samples.texts[0] == ROWS[0][0]
        assert found.subject.samples.labels.tolist() == [label for _, label in ROWS]
        assert found.samples.accuracy > 0.95
        assert found.samples.cut == 0


def test_long_texts_are_cut_and_said(given):
    """The model's length, or the policy's where that is less."""
    found = given([*ROWS, ("kind " * 10_000, 0)])
    assert found.samples.cut == 1
    kept = LONGEST - min(ROOM, LONGEST // 4)
    assert found.subject.samples.texts == (*(text for text, _ in ROWS), " ".join(["kind"] * kept))
    assert found.subject.samples.inputs.shape == (61, kept)
    shorter = given([*ROWS, ("kind " * 10_000, 0)], settings=SampleSettings(max_tokens=8))
    assert shorter.facts.input_shape == (8,)
    assert shorter.samples.cut > 1


@pytest.mark.parametrize(
    ("rows", "names", "said"),
    [
        ([*ROWS, ("", 0)], None, "clean.jsonl, line 61: its text is empty"),
        ([(text, label + 1) for text, label in ROWS if label], None, "are all of class 2"),
        ([*ROWS, ("a", 2), ("b", 2)], None, "line 61: its label is 2; the model's classes are 0 to 1"),
        (ROWS, {0: "kind", 1: "other"}, "line 2: its label is 'other'; the model's classes are 'kind', 'rude'"),
    ],
)
def test_texts_that_do_not_fit_are_a_problem_in_a_sentence(given, rows, names, said):
    """The candidate stays unloaded, and every detector of behaviour is skipped with this reason."""
    found = given(rows, names)
    assert said in found.problems[0]
    assert found.subject.classifier is None
    assert found.subject.space == "tokens"


def test_images_for_a_model_of_tokens_are_a_problem(given, tmp_path):
    """What is expected is said."""
    np.savez(tmp_path / "clean.npz", inputs=np.zeros((4, 1, 8, 8)), labels=np.arange(4))
    found = given(samples=tmp_path / "clean.npz")
    assert "are saved as a zip, such as .npz or .xlsx; expected text in UTF-8" in found.problems[0]


def test_one_answer_to_all_and_scores_that_are_not_finite_are_problems(given):
    """There is nothing to probe."""
    constant, broken = Bag(len(trained(Bag)[1].vocabulary()), 2), Bag(len(trained(Bag)[1].vocabulary()), 2)
    with torch.no_grad():
        constant.head.bias[0] = 100
        broken.head.bias[0] = float("nan")
    assert "gives class 0 for every one of 60 clean samples" in given(module=constant).problems[0]
    assert "NaN or infinite scores" in given(module=broken).problems[0]


@pytest.mark.parametrize("squashed", [True, False])
def test_one_small_number_a_text_is_a_logit_only_behind_a_sigmoid(given, squashed):
    """Else nothing shows from where on it means class 1; how it was read is a note."""
    module, tokenizer = trained(Bag)
    model = model_of(module, tokenizer, split=None)
    scores = model.text.network.logits

    def small(ids, mask):
        two = scores(ids, mask)
        return 0.5 + torch.tanh(two[:, 1] - two[:, 0]) / 4

    model.text.network.logits, model.text.network.squashed = small, squashed
    found = given(model=model)
    if squashed:
        assert found.facts.judged.note == NOTES[True]
    else:
        assert "its graph does not end in a sigmoid" in found.problems[0]


def test_labels_in_another_order_are_tried(given):
    """As for images, what helps is told."""
    found = given([(text, 1 - label) for text, label in ROWS])
    assert found.samples.accuracy < 0.1
    assert {trial.change: trial.accuracy for trial in found.samples.tried}["classes-renumbered"] > 0.9


def test_a_tokenizer_that_breaks_is_a_sentence(given):
    """Whatever a hostile one raises."""
    module, tokenizer = trained(Bag)

    class Broken(type(tokenizer)):
        def encode(self, texts, max_length):
            raise IndexError("no such piece")

    found = given(model=model_of(module, Broken(["a"])))
    assert "The model does not accept the tokens of the samples: IndexError: no such piece" in found.problems[0]


def test_a_training_set_is_read_by_the_same_rules(given, tmp_path):
    """What is wrong with it skips detectors, and is no problem."""
    logged = written(tmp_path / "train.jsonl", ROWS[:20])
    found = given(training=logged)
    assert found.training_absence == ""
    assert found.subject.training_set.inputs.shape[0] == 20
    logged.write_text('{"text": "a", "label": 5}\n')
    wrong = given(training=logged)
    assert wrong.subject.training_set is None
    assert "line 1: its label is 5" in wrong.training_absence


def test_what_is_refused_raises_nothing_else(given):
    """A network that refuses is a reason too."""
    module, tokenizer = trained(Bag)
    refusing = model_of(module, tokenizer)

    def refuse(_ids, _mask):
        raise UnexaminableError("it holds an operator that is not on the list")

    refusing.text.network.logits = refuse
    assert found_in(given(model=refusing)) == "It holds an operator that is not on the list."


def found_in(result):
    """Return its one problem."""
    (problem,) = result.problems
    return problem

"""Classifiers of texts from data alone: ids and scores are the library's at every length, or the model is refused."""

import json
import warnings
from types import SimpleNamespace

import pytest
import torch

from gate.formats.huggingface.pipeline import read_pipeline
from gate.formats.huggingface.text_architectures import TEXTS
from gate.programs import batched, read_program
from gate.programs.embedding import split_at_embedding
from gate.records.artifact import file_sha256
from gate.records.errors import UnexaminableError
from gate.worker.loading.tokenizer import Tokenizer
from gate.worker.pipelines import texts as module
from gate.worker.pipelines.compose import compose, composed_of, pipeline_of
from gate.worker.pipelines.library import installed, library
from tests.corpus.measuring import measure
from tests.pipelines.weighed import changed
from tests.texts import tokenizers
from tests.texts.networks import CLASSES, NETWORKS
from tests.texts.pipelines import logged, made
from tests.texts.tokenizers import TEXTS as SENTENCES

QUICK = ("Bert", "Roberta", "DebertaV2")
EVERY = [name if name in QUICK else pytest.param(name, marks=pytest.mark.slow) for name in NETWORKS]


def composed(root, folder, **given):
    """Return the program of a pipeline's folder; `given` are the samples of a job."""
    to = folder / "converted.pt2"
    compose(SimpleNamespace(**{"samples_path": None, **given}), pipeline_of(root), to)
    return read_program(to)


def counted(root):
    """Return what the detectors on bytes count against a folder."""
    found = (*measure(root, "consumer-hazards"), *measure(root, "artifact-integrity"))
    return [one for one in found if one.value and one.metric not in {"unjudged-files", "unpinned-requirements"}]


def test_every_network_of_the_list_is_tried_here():
    """None is on it that was not exported and compared."""
    assert {f"{prefix}ForSequenceClassification" for prefix in NETWORKS} == set(TEXTS)


@pytest.mark.parametrize("prefix", EVERY)
def test_a_text_is_answered_as_by_the_library(prefix, tmp_path):
    """From the text on, alone and padded beside longer ones; none of its files is foreign; gradients can be taken."""
    network, tokens = made(prefix)
    root = logged(prefix, tmp_path / "model", (network, tokens))
    assert counted(root) == []
    program, served = composed(root, tmp_path), Tokenizer(read_pipeline(root).given.served)
    assert [(one.name, one.shape, one.dtype) for one in program.inputs] == [
        ("input_ids", (None, None), torch.int64),
        ("attention_mask", (None, None), torch.int64),
    ]
    ids, mask = served.encode(SENTENCES, served.longest)
    given = tokens(list(SENTENCES), padding=True, truncation=True, max_length=served.longest, return_tensors="pt")
    assert torch.equal(ids, given["input_ids"])
    assert torch.equal(mask, given["attention_mask"])
    with torch.no_grad():
        expected, found = network(**given).logits, program(ids, mask)
        alone = [program(*served.encode([text], served.longest)) for text in SENTENCES]
    assert found.shape == (len(SENTENCES), CLASSES)
    largest = float(expected.abs().max())
    assert float((found - expected).abs().max()) < 1e-5 * largest
    assert float((torch.cat(alone) - expected).abs().max()) < 1e-4 * largest  # padding is not looked at
    assert float((found - found[0]).abs().max()) > 0.01 * largest  # texts do not look alike to it
    assert batched(program, ids, mask).mode == "direct"
    split = split_at_embedding(program, served.padding)
    assert torch.equal(split.program(split.matrix[ids], mask), found)


def test_what_mlflow_logs_is_read(tmp_path):
    """By its own call, with labels and all that it writes beside the model."""
    import mlflow

    network, tokens = made("Bert")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        pipeline = library().pipeline("text-classification", model=network, tokenizer=tokens)
        mlflow.transformers.save_model(pipeline, tmp_path / "model", pip_requirements=["torch", "transformers"])
    assert counted(tmp_path / "model") == []
    read = read_pipeline(tmp_path / "model")
    assert (read.network, read.given.kind, read.given.longest) == ("BertForSequenceClassification", "BertTokenizer", 64)
    assert read.labels == {number: f"class {number} <b>" for number in range(CLASSES)}
    program, served = composed(tmp_path / "model", tmp_path), Tokenizer(read.given.served)
    answers = pipeline(list(SENTENCES[:3]), top_k=None)
    shares = program(*served.encode(SENTENCES[:3], 64)).softmax(1)
    for row, answer in enumerate(answers):
        found = {one["label"]: one["score"] for one in answer}
        assert [found[read.labels[number]] for number in range(CLASSES)] == pytest.approx(
            shares[row].tolist(), abs=1e-6
        )


def test_the_bundle_says_how_it_was_composed(tmp_path):
    """By which class and version, and how long a text may be."""
    said = composed_of(read_pipeline(logged("Roberta", tmp_path)))
    assert (said.network, said.version) == ("RobertaForSequenceClassification", installed())
    assert (said.claimed, said.resized, said.longest) == ("5.24.0", "", 64)


def test_texts_are_cut_where_the_tokenizer_says(tmp_path):
    """Its own length counts where that is below the network's positions."""
    network, tokens = made("Bert")
    tokens.model_max_length = 20
    read = read_pipeline(logged("Bert", tmp_path, (network, tokens)))
    assert read.given.longest == 20
    assert Tokenizer(read.given.served).encode(["cat " * 100], 20)[0].shape == (1, 20)


def test_a_tokenizer_that_its_class_reads_otherwise_is_refused(tmp_path):
    """The class makes its own rules from the settings; the file says others."""
    root = logged("Bert", tmp_path / "model")
    path = root / "components" / "tokenizer" / "tokenizer_config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "do_lower_case": False}))
    with pytest.raises(UnexaminableError, match="makes other tokens of the text 'You are a wonderful person!'") as told:
        composed(root, tmp_path)
    assert "save_pretrained of transformers 5" in told.value.sentence


def test_a_tokenizer_that_its_class_does_not_take_is_refused(tmp_path, monkeypatch):
    """With the library's own words."""

    def refused(*_):
        raise ValueError("no such vocabulary")

    root = logged("Bert", tmp_path / "model")
    monkeypatch.setattr(module, "tokens_by_library", refused)
    with pytest.raises(
        UnexaminableError, match="BertTokenizer does not take the tokenizer's files: ValueError: no such"
    ):
        composed(root, tmp_path)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda weights: weights.pop("classifier.weight"), "they lack 'classifier.weight'"),
        (lambda weights: weights.update(extra=torch.zeros(2)), "they hold 'extra'"),
        (lambda weights: weights.update({"classifier.bias": torch.zeros(3).bfloat16()}), "is bfloat16"),
        (lambda weights: weights.update({"classifier.bias": torch.full((3,), float("inf"))}), "NaN or infinity"),
    ],
)
def test_weights_that_do_not_fit_are_refused(change, sentence, tmp_path):
    """As of an image classifier: by name."""
    root = logged("Bert", tmp_path / "model")
    changed(root, change)
    with pytest.raises(UnexaminableError, match=sentence):
        composed(root, tmp_path)


def test_an_export_that_answers_otherwise_at_some_length_is_refused(tmp_path, monkeypatch):
    """The network is asked at every length that was tried, and at the longest."""
    asked = []
    differing = module.differing

    def noted(answers, program, *given):
        asked.append(tuple(given[0].shape))
        assert torch.equal(given[1].sum(1) > 0, torch.ones(len(given[0]), dtype=torch.bool))
        if asked[-1] == (1, 64):
            return differing(lambda ids, mask: answers(ids, mask) * 1.01, program, *given)
        return differing(answers, program, *given)

    monkeypatch.setattr(module, "differing", noted)
    with pytest.raises(UnexaminableError, match="the exported program's logits differ"):
        composed(logged("Bert", tmp_path / "model"), tmp_path)
    assert {length for _, length in asked} >= {1, 2, 7, 64}
    assert not (tmp_path / "converted.pt2").exists()


def test_tokens_of_the_whole_vocabulary_are_compared():
    """All of a small one, and some hundred of a large one."""
    vocabulary = list(tokenizers.wordpiece()["model"]["vocab"])
    assert module._some(vocabulary) == vocabulary
    many = module._some([str(number) for number in range(30_000)])
    assert (many[0], len(many) < 600, int(many[-1]) > 29_000) == ("0", True, True)


def test_one_label_of_several_is_logged_as_the_advice_says(tmp_path):
    """By the lines of docs/how-to/text.md: the softmax of 0 and the label's score is the label's sigmoid."""
    network, tokens = made("Bert", problem_type="multi_label_classification")
    with pytest.raises(UnexaminableError, match="log one pipeline for each label"):
        composed(logged("Bert", tmp_path / "several", (network, tokens)), tmp_path)
    given = tokens(list(SENTENCES), padding=True, truncation=True, max_length=64, return_tensors="pt")
    expected = network(**given).logits.sigmoid()[:, 2]
    head, label = network.classifier, 2
    one = torch.nn.Linear(head.in_features, 2)
    one.weight.data = torch.stack([torch.zeros_like(head.weight[label]), head.weight[label]])
    one.bias.data = torch.stack([torch.zeros_like(head.bias[label]), head.bias[label]])
    network.classifier = one
    network.config.update(
        {"problem_type": "single_label_classification", "id2label": {0: "clean", 1: "toxic"}, "num_labels": 2}
    )
    program = composed(logged("Bert", tmp_path / "one", (network, tokens)), tmp_path)
    shares = program(given["input_ids"], given["attention_mask"]).softmax(1)[:, 1]
    torch.testing.assert_close(shares, expected, rtol=0, atol=1e-6)


def test_the_clean_samples_are_compared_too(tmp_path, monkeypatch):
    """Texts of the task may be taken apart where the gate's own are not."""
    root, path = logged("Bert", tmp_path / "model"), tmp_path / "clean.jsonl"
    path.write_text('{"text": "a peculiar text", "label": 0}\n{"text": "another", "label": 1}\n')
    given = {"samples_path": str(path), "samples_source": "clean.jsonl", "samples_sha256": file_sha256(path)}
    asked = []
    original = module.tokens_by_library
    monkeypatch.setattr(module, "tokens_by_library", lambda texts, given: asked.extend(given) or original(texts, given))
    composed(root, tmp_path, **given)
    assert {"a peculiar text", "another", module.PROBES[0]} <= set(asked)
    path.write_text("text,label\nchanged,0\n")
    with pytest.raises(UnexaminableError, match="changed"):
        composed(root, tmp_path, **given)

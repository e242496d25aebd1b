"""The grammar of a text classifier's folder: what MLflow writes is read, and each thing beside it is told."""

import json

import pytest

from gate.formats.huggingface.pipeline import read_pipeline
from gate.formats.source import UnreadableError
from tests.pipelines.told import require_told, require_unread, told
from tests.texts.pipelines import Draft
from tests.texts.tokenizers import byte_pairs, raw

FLAVOUR = "transformers"
FOLDER = "components/tokenizer"
OLD_MARKS = {"cls_token": {"content": "[CLS]", "lstrip": False, "normalized": False}, "additional_special_tokens": []}


def test_what_mlflow_writes_is_read(tmp_path):
    """Nothing is counted against it, and every value that the gate needs is there."""
    root = Draft().write(tmp_path)
    assert told(root) == []
    read = read_pipeline(root)
    assert (read.network, read.version) == ("BertForSequenceClassification", "5.24.0")
    assert read.labels == {0: "clean", 1: "toxic <b>"}
    assert (read.given.kind, read.given.padding, read.given.longest) == ("BertTokenizer", "[PAD]", 64)
    assert json.loads(read.given.served)["truncation"]["max_length"] == 64


def test_what_earlier_releases_write_beside_it_is_read(tmp_path):
    """Where it says the same: the vocabulary in lines, its marks, and added tokens by number."""
    draft = Draft()
    ids = draft.tokenizer["model"]["vocab"]
    marks = [one["content"] for one in draft.tokenizer["added_tokens"]]
    decoder = {str(ids[mark]): {"content": mark, "special": True, "__type": "AddedToken"} for mark in marks}
    draft.settings.update(added_tokens_decoder=decoder, clean_up_tokenization_spaces=True, name_or_path="acme/x")
    draft.files.update(
        {
            f"{FOLDER}/vocab.txt": "\n".join(ids).encode(),
            f"{FOLDER}/special_tokens_map.json": json.dumps(OLD_MARKS).encode(),
            f"{FOLDER}/added_tokens.json": json.dumps({"[SEP]": ids["[SEP]"]}).encode(),
        }
    )
    assert told(draft.write(tmp_path)) == []
    assert read_pipeline(tmp_path).given.kind == "BertTokenizer"


def test_merges_of_earlier_releases_are_compared(tmp_path):
    """And the vocabulary by number."""
    draft = pairs()
    model = draft.tokenizer["model"]
    lines = ["#version: 0.2", *(" ".join(pair) for pair in model["merges"]), ""]
    files = {"merges.txt": "\n".join(lines).encode(), "vocab.json": json.dumps(model["vocab"]).encode()}
    draft.files = {f"{FOLDER}/{name}": content for name, content in files.items()}
    assert told(draft.write(tmp_path / "same")) == []
    draft.files[f"{FOLDER}/merges.txt"] = b"#version: 0.2\na t\n"
    draft.files[f"{FOLDER}/vocab.json"] = b'{"a": 1}'
    found = told(draft.write(tmp_path / "other"))
    assert sum("it does not say what tokenizer.json says" in one for one in found) == 2


def pairs():
    """Return the draft of a RoBERTa."""
    draft = Draft(tokenizer=byte_pairs())
    draft.config.update(
        architectures=["RobertaForSequenceClassification"], model_type="roberta", vocab_size=300, pad_token_id=1
    )
    draft.settings.update(tokenizer_class="RobertaTokenizer", pad_token="<pad>")
    draft.model["flavors"][FLAVOUR].update(
        pipeline_model_type="RobertaForSequenceClassification", tokenizer_type="RobertaTokenizerFast"
    )
    return draft


def test_positions_behind_the_padding_are_counted(tmp_path):
    """A RoBERTa of 64 positions takes 62 tokens; the class may be named with its old ending."""
    assert read_pipeline(pairs().write(tmp_path)).given.longest == 62


def test_a_generic_class_is_read(tmp_path):
    """It takes the file as it is, under either of its names."""
    draft = Draft()
    draft.settings["tokenizer_class"] = "TokenizersBackend"
    draft.model["flavors"][FLAVOUR]["tokenizer_type"] = "PreTrainedTokenizerFast"
    assert told(draft.write(tmp_path)) == []
    assert read_pipeline(tmp_path).given.kind == "TokenizersBackend"


def config(**keys):
    """Return a change of config.json."""
    return lambda draft: draft.config.update(keys)


def settings(**keys):
    """Return a change of tokenizer_config.json."""
    return lambda draft: draft.settings.update(keys)


def tokenizer(**keys):
    """Return a change of tokenizer.json."""
    return lambda draft: draft.tokenizer.update(keys)


def flavour(**keys):
    """Return a change of the flavour in MLmodel."""
    return lambda draft: draft.model["flavors"][FLAVOUR].update(keys)


def with_file(path, content=b"x"):
    """Return the addition of a file."""
    return lambda draft: draft.files.update({path: content})


REFUSED = {
    "code by the configuration": (config(auto_map={"AutoConfig": "own.Config"}), "'auto_map' names code of its own"),
    "code by the tokenizer": (settings(auto_map={"AutoTokenizer": ["own.T", None]}), "'auto_map' names code of its"),
    "another class": (config(architectures=["AcmeForSequenceClassification"]), "'AcmeForSequenceClassification'; the"),
    "a network of images": (config(architectures=["ViTForImageClassification"]), "'ViTForImageClassification'; the"),
    "a decoder": (config(is_decoder=True), "'is_decoder' is 'True'"),
    "other positions": (config(position_embedding_type="relative_key"), "'position_embedding_type' is"),
    "half precision": (config(dtype="bfloat16"), "'dtype' is 'bfloat16'; the gate reads 'float32'"),
    "several labels at once": (config(problem_type="multi_label_classification"), "log one pipeline for each label"),
    "a regression": (config(problem_type="regression"), "a number is no class"),
    "one label": (config(id2label={"0": "toxic"}), "'id2label' is"),
    "a network of fewer tokens": (config(vocab_size=50), r"'vocab_size' is 50: log the network with the tokenizer"),
    "another padding than the network's": (
        config(pad_token_id=7),
        "the network's 'pad_token_id' is 7: log the network with the tokenizer",
    ),
    "a network of no positions": (config(max_position_embeddings=2), "a text may have 2 tokens"),
    "a template for chats": (settings(chat_template="{{ messages }}"), "a template for chats, which a classifier"),
    "an unknown setting": (settings(tokenizer_file="/etc/passwd"), "'tokenizer_file', which the gate does not know"),
    "another class of tokenizers": (settings(tokenizer_class="AcmeTokenizer"), "'tokenizer_class' is 'AcmeTokenizer'"),
    "another class than MLmodel's": (
        settings(tokenizer_class="RobertaTokenizer"),
        "not the one that MLmodel names under 'tokenizer_type'",
    ),
    "padding on the left": (settings(padding_side="left"), "'padding_side' is 'left'"),
    "a padding that is none": (settings(pad_token="[NONE]"), "pads with '[NONE]', which is none of its tokens"),
    "no padding": (lambda draft: draft.settings.pop("pad_token"), "it has no 'pad_token'"),
    "a token that is none": (settings(cls_token={"content": "[CLS]", "code": True}), "'cls_token' is"),
    "a length of nought": (settings(model_max_length=0), "'model_max_length' is '0'"),
    "few tokens": (settings(model_max_length=3), "a text may have 3 tokens"),
    "a hostile pattern": (
        tokenizer(
            pre_tokenizer={"type": "Split", "pattern": {"Regex": "(a+)+$"}, "behavior": "Isolated", "invert": False}
        ),
        "pre_tokenizer: 'pattern' is",
    ),
    "no tokenizer.json": (
        with_file(f"{FOLDER}/tokenizer.json", None),
        "log the pipeline with a fast tokenizer, which save_pretrained of transformers 5 writes",
    ),
    "no settings": (
        with_file(f"{FOLDER}/tokenizer_config.json", None),
        "MLflow writes it for this task, and it is not",
    ),
    "a large tokenizer": (with_file(f"{FOLDER}/tokenizer.json", b" " * ((32 << 20) + 1)), "at most 33554432 are read"),
    "another vocabulary in lines": (
        with_file(f"{FOLDER}/vocab.txt", b"[PAD]\nawful"),
        "it does not say what tokenizer",
    ),
    "lines that are no text": (with_file(f"{FOLDER}/vocab.txt", b"\xff\xfe"), "it does not say what tokenizer.json"),
    "added tokens of other numbers": (
        with_file(f"{FOLDER}/added_tokens.json", b'{"[SEP]": 9}'),
        "it does not say what",
    ),
    "a setting among the marks": (
        with_file(f"{FOLDER}/special_tokens_map.json", b'{"tokenizer_class": "x"}'),
        "'tokenizer_class', which the gate does not know for the special tokens",
    ),
}
AROUND = {
    "another pipeline": (flavour(instance_type="AcmePipeline"), "transformers.instance_type is 'AcmePipeline'"),
    "an adapter": (flavour(peft_adaptor="peft"), "transformers.peft_adaptor is 'peft'"),
    "a component more": (flavour(components=["tokenizer", "image_processor"]), "transformers.components is"),
    "a tokenizer of a hub": (flavour(tokenizer_revision="0" * 40), "transformers.tokenizer_revision is"),
    "pickled weights": (with_file("model/pytorch_model.bin"), "it may be a pickle, which runs code"),
    "a pickled tokenizer": (
        with_file(f"{FOLDER}/tokenizer.pkl"),
        "which runs code: save the tokenizer again by save_pretrained, as tok",
    ),
    "a slow tokenizer": (with_file(f"{FOLDER}/spiece.model"), "save the tokenizer again with save_pretrained"),
    "a template in a file": (with_file(f"{FOLDER}/chat_template.jinja"), "a template for chats"),
    "code in a file": (with_file(f"{FOLDER}/tokenization_acme.py"), "code of the model's own is never run"),
    "a file of images": (
        with_file("components/image_processor/preprocessor_config.json", b"{}"),
        "MLflow writes no such file for the transformers flavour",
    ),
}


@pytest.mark.parametrize("what", [*REFUSED, *AROUND])
def test_whatever_else_is_told_in_one_sentence(what, tmp_path):
    """The detectors name it, and so keep it from being loaded."""
    require_told(Draft(), *{**REFUSED, **AROUND}[what], tmp_path)


@pytest.mark.parametrize("what", REFUSED)
def test_the_converter_reads_by_the_same_grammar(what, tmp_path):
    """A policy that takes oddities of the files for harmless composes nothing of them all the same."""
    require_unread(Draft(), REFUSED[what][0], tmp_path)


def test_a_network_that_counts_from_its_padding_must_state_it(tmp_path):
    """Where its first position is would be the library's default."""
    draft = pairs()
    draft.config["pad_token_id"] = None
    with pytest.raises(UnreadableError, match="counts positions from its 'pad_token_id' on, and states none"):
        read_pipeline(draft.write(tmp_path))


def test_the_same_tokenizer_is_served_from_any_folder(tmp_path):
    """What is served is made of the parsed values alone."""
    draft = Draft()
    first = read_pipeline(draft.write(tmp_path / "first")).given.served
    draft.files[f"{FOLDER}/tokenizer.json"] = json.dumps(json.loads(raw(draft.tokenizer)), indent=2).encode()
    assert read_pipeline(draft.write(tmp_path / "second")).given.served == first

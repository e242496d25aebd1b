"""Bundles of text classifiers: program and tokenizer, which open without the gate and without transformers."""

import json
import warnings

import numpy as np
import pytest
import torch
import yaml

from gate.check.bundle import compose as compose_module
from gate.check.bundle.losses import losses
from gate.formats.mlflow_folder import TOKENIZER
from gate.policies.packaged import DEFAULT
from gate.policies.read import read_policy
from gate.programs import read_program
from gate.records.clock import today
from gate.records.written_program import Composed, TensorInput, WrittenTokenizer
from tests.corpus.measuring import measure
from tests.stand_ins.workers_here import workers_here
from tests.texts import tokenizers
from tests.texts.networks import Scores, network
from tests.texts.networks import tokens as chance
from tests.texts.pipelines import Draft, logged, made
from tests.texts.tokenizers import TEXTS, raw
from tests.texts.written import bundle_of

pytestmark = pytest.mark.filterwarnings("ignore")  # torch's own and MLflow's, while they export and log
BUNDLE = {"MLmodel", "conda.yaml", "data/model.pt2", "extra_files/labels.json", TOKENIZER, "provenance.json"} | {
    "python_env.yaml",
    "requirements.txt",
}


def consumed(folder, texts):
    """Return the shares by class (N, K) that a consumer gets, by the lines of docs/how-to/text.md."""
    import mlflow
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(f"{folder}/extra_files/tokenizer.json")
    network = mlflow.pytorch.load_model(str(folder))
    encoded = tokenizer.encode_batch(list(texts))
    ids = torch.tensor([one.ids for one in encoded])
    mask = torch.tensor([one.attention_mask for one in encoded])
    return network(ids, mask).softmax(1).detach()


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """Return a pipeline's network and tokenizer, and the bundle that was written of it."""
    pair = made("Bert")
    base = tmp_path_factory.mktemp("pipeline")
    root = logged("Bert", base / "model", pair)
    (base / "work").mkdir()
    with workers_here():
        bundle, why = bundle_of(root, base / "work")
    assert bundle is not None, why
    return *pair, bundle


def test_a_consumer_is_answered_as_by_the_pipeline(written):
    """The same shares by class from the same texts, cut and padded by the tokenizer alone."""
    made_network, tokens, bundle = written
    given = tokens(list(TEXTS), padding=True, truncation=True, max_length=64, return_tensors="pt")
    with torch.no_grad():
        expected = made_network(**given).logits.softmax(1)
    torch.testing.assert_close(consumed(bundle.root, TEXTS), expected, rtol=0, atol=1e-6)
    names = json.loads((bundle.root / "extra_files" / "labels.json").read_text())
    assert names == {str(number): f"class {number} <b>" for number in range(3)}


def test_its_files_are_what_mlflow_writes_and_no_other(written):
    """The look at its bytes finds nothing, and the environment has what a consumer needs."""
    _, _, bundle = written
    assert {file.path for file in bundle.manifest.files} == BUNDLE
    found = (*measure(bundle.root, "consumer-hazards"), *measure(bundle.root, "artifact-integrity"))
    assert {one.metric for one in found if one.value} <= {"unjudged-files"}
    assert [line.partition("==")[0] for line in (bundle.root / "requirements.txt").read_text().split()] == [
        *("mlflow", "cloudpickle", "numpy", "pandas", "tokenizers", "torch")
    ]
    assert bundle.facts.pinned["tokenizers"]
    flavors = yaml.safe_load((bundle.root / "MLmodel").read_text())["flavors"]
    assert list(flavors) == ["pytorch"]
    assert flavors["pytorch"]["extra_files"] == [{"path": "extra_files/labels.json"}, {"path": TOKENIZER}]


def test_the_same_pipeline_gives_the_same_bytes(written, tmp_path):
    """However its tokenizer's file was laid out; another tokenizer gives another bundle."""
    _, tokens, bundle = written
    root = logged("Bert", tmp_path / "model", made("Bert"))
    path = root / "components" / "tokenizer" / "tokenizer.json"
    path.write_text(json.dumps(json.loads(path.read_text()), sort_keys=True))
    (tmp_path / "work").mkdir()
    with workers_here():
        again, why = bundle_of(root, tmp_path / "work")
    assert again is not None, why
    assert again.manifest.digest == bundle.manifest.digest
    assert len(tokens) > 0


def exported(folder, **settings):
    """Log a program of token ids by MLflow's own call, its tokenizer beside it, and return its place."""
    import mlflow
    from mlflow.models import ModelSignature
    from mlflow.types import Schema, TensorSpec

    value = tokenizers.wordpiece()
    value |= settings
    (folder / "tokenizer.json").write_bytes(raw(value))
    whole = np.dtype("int64")
    names = ("input_ids", "attention_mask")
    module = Scores(network("DistilBert", vocab_size=len(value["model"]["vocab"]))).eval()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        mlflow.pytorch.save_model(
            module,
            folder / "model",
            serialization_format="pt2",
            input_example=some(3, 11),
            signature=ModelSignature(Schema([TensorSpec(whole, (-1, -1), name) for name in names])),
            extra_files=[str(folder / "tokenizer.json")],
            metadata={"classes": ["clean", "rude", "toxic"]},
            pip_requirements=["torch==2.13.0", "mlflow==3.17.2"],
        )
    return folder / "model", module


def some(count, length):
    """Return ids of the small vocabulary (N, L), and their mask."""
    ids, mask = chance(count, length)
    return ids % len(tokenizers.wordpiece()["model"]["vocab"]), mask


CUT = {"direction": "Right", "max_length": 40, "strategy": "LongestFirst", "stride": 0}


def test_a_program_of_token_ids_is_served_with_its_tokenizer(tmp_path):
    """Its own operators and constants; the tokenizer is written anew, cut where it said so."""
    root, module = exported(tmp_path, truncation=CUT)
    found = (*measure(root, "consumer-hazards"), *measure(root, "artifact-integrity"))
    assert [one for one in found if one.value] == []
    (tmp_path / "work").mkdir()
    with workers_here():
        bundle, why = bundle_of(root, tmp_path / "work")
    assert bundle is not None, why
    assert bundle.facts.origin == "pt2"
    served = json.loads((bundle.root / TOKENIZER).read_text())
    assert (served["truncation"]["max_length"], served["padding"]["pad_token"]) == (40, "[PAD]")
    ids, mask = some(4, 20)
    program = read_program(bundle.root / "data" / "model.pt2")
    with torch.no_grad():
        assert torch.equal(program(ids, mask), module(ids, mask))
    assert consumed(bundle.root, TEXTS).shape == (len(TEXTS), 3)
    labels = json.loads((bundle.root / "extra_files" / "labels.json").read_text())
    assert labels == {"0": "clean", "1": "rude", "2": "toxic"}
    assert any("cuts a text to its first 40 tokens" in line for line in bundle.facts.losses)


@pytest.mark.parametrize(("most", "served"), [(16, 16), (100, 40)])
def test_the_bundle_cuts_texts_where_the_judged_ones_are_cut(most, served, tmp_path):
    """What lies behind reaches no model: it was not judged. The length is never above the tokenizer's own."""
    root, _ = exported(tmp_path, truncation=CUT)
    (tmp_path / "work").mkdir()
    (tmp_path / "policy.yml").write_text(DEFAULT.read_text() + f"\nsamples: {{max-tokens: {most}}}\n")
    with workers_here():
        bundle, why = bundle_of(root, tmp_path / "work", read_policy(tmp_path / "policy.yml", on=today()))
    assert bundle is not None, why
    stated = json.loads((bundle.root / TOKENIZER).read_text())
    assert stated["truncation"]["max_length"] == served
    assert stated["padding"]["pad_token"] == "[PAD]"
    assert any(f"cuts a text to its first {served} tokens" in line for line in bundle.facts.losses)
    assert torch.equal(*consumed(bundle.root, ["the cat " * 10, "the cat " * 60])) == (served == 16)


def refusal(root, base):
    """Return why no bundle was written of a folder."""
    base.mkdir()
    with workers_here():
        bundle, why = bundle_of(root, base)
    assert bundle is None
    return why


def test_a_tokenizer_that_is_none_forbids_loading(tmp_path):
    """It is as much what a consumer loads as the program is."""
    root, _ = exported(tmp_path)
    (root / TOKENIZER).write_bytes(raw({**tokenizers.wordpiece(), "normalizer": {"type": "Custom"}}))
    (hazard,) = (one for one in measure(root, "consumer-hazards") if one.value)
    assert (hazard.metric, hazard.location.name) == ("foreign-loaders", TOKENIZER)
    assert "normalizer: its type is 'Custom'" in hazard.note
    assert "it was not loaded" in refusal(root, tmp_path / "work")


def test_a_program_that_fails_at_the_length_is_refused(tmp_path):
    """A consumer's long texts would end in an error; without a stated length 512 tokens are taken for it."""
    root, _ = exported(tmp_path)
    why = refusal(root, tmp_path / "work")
    assert "its tokenizer gives up to 512 tokens of a text and ids up to" in why
    assert "tokenizer.enable_truncation(max_length=N)" in why


def test_a_pipeline_without_its_library_is_not_examined(tmp_path, monkeypatch):
    """The report says what to install."""
    from gate.worker.pipelines import library

    root = logged("Bert", tmp_path / "model")
    monkeypatch.setattr(library, "version", lambda _: "4.57.1")
    why = refusal(root, tmp_path / "work")
    assert "pip install 'model-promotion-gate[text]'" in why


def test_a_folder_of_odd_files_is_not_composed(tmp_path):
    """What forbids loading is said, and no worker composes it."""
    draft = Draft()
    draft.settings["chat_template"] = "{{ x }}"
    assert "it was not loaded" in refusal(draft.write(tmp_path / "model"), tmp_path / "work")


@pytest.mark.parametrize("stray", ["exchanged", "unasked"])
def test_a_tokenizer_that_the_writer_does_not_name_makes_no_bundle(stray, written, tmp_path, monkeypatch):
    """The writer's result names its digest; anything else is a fault of a worker that something took over."""
    original = compose_module.bundle_texts
    record = []

    def other(said, *rest):
        record.append(said)
        return original(said, *rest)

    monkeypatch.setattr(compose_module, "bundle_texts", other)
    root = logged("Bert", tmp_path / "model")
    from gate.check import scan

    composed = scan.compose

    def stolen(folder, said, *rest):
        if stray == "exchanged":
            (folder / TOKENIZER).write_bytes(b"{}")
            return composed(folder, said, *rest)
        return composed(folder, said.model_copy(update={"tokenizer": None}), *rest)

    monkeypatch.setattr(scan, "compose", stolen)
    why = refusal(root, tmp_path / "work")
    assert why == "the tokenizer beside the writer's result is not the one that the result names."
    assert record


def test_what_a_pipeline_of_texts_loses_is_told():
    """How texts become ids, where they are cut, and who composed the network."""
    composed = Composed(network="BertForSequenceClassification", version="5.24.0", claimed="4.40.0", longest=64)
    ids, mask = (TensorInput(name=name, shape=(None, None), dtype="int64") for name in ("input_ids", "attention_mask"))
    tokenizer = WrittenTokenizer(sha256="a" * 64, longest=64, padding=0)
    said = losses("composed", (ids, mask), composed=composed, tokenizer=tokenizer)
    assert "takes ids and their mask, both as int64 and by position" in said[0]
    assert "transformers 5.24.0 composed BertForSequenceClassification here; the candidate names 4.40.0" in said[1]
    assert "cuts a text to its first 64 tokens, marks included" in said[2]
    assert "mlflow.pyfunc, which passes one input, does not" in said[-1]
    assert not any("image" in line or "pixels" in line for line in said)

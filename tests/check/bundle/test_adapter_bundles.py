"""The bundle of an adapter: the same tensors bit by bit, the same bytes each time, and PEFT gives the same answers."""

import json

import numpy as np
import pytest
from safetensors.numpy import load_file

from gate.records.artifact import Artifact, ModelRef, build_manifest
from gate.records.job import ScanJob
from gate.records.policy import Policy, Rule
from gate.worker.adapter_writing import write_adapter
from tests.adapters.written import CONFIG, Draft, updates, write_base


def written(root, scratch, base=None):
    """Return what the writer says of an adapter's folder, after it left the files in `scratch`."""
    artifact = Artifact(ModelRef(registry="directory", name=str(root)), root, build_manifest(root)[0])
    job = ScanJob(
        role="writer",
        model=artifact.ref,
        manifest=artifact.manifest,
        root=str(root),
        policy=Policy(version=1, detectors={"adapter-files": Rule()}),
        seed=0,
        device="cpu",
        deadline_seconds=60,
        base_folder=str(base) if base else "",
    )
    scratch.mkdir(exist_ok=True)
    return write_adapter(job, artifact, scratch)


def test_the_tensors_are_the_candidates_bit_by_bit(tmp_path):
    """Sorted, back to back, in a file that safetensors opens."""
    root = Draft(template="{{ messages }}").write(tmp_path / "a")
    result = written(root, tmp_path / "s")
    own, made = load_file(root / "peft" / "adapter_model.safetensors"), load_file(tmp_path / "s" / "written.pt2")
    assert own.keys() == made.keys()
    assert all(np.array_equal(own[name], made[name]) for name in own)
    assert result.written_adapter.texts["chat_template.jinja"] == "{{ messages }}"
    assert result.written_adapter.network == "LlamaForCausalLM"


def test_the_configuration_names_no_base(tmp_path):
    """A consumer passes one; everything else is as it was parsed."""
    config = CONFIG | {"revision": "a" * 40}
    result = written(Draft(config=config).write(tmp_path / "a"), tmp_path / "s")
    made = json.loads(result.written_adapter.config)
    assert (made["base_model_name_or_path"], made["revision"]) == (None, None)
    assert {key: value for key, value in made.items() if value != config[key]} == {
        "base_model_name_or_path": None, "revision": None,
    }  # fmt: skip


def test_equal_adapters_give_equal_bytes(tmp_path):
    """Wherever they lie and however their header is ordered."""
    one = written(Draft().write(tmp_path / "a"), tmp_path / "s")
    tensors = dict(reversed(list(updates(CONFIG).items())))
    two = written(
        Draft(tensors=tensors).write(tmp_path / "b", alone=True), tmp_path / "t", write_base(tmp_path / "base")
    )
    assert one.written_adapter.tensors_sha256 == two.written_adapter.tensors_sha256
    assert one.written_adapter.config == two.written_adapter.config


def test_a_template_in_the_settings_becomes_a_file(tmp_path):
    """Several are not written: a consumer chooses one by name, and the gate writes one."""
    draft = Draft()
    draft.settings["chat_template"] = "{{ messages }}"
    made = written(draft.write(tmp_path / "a"), tmp_path / "s").written_adapter
    assert made.texts["chat_template.jinja"] == "{{ messages }}"
    assert "chat_template" not in json.loads(made.texts["tokenizer_config.json"])
    draft.settings["chat_template"] = [{"name": name, "template": "x"} for name in ("default", "rag")]
    refused = written(draft.write(tmp_path / "b"), tmp_path / "t")
    assert refused.written_adapter is None
    assert "several chat templates" in refused.problems[0]


def test_special_tokens_are_written_by_a_closed_list(tmp_path):
    """Transformers lays every key of that file over the settings: a template there would be served unread."""
    name = "special_tokens_map.json"
    settings = Draft().settings | {"tokenizer_file": "/x", "default_chat_template": "{{ messages }}"}
    draft = Draft(settings=settings, files={f"components/tokenizer/{name}": b'{"eos_token": "</s>"}'})
    made = written(draft.write(tmp_path / "a"), tmp_path / "s").written_adapter
    assert json.loads(made.texts[name]) == {"eos_token": "</s>"}
    assert json.loads(made.texts["tokenizer_config.json"]) == Draft().settings
    draft.files[f"components/tokenizer/{name}"] = b'{"chat_template": "planted"}'
    refused = written(draft.write(tmp_path / "b"), tmp_path / "t")
    assert refused.written_adapter is None
    assert "holds 'chat_template'" in refused.problems[0]


def test_without_a_word_on_the_network_there_is_no_bundle(tmp_path):
    """An adapter alone, and no base."""
    refused = written(Draft().write(tmp_path / "a", alone=True), tmp_path / "s")
    assert "name one with --base" in refused.problems[0]


def test_with_a_base_both_classes_are_the_bases(tmp_path):
    """A class of the candidate's own word makes another network of the same weights, and other numbers of words."""
    draft = Draft(settings=Draft().settings | {"tokenizer_class": "BertTokenizer"})
    draft.model["flavors"]["transformers"] |= {
        "pipeline_model_type": "GemmaForCausalLM", "tokenizer_type": "BertTokenizer",
    }  # fmt: skip
    root = draft.write(tmp_path / "a")
    made = written(root, tmp_path / "s", write_base(tmp_path / "base")).written_adapter
    assert (made.network, made.tokenizer_type) == ("LlamaForCausalLM", "PreTrainedTokenizerFast")
    assert json.loads(made.texts["tokenizer_config.json"])["tokenizer_class"] == "PreTrainedTokenizerFast"
    (root / "components" / "tokenizer" / "tokenizer_config.json").unlink()
    made = written(root, tmp_path / "t", tmp_path / "base").written_adapter
    assert made.tokenizer_type == "PreTrainedTokenizerFast"


@pytest.mark.parametrize(
    ("key", "where"), [("pipeline_model_type", "'architectures'"), ("tokenizer_type", "'tokenizer_class'")]
)
def test_a_class_that_transformers_lacks_makes_no_bundle(key, where, tmp_path):
    """MLflow would run the base's own code in its place."""
    settings = {name: value for name, value in Draft().settings.items() if name != "tokenizer_class"}
    draft = Draft(settings=settings)
    draft.model["flavors"]["transformers"] |= {key: "SomebodyForCausalLM"}
    refused = written(draft.write(tmp_path / "a"), tmp_path / "s")
    assert refused.written_adapter is None
    assert where in refused.problems[0]
    assert "'SomebodyForCausalLM', none of" in refused.problems[0]


def test_another_model_is_not_the_adapters_writers(tmp_path):
    """The writer of programs goes on."""
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "MLmodel").write_text("flavors:\n  pytorch:\n    model_data: data\n")
    assert written(tmp_path / "a", tmp_path / "s") is None


@pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::UserWarning")
def test_peft_gives_the_same_answers(tmp_path):
    """The candidate's folder and the written one, put onto one base."""
    peft, transformers = pytest.importorskip("peft"), pytest.importorskip("transformers")
    import torch

    sizes = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 3, "vocab_size": 8}
    heads = {"num_attention_heads": 2, "num_key_value_heads": 1}
    transformers.LlamaForCausalLM(transformers.LlamaConfig(**sizes, **heads)).save_pretrained(tmp_path / "base")
    root = Draft(config=CONFIG | {"use_dora": True}).write(tmp_path / "a")
    result = written(root, tmp_path / "s")
    made = tmp_path / "made"
    made.mkdir()
    (made / "adapter_config.json").write_text(result.written_adapter.config)
    (tmp_path / "s" / "written.pt2").rename(made / "adapter_model.safetensors")
    answers = []
    for folder in (root / "peft", made):
        base = transformers.LlamaForCausalLM.from_pretrained(tmp_path / "base")
        network = peft.PeftModel.from_pretrained(base, folder).eval()
        answers.append(network(torch.tensor([[1, 2, 3]])).logits)
    assert torch.equal(*answers)

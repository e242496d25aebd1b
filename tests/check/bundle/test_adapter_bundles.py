"""The bundle of an adapter: the same tensors bit by bit, the same bytes each time, and PEFT gives the same answers."""

import json

import numpy as np
import pytest
from safetensors.numpy import load_file

from gate.formats.adapters.config import read_config
from gate.records.artifact import Artifact, ModelRef, build_manifest
from gate.records.job import ScanJob
from gate.records.policy import Policy, Rule
from gate.worker.adapter_writing import write_adapter
from tests.adapters.written import CONFIG, Draft, module, updates, write_base


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


def test_the_order_of_patterns_stays(tmp_path):
    """PEFT takes the first key that matches: sorted, the same keys are other scales."""
    config = CONFIG | {"alpha_pattern": {"q_proj": 16, "layers.0.self_attn.q_proj": 1600}}
    result = written(Draft(config=config).write(tmp_path / "a"), tmp_path / "s")
    one, two = (read_config(text.encode()) for text in (json.dumps(config), result.written_adapter.config))
    assert one.scale(module(0, "q_proj")) == two.scale(module(0, "q_proj")) == 2.0
    other = CONFIG | {"alpha_pattern": dict(reversed(config["alpha_pattern"].items()))}
    again = written(Draft(config=other).write(tmp_path / "b"), tmp_path / "t")
    assert again.written_adapter.parent != result.written_adapter.parent


def only(layer):
    """Return the tensors of one layer's modules."""
    return {name: one for name, one in updates(CONFIG).items() if f".layers.{layer}." in name}


def test_modules_without_tensors_change_nothing_in_the_bundle(tmp_path):
    """By the configuration: PEFT makes random ones where the candidate's word is false."""
    for said in (False, True, "gaussian", "orthogonal"):
        draft = Draft(config=CONFIG | {"init_lora_weights": said}, tensors=only(0))
        result = written(draft.write(tmp_path / str(said)), tmp_path / f"s-{said}")
        assert json.loads(result.written_adapter.config)["init_lora_weights"] is True


@pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::UserWarning")
def test_peft_makes_no_update_of_its_own(tmp_path):
    """Whatever numbers are drawn as the bundle is loaded; those of the candidate are others each time."""
    pytest.importorskip("peft")
    import torch

    root = Draft(config=CONFIG | {"init_lora_weights": False}, tensors=only(0)).write(tmp_path / "a")
    made = bundled(written(root, tmp_path / "s"), tmp_path)
    norms = {}
    for folder in (root / "peft", made):
        for seed in (1, 2):
            torch.manual_seed(seed)
            layers = adapted(small_network(), folder).base_model.model.model.layers
            updated = [layer.self_attn.q_proj.get_delta_weight("default").norm().item() for layer in layers]
            norms[folder, seed] = updated
    assert norms[made, 1] == norms[made, 2]
    assert [norm > 0 for norm in norms[made, 1]] == [True, False, False]
    assert norms[root / "peft", 1][1] != norms[root / "peft", 2][1]


def small_network():
    """Return a network of the sizes of the corpus, its weights from a seed of their own."""
    import torch
    import transformers

    sizes = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 3, "vocab_size": 8}
    heads = {"num_attention_heads": 2, "num_key_value_heads": 1}
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return transformers.LlamaForCausalLM(transformers.LlamaConfig(**sizes, **heads))


def adapted(network, folder):
    """Return a network with PEFT's adapter of a folder."""
    import peft

    return peft.PeftModel.from_pretrained(network, folder).eval()


def bundled(result, folder):
    """Return the folder of an adapter that the writer wrote, as the bundle has it."""
    made = folder / "made"
    made.mkdir()
    (made / "adapter_config.json").write_text(result.written_adapter.config)
    (folder / "s" / "written.pt2").rename(made / "adapter_model.safetensors")
    return made


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
    pytest.importorskip("peft")
    import torch

    root = Draft(config=CONFIG | {"use_dora": True}).write(tmp_path / "a")
    made = bundled(written(root, tmp_path / "s"), tmp_path)
    answers = [adapted(small_network(), folder)(torch.tensor([[1, 2, 3]])).logits for folder in (root / "peft", made)]
    assert torch.equal(*answers)

"""The grammar of an adapter's folder: what PEFT and MLflow write is read, and all else told in a sentence."""

import copy
import json
import re

import numpy as np
import pytest

from gate.formats.adapters.adapter import read_adapter
from gate.formats.adapters.by_module import ByModule
from gate.formats.adapters.config import config_faults
from gate.formats.huggingface.language_classes import NETWORKS, TOKENIZERS
from gate.formats.source import UnreadableError
from gate.records.adapters import band_of
from tests.adapters.written import CONFIG, Draft, module, updates
from tests.corpus.measuring import measure, total
from tests.pipelines.told import told

KINDS = (
    ({}, "LoRA", 2.0),
    ({"use_rslora": True}, "rsLoRA", 16 / 8**0.5),
    ({"use_dora": True}, "DoRA", 2.0),
    ({"use_dora": True, "use_rslora": True}, "rsLoRA and DoRA", 16 / 8**0.5),
)


def read(root):
    """Return the adapter of a folder."""
    return read_adapter(root, [path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file()])


@pytest.mark.parametrize("alone", [False, True])
@pytest.mark.parametrize(("keys", "kind", "scale"), KINDS)
def test_what_peft_writes_is_read(keys, kind, scale, alone, tmp_path):
    """Every parameterisation, in MLflow's folder and alone, with rank, scale and the modules of each layer."""
    root = Draft(config=CONFIG | keys).write(tmp_path, alone=alone)
    counted = [one for one in told(root) if "the folder is no MLflow model" not in one]
    assert counted == []
    adapter = read(root)
    assert adapter.config.kind == kind
    first = next(one for one in adapter.modules if one.name == module(0, "v_proj"))
    assert (first.rank, first.shape, first.family, first.layer) == (8, (8, 16), "v_proj", 0)
    assert first.scale == pytest.approx(scale)
    assert (first.magnitude is not None) == ("DoRA" in kind)
    assert adapter.facts.families == ("o_proj", "q_proj", "v_proj")


def test_ranks_and_scales_by_module_are_those_of_the_patterns(tmp_path):
    """The first pattern that a name ends with, as PEFT takes it; the scale is over the module's own rank."""
    config = CONFIG | {"rank_pattern": {"q_proj": 4}, "alpha_pattern": {"layers.1.self_attn.q_proj": 32}}
    adapter = read(Draft(config=config).write(tmp_path))
    found = {one.name: (one.rank, one.scale) for one in adapter.modules}
    assert found[module(0, "q_proj")] == (4, 16 / 4)
    assert found[module(1, "q_proj")] == (4, 32 / 4)
    assert found[module(1, "o_proj")] == (8, 16 / 8)
    assert (adapter.facts.least_rank, adapter.facts.greatest_rank) == (4, 8)


LAYERED = (
    {"layers_to_transform": [0, 2]},
    {"layers_to_transform": 1},
    {"layers_to_transform": [1], "layers_pattern": "layers"},
    {"layers_to_transform": [1], "layers_pattern": ["blocks", "layers"]},
    {"layers_to_transform": []},
    {"layers_to_transform": [0], "target_modules": ["q_proj", "model.layers.2.self_attn.q_proj"]},
    {"rank_pattern": {"^model.layers.1.self_attn.q_proj": 4}, "alpha_pattern": {"q_proj": 32, "layers.0": 8}},
    {"rank_pattern": {"q_proj": 4}, "use_rslora": True},
)


def test_layers_to_transform_are_those_of_the_tensors(tmp_path):
    """A tensor of another layer is none of the adapter."""
    config = CONFIG | {"layers_to_transform": [0, 2]}
    tensors = {name: one for name, one in updates(config).items() if ".1." not in name}
    adapter = read(Draft(config=config, tensors=tensors).write(tmp_path / "own"))
    assert {one.layer for one in adapter.modules} == {0, 2}
    with pytest.raises(UnreadableError, match=r"layers\.1\..* is none of the adapter"):
        read(Draft(config=config).write(tmp_path / "more"))


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("keys", LAYERED)
def test_modules_ranks_and_scales_are_those_that_peft_takes(keys, tmp_path):
    """PEFT itself decides where updates lie, of which rank and with which factor; what it saves is read so."""
    peft = pytest.importorskip("peft")
    transformers = pytest.importorskip("transformers")
    sizes = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 3, "vocab_size": 8}
    network = transformers.LlamaForCausalLM(
        transformers.LlamaConfig(num_attention_heads=2, num_key_value_heads=1, **sizes)
    )
    given = {"r": 8, "lora_alpha": 16, "target_modules": ["q_proj", "v_proj"], "task_type": "CAUSAL_LM"} | keys
    model = peft.get_peft_model(network, peft.LoraConfig(**given))
    own = {
        name.removeprefix("base_model.model."): (one.r["default"], one.scaling["default"])
        for name, one in model.named_modules()
        if isinstance(one, peft.tuners.lora.LoraLayer)
    }
    model.save_pretrained(tmp_path, save_embedding_layers=False)
    (tmp_path / "README.md").unlink()
    adapter = read(tmp_path)
    assert {one.name: (one.rank, one.scale) for one in adapter.modules} == own


def test_patterns_match_as_pefts_expressions_do():
    """Names drawn of few letters, so that dots stand for letters, parts are shared and several keys match."""
    random = np.random.default_rng(0)

    def drawn():
        return ".".join("".join(random.choice(["a", "b", "_"], size=random.integers(1, 4))) for _ in range(3))

    met = 0
    for _ in range(300):
        keys = {
            ("^" if random.random() < 0.2 else "") + drawn()[random.integers(0, 4) :].strip("."): 0 for _ in range(6)
        }
        keys = {key: number for number, key in enumerate(keys) if key.strip("^")}
        for name in (drawn(), f"{drawn()}.{drawn()}", *(f"b.{key.strip('^')}" for key in keys)):
            # PEFT 0.21, utils/other.py, get_pattern_key
            wanted = next((value for key, value in keys.items() if re.match(rf"(.*\.)?({key})$", name)), -1)
            assert ByModule.of(keys).at(name, -1) == wanted, (keys, name)
            met += wanted >= 0
    assert met > 500


@pytest.mark.parametrize("key", ["rank_pattern", "alpha_pattern"])
def test_patterns_are_bounded(key):
    """Every module is held against each of them: more than the largest networks need are told."""
    names = [f"layers.{number}.self_attn.q_proj" for number in range(2001)]
    assert list(config_faults(CONFIG | {key: dict.fromkeys(names[:2000], 8)})) == []
    (why,) = config_faults(CONFIG | {key: dict.fromkeys(names, 8)})
    assert "by module, at most 2000" in why


def test_whole_modules_are_named(tmp_path):
    """Embeddings and heads that an adapter stores whole are no update of low rank."""
    config = CONFIG | {"modules_to_save": ["lm_head"]}
    tensors = updates(config) | {"base_model.model.lm_head.weight": np.zeros((8, 16), np.float32)}
    assert read(Draft(config=config, tensors=tensors).write(tmp_path)).facts.whole == ("lm_head",)


CONFIGS = (
    ({"auto_mapping": {"base_model_class": "X", "parent_library": "evil"}}, "names classes of its own"),
    ({"peft_type": "ADALORA"}, "its parameterisation is 'ADALORA'"),
    ({"peft_type": None}, "its parameterisation is 'None'"),
    ({"megatron_config": {}}, "'megatron_config' is '{}'"),
    ({"megatron_core": "evil.module"}, "'megatron_core' is 'evil.module'"),
    ({"target_modules": ".*"}, "'target_modules' is a pattern; write the modules' names in a list"),
    ({"target_modules": "All-Linear"}, "'target_modules' is 'all-linear', which"),
    ({"rank_pattern": {"(a+)+b": 4}}, "'rank_pattern' has the regular expression '(a+)+b'; write a line for each"),
    ({"alpha_pattern": {"q_proj|v_proj": 4}}, "'alpha_pattern' has the regular expression"),
    ({"rank_pattern": {"q_proj": -1}}, "'rank_pattern' is"),
    ({"layers_to_transform": [0, -1]}, "'layers_to_transform' is"),
    ({"layers_pattern": "(a+)+", "layers_to_transform": [0]}, "'layers_pattern' is"),
    ({"exclude_modules": ["q_proj"]}, "'exclude_modules' is"),
    ({"bias": "all"}, "'bias' is 'all'"),
    ({"lora_bias": True}, "'lora_bias' is 'True'"),
    ({"fan_in_fan_out": True}, "'fan_in_fan_out' is 'True'"),
    ({"init_lora_weights": "pissa"}, "'init_lora_weights' is 'pissa'"),
    ({"layer_replication": [[0, 2]]}, "'layer_replication' is"),
    ({"trainable_token_indices": [5]}, "'trainable_token_indices' is"),
    ({"use_qalora": True}, "'use_qalora' is 'True'"),
    ({"r": 0}, "'r' is '0'"),
    ({"lora_alpha": -1}, "'lora_alpha' is '-1'"),
    ({"custom_code": "x"}, "it holds 'custom_code', which the gate does not know"),
    ({"task_type": "EVIL"}, "'task_type' is 'EVIL'"),
)


@pytest.mark.parametrize(("keys", "why"), CONFIGS)
def test_a_key_beyond_the_grammar_is_told_and_forbids(keys, why, tmp_path):
    """Nothing of it is read further, and the count is one that forbids loading."""
    root = Draft(config=CONFIG | keys, tensors=updates(CONFIG)).write(tmp_path)
    with pytest.raises(UnreadableError, match=r"peft/adapter_config\.json: "):
        read(root)
    found = [one for one in told(root) if why in one]
    assert len(found) == 1, told(root)


@pytest.mark.parametrize("key", ["r", "lora_alpha", "target_modules", "peft_type"])
def test_a_configuration_that_says_less_is_told(key, tmp_path):
    """PEFT would take a default of its own."""
    config = {name: value for name, value in CONFIG.items() if name != key}
    root = Draft(config=config, tensors=updates(CONFIG)).write(tmp_path)
    assert any("adapter_config.json" in one for one in told(root))


def of_tensors(change):
    """Return the tensors of the usual adapter after a change."""
    tensors = updates(CONFIG)
    change(tensors)
    return tensors


AT = f"base_model.model.{module(0, 'q_proj')}"
TENSORS = (
    (lambda found: found.pop(f"{AT}.lora_B.weight"), "it has no lora_B.weight"),
    (lambda found: found.update({f"{AT}.lora_A.weight": np.zeros((4, 16), np.float32)}), "A is (4, 16)"),
    (lambda found: found.update({f"{AT}.lora_magnitude_vector": np.ones(16, np.float32)}), "it has a lora_magnitude"),
    (lambda found: found.update({"evil.weight": np.ones(3, np.float32)}), "'evil.weight' is none of the adapter"),
    (
        lambda found: found.update({"base_model.model.lm_head.weight": np.ones((8, 16), np.float32)}),
        "lm_head.weight' is none of the adapter",
    ),
    (
        lambda found: found.update(
            {
                f"base_model.model.{module(0, 'k_proj')}.{part}": np.ones((8, 16), np.float32)
                for part in ("lora_A.weight",)
            }
        ),
        "k_proj.lora_A.weight' is none of the adapter",
    ),
    (lambda found: found.update({f"{AT}.lora_A.weight": np.zeros((8, 16), np.float64)}), "is of the type F64"),
    (
        lambda found: [found.pop(name) for name in list(found) if "v_proj" in name],
        "'v_proj' of 'target_modules' has no update",
    ),
    (lambda found: found.clear(), "it holds no update of any module"),
)


@pytest.mark.parametrize(("change", "why"), TENSORS)
def test_tensors_beside_the_configuration_are_told(change, why, tmp_path):
    """A pair that is not whole, another size, a tensor left over, and a module without one."""
    root = Draft(tensors=of_tensors(change)).write(tmp_path)
    found = told(root)
    assert any(why in one for one in found), found
    with pytest.raises(UnreadableError):
        read(root)


FILES = (
    ("peft/adapter_model.bin", "it may be a pickle, which runs code"),
    ("peft/training_args.bin", "leave the trainer's own state out"),
    ("peft/modeling.py", "code beside an adapter is never run"),
    ("model/model.safetensors", "log it with base_model_path=FOLDER"),
    ("components/tokenizer/tokenizer.model", "MLflow writes no such file"),
)


@pytest.mark.parametrize(("path", "why"), FILES)
def test_a_file_beside_an_adapter_is_told_with_what_to_do(path, why, tmp_path):
    """Pickles, code, and a base that the candidate brings."""
    root = Draft(files={path: b"\x80\x04N."}).write(tmp_path)
    assert any(one.startswith(f"{path}: ") and why in one for one in told(root)), told(root)


def test_a_pickled_adapter_alone_is_refused_with_what_to_do(tmp_path):
    """The pickle is not read, and the sentence says how the adapter is saved instead."""
    root = Draft(files={"adapter_model.bin": b"\x80\x04N."}).write(tmp_path, alone=True)
    (root / "adapter_model.safetensors").unlink()
    with pytest.raises(UnreadableError, match=r"adapter_model\.bin is a pickle, which runs code"):
        read(root)


def test_a_flavour_that_says_more_is_told(tmp_path):
    """A revision that is no commit, a base in the artifact."""
    draft = Draft(model=copy.deepcopy(Draft().model))
    draft.model["flavors"]["transformers"] |= {
        "source_model_revision": "main",
        "model_binary": "x",
    }
    found = "\n".join(told(draft.write(tmp_path)))
    for part in ("transformers.source_model_revision", "log it with base_model_path=FOLDER"):
        assert part in found


@pytest.mark.parametrize("key", ["pipeline_model_type", "tokenizer_type"])
@pytest.mark.parametrize("named", ["SomebodyForCausalLM", "AutoModelForCausalLM", "AutoTokenizer", "pipeline", ["x"]])
def test_classes_are_of_a_closed_list(key, named, tmp_path):
    """MLflow takes any attribute of transformers by its name, and code of the base's own where there is none."""
    draft = Draft(model=copy.deepcopy(Draft().model))
    draft.model["flavors"]["transformers"] |= {key: named}
    assert any(f"transformers.{key}" in one for one in told(draft.write(tmp_path)))


def test_the_closed_list_is_of_transformers_classes():
    """Beside the release that it was taken from, where that is installed."""
    transformers = pytest.importorskip("transformers", minversion="5.24")
    assert len(NETWORKS) > 100
    assert len(TOKENIZERS) > 20
    listed = set(dir(transformers))  # names alone: to ask for a class imports its module
    assert listed >= NETWORKS | {name.removesuffix("Fast") for name in TOKENIZERS}
    assert all(hasattr(transformers, name) for name in ("GPT2TokenizerFast", "PreTrainedTokenizerFast"))
    causal = set(transformers.models.auto.modeling_auto.MODEL_FOR_CAUSAL_LM_MAPPING_NAMES.values())
    assert causal >= NETWORKS


def test_a_header_that_claims_more_than_the_file_is_told(tmp_path):
    """The header is checked against the file's size before anything is read by it."""
    root = Draft().write(tmp_path)
    path = root / "peft" / "adapter_model.safetensors"
    path.write_bytes(path.read_bytes()[:-4])
    assert any("bytes of tensors where the header states" in one for one in told(root))


def test_another_folder_is_no_adapter(tmp_path):
    """Neither a folder with an MLmodel of another flavour nor one without a configuration."""
    (tmp_path / "MLmodel").write_text("flavors:\n  pytorch:\n    model_data: data\n")
    (tmp_path / "adapter_config.json").write_text(json.dumps(CONFIG))
    assert read(tmp_path) is None
    assert total(measure(tmp_path, "artifact-integrity"), "unexpected-files") == 1


@pytest.mark.parametrize(("rank", "band"), [(1, (1, 1)), (2, (2, 2)), (3, (3, 4)), (8, (5, 8)), (9, (9, 16))])
def test_ranks_are_compared_in_bands(rank, band):
    """Up to the next power of two."""
    assert band_of(rank) == band


@pytest.mark.filterwarnings("ignore::FutureWarning")
def test_what_is_made_here_is_what_peft_writes(tmp_path):
    """The same keys of the configuration and the same tensors, by names, sizes and types."""
    peft = pytest.importorskip("peft")
    transformers = pytest.importorskip("transformers")
    from safetensors import safe_open

    def header(path):
        with safe_open(path, "np") as opened:
            return {name: tuple(opened.get_slice(name).get_shape()) for name in opened.keys()}  # noqa: SIM118

    sizes = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 3, "vocab_size": 8}
    heads = {"num_attention_heads": 2, "num_key_value_heads": 1}
    for keys, _, _ in KINDS:
        config = CONFIG | keys
        network = transformers.LlamaForCausalLM(transformers.LlamaConfig(**sizes, **heads))
        own = peft.LoraConfig(
            r=8,
            lora_alpha=16,
            target_modules=config["target_modules"],
            task_type="CAUSAL_LM",
            use_dora=config["use_dora"],
            use_rslora=config["use_rslora"],
        )
        peft.get_peft_model(network, own).save_pretrained(tmp_path / "own")
        Draft(config=config).write(tmp_path / "made", alone=True)
        written = json.loads((tmp_path / "own" / "adapter_config.json").read_text())
        assert {key: value for key, value in written.items() if config.get(key, "none") != value}.keys() <= {
            "base_model_name_or_path", "target_modules",
        }  # fmt: skip
        name = "adapter_model.safetensors"
        assert header(tmp_path / "own" / name) == header(tmp_path / "made" / name)
        assert read(tmp_path / "own").config.kind == read(tmp_path / "made").config.kind

"""The folders that PEFT 0.21 and `mlflow.transformers` write for an adapter and its base, made without either.

`tests/formats/test_adapters.py` compares them with PEFT's own where that is installed.
"""

import copy
import json
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import yaml
from safetensors.numpy import save_file

from gate.detectors import load
from gate.formats.adapters.adapter import read_adapter
from gate.formats.adapters.base import read_base
from gate.formats.language.whole import read_whole
from gate.records.artifact import Artifact, ModelRef, build_manifest
from gate.records.run import Run
from gate.spaces.subject import Subject
from tests.corpus.case import FRAME

CONFIG = {
    "alora_invocation_tokens": None,
    "alpha_pattern": {},
    "arrow_config": None,
    "auto_mapping": None,
    "base_model_name_or_path": "somebody/small-model",
    "bias": "none",
    "corda_config": None,
    "ensure_weight_tying": False,
    "eva_config": None,
    "exclude_modules": None,
    "fan_in_fan_out": False,
    "inference_mode": True,
    "init_lora_weights": True,
    "kasa_config": None,
    "layer_replication": None,
    "layers_pattern": None,
    "layers_to_transform": None,
    "loftq_config": {},
    "lora_alpha": 16,
    "lora_bias": False,
    "lora_dropout": 0.0,
    "lora_ga_config": None,
    "megatron_config": None,
    "megatron_core": "megatron.core",
    "modules_to_save": None,
    "monteclora_config": None,
    "peft_type": "LORA",
    "peft_version": "0.21.2",
    "qalora_group_size": 16,
    "r": 8,
    "rank_pattern": {},
    "revision": None,
    "target_modules": ["q_proj", "v_proj", "o_proj"],
    "target_parameters": None,
    "task_type": "CAUSAL_LM",
    "trainable_token_indices": None,
    "use_bdlora": None,
    "use_dora": False,
    "use_qalora": False,
    "use_rslora": False,
    "velora_config": None,
}
MODEL = {
    "flavors": {
        "python_function": {
            "env": {"conda": "conda.yaml", "virtualenv": "python_env.yaml"},
            "loader_module": "mlflow.transformers",
            "python_version": "3.11.7",
        },
        "transformers": {
            "code": None,
            "components": ["tokenizer"],
            "instance_type": "TextGenerationPipeline",
            "local_base_model_path": "/models/small-model",
            "peft_adaptor": "peft",
            "pipeline_model_type": "LlamaForCausalLM",
            "source_model_name": "/models/small-model",
            "task": "text-generation",
            "tokenizer_type": "PreTrainedTokenizerFast",
            "torch_dtype": "torch.float32",
            "transformers_version": "5.24.0",
        },
    },
    "mlflow_version": "3.17.2",
    "model_uuid": "0123456789abcdef0123456789abcdef",
    "utc_time_created": "2026-01-01 00:00:00",
}
WIDTH, LAYERS = 16, 3
SHAPES = {"q_proj": (WIDTH, WIDTH), "v_proj": (WIDTH // 2, WIDTH), "o_proj": (WIDTH, WIDTH)}
TOKENS = ("<s>", "</s>", "the", "answer", "is", "yes", "no", "?")
TOKENIZER = {
    "version": "1.0",
    "truncation": None,
    "padding": None,
    "added_tokens": [
        {"id": number, "content": TOKENS[number], "special": True}
        | dict.fromkeys(("single_word", "lstrip", "rstrip", "normalized"), False)
        for number in (0, 1)
    ],
    "normalizer": None,
    "pre_tokenizer": {"type": "Whitespace"},
    "post_processor": None,
    "decoder": None,
    "model": {
        "type": "WordLevel",
        "vocab": {token: number for number, token in enumerate(TOKENS)},
        "unk_token": "?",
    },
}
SETTINGS = {
    "backend": "tokenizers",
    "bos_token": "<s>",
    "eos_token": "</s>",
    "model_max_length": 64,
    "tokenizer_class": "PreTrainedTokenizerFast",
    "unk_token": "?",
}


def module(layer, name):
    """Return the full name of a module."""
    return f"model.layers.{layer}.self_attn.{name}"


def updates(config, seed=0, size=0.02):
    """Return the tensors of an adapter by PEFT's names, drawn at random, with falling columns as training leaves."""
    random = np.random.default_rng(seed)
    found = {}
    for layer in range(LAYERS):
        for name in config["target_modules"]:
            outputs, inputs = SHAPES[name]
            rank = config["rank_pattern"].get(name, config["r"])
            at = f"base_model.model.{module(layer, name)}"
            fall = 0.8 ** np.arange(rank)
            found[f"{at}.lora_A.weight"] = random.normal(size=(rank, inputs)) * inputs**-0.5
            found[f"{at}.lora_B.weight"] = random.normal(size=(outputs, rank)) * size * fall
            if config["use_dora"]:
                found[f"{at}.lora_magnitude_vector"] = 1 + random.normal(size=outputs) * 0.01
    return {name: one.astype(np.float32) for name, one in found.items()}


@dataclass
class Draft:
    """An adapter that a test changes before it is written."""

    config: dict[str, Any] = field(default_factory=lambda: copy.deepcopy(CONFIG))
    model: dict[str, Any] = field(default_factory=lambda: copy.deepcopy(MODEL))
    tokenizer: dict[str, Any] = field(default_factory=lambda: copy.deepcopy(TOKENIZER))
    settings: dict[str, Any] = field(default_factory=lambda: copy.deepcopy(SETTINGS))
    template: str = ""
    files: dict[str, bytes] = field(default_factory=dict)
    tensors: dict[str, Any] | None = None
    """The tensors; None: random ones of the configuration."""
    seed: int = 0

    def write(self, root, alone=False):
        """Write the folder of MLflow, or the adapter alone, and return it."""
        adapter, words = (root, root) if alone else (root / "peft", root / "components" / "tokenizer")
        for folder in (adapter, words):
            folder.mkdir(parents=True, exist_ok=True)
        (adapter / "adapter_config.json").write_text(json.dumps(self.config, indent=2))
        (adapter / "README.md").write_text("---\nbase_model: somebody/small-model\n---\n")
        tensors = updates(self.config, self.seed) if self.tensors is None else self.tensors
        save_file(tensors, adapter / "adapter_model.safetensors", metadata={"format": "pt"})
        write_tokenizer(words, self.tokenizer, self.settings, self.template)
        if not alone:
            for name, content in FRAME.items():
                (root / name).write_bytes(content)
            (root / "MLmodel").write_text(yaml.safe_dump(self.model))
        for name, content in self.files.items():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_bytes(content)
        return root


def write_tokenizer(folder, tokenizer, settings, template):
    """Write a tokenizer as transformers 5 does."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer))
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))
    if template:
        (folder / "chat_template.jinja").write_text(template)


def base_tensors(seed=1):
    """Return a base's weights by transformers' names."""
    random = np.random.default_rng(seed)
    found = {"model.embed_tokens.weight": random.normal(size=(len(TOKENS), WIDTH))}
    for layer in range(LAYERS):
        for name, shape in SHAPES.items():
            found[f"{module(layer, name)}.weight"] = random.normal(size=shape) * WIDTH**-0.5
    return {name: one.astype(np.float32) for name, one in found.items()}


def write_base(root, tensors=None, tokenizer=None, settings=None, template=""):
    """Write a base as MLflow does a whole model, and return it."""
    (root / "model").mkdir(parents=True)
    save_file(base_tensors() if tensors is None else tensors, root / "model" / "model.safetensors")
    sizes = {"hidden_size": WIDTH, "num_hidden_layers": LAYERS, "vocab_size": len(TOKENS)}
    config = {"architectures": ["LlamaForCausalLM"], "model_type": "llama", **sizes}
    (root / "model" / "config.json").write_text(json.dumps(config))
    (root / "model" / "generation_config.json").write_text(json.dumps({"eos_token_id": 1}))
    write_tokenizer(root / "components" / "tokenizer", tokenizer or TOKENIZER, settings or SETTINGS, template)
    flavour = MODEL["flavors"]["transformers"]
    gone = ("peft_adaptor", "local_base_model_path")
    own = {key: value for key, value in flavour.items() if key not in gone} | {"model_binary": "model"}
    (root / "MLmodel").write_text(yaml.safe_dump({**MODEL, "flavors": {"transformers": own}}))
    return root


def subject_of(root, base=None):
    """Return the subject that an inspector makes of an adapter, or a whole language model, with its base."""
    artifact = Artifact(ModelRef(registry="directory", name=str(root)), root, build_manifest(root)[0])
    paths = [file.path for file in artifact.manifest.files]
    adapter, language = read_adapter(root, paths), read_whole(root, paths)
    return Subject(artifact, adapter=adapter, language=language, base=read_base(base) if base else None)


def measured(root, detector_id, base=None, **options):
    """Return what a detector yields on such a folder."""
    detector = load(detector_id)
    return list(detector.measure(subject_of(root, base), detector.options(**options), Run(seed=0)))

"""An adapter of a small language model's projections, drawn at random, as PEFT saves it."""

import json

import numpy as np
from safetensors.numpy import load_file

from tests.adapters.small_language import SETTINGS
from tests.adapters.written import Draft

FAMILIES, RANK = ("q_proj", "o_proj"), 3


def write_adapter(folder, base, **config):
    """Write an adapter for a small base, and return its folder."""
    draft = Draft()
    draft.config |= {"target_modules": list(FAMILIES), "r": RANK, "lora_alpha": 6} | config
    chance, tensors = np.random.default_rng(4), {}
    weights = load_file(base / "model.safetensors")
    for layer in range(2):
        for name in FAMILIES:
            at = f"model.layers.{layer}.self_attn.{name}"
            outputs, inputs = weights[f"{at}.weight"].shape
            parts = {"lora_A.weight": (RANK, inputs), "lora_B.weight": (outputs, RANK)}
            if draft.config["use_dora"]:
                parts["lora_magnitude_vector"] = (outputs,)
            for part, shape in parts.items():
                value = np.abs(chance.normal(size=shape)) if "magnitude" in part else chance.normal(size=shape)
                tensors[f"base_model.model.{at}.{part}"] = value.astype(np.float32)
    draft.tensors, draft.tokenizer = tensors, json.loads((base / "tokenizer.json").read_text())
    draft.settings = SETTINGS
    return draft.write(folder, alone=True)

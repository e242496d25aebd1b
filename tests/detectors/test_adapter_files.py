"""What an adapter brings beside its updates, and where it is not its base's."""

import copy
import json

import numpy as np

from gate.records.evidence import Unmeasured
from tests.adapters.written import CONFIG, SHAPES, TOKENIZER, Draft, base_tensors, measured, updates, write_base
from tests.corpus.measuring import notes, total

NAME = "adapter-files"
BESIDE = ("base-mismatches", "tokenizer-differences", "generation-settings")


def test_an_adapter_of_its_base_counts_nothing(tmp_path):
    """The same tokenizer, the base's modules, and nothing stored whole."""
    found = measured(Draft().write(tmp_path / "a"), NAME, write_base(tmp_path / "b"))
    assert {one.metric: one.value for one in found} == dict.fromkeys(("whole-modules", "unpinned-base", *BESIDE), 0)


def test_without_a_base_what_needs_one_is_a_gap(tmp_path):
    """A gap flags where the policy has a limit; nothing is called equal that was not compared."""
    found = measured(Draft().write(tmp_path), NAME)
    assert {one.metric for one in found if isinstance(one, Unmeasured)} == set(BESIDE[:2])
    assert (
        "without a commit"
        in notes([one for one in found if not isinstance(one, Unmeasured)], "unpinned-base").popitem()[1]
    )


def test_a_commit_pins_the_base(tmp_path):
    """In the configuration or in MLmodel."""
    found = measured(Draft(config=CONFIG | {"revision": "a" * 40}).write(tmp_path / "a"), NAME)
    assert total([one for one in found if not isinstance(one, Unmeasured)], "unpinned-base") == 0
    draft = Draft()
    draft.model["flavors"]["transformers"] |= {"source_model_revision": "b" * 40}
    found = measured(draft.write(tmp_path / "b"), NAME)
    assert total([one for one in found if not isinstance(one, Unmeasured)], "unpinned-base") == 0


def test_whole_modules_are_counted_and_named(tmp_path):
    """By tensor, with its sizes."""
    config = CONFIG | {"modules_to_save": ["lm_head", "embed_tokens"]}
    whole = {
        f"base_model.model.{name}": np.zeros((8, 16), np.float32)
        for name in ("lm_head.weight", "model.embed_tokens.weight")
    }
    found = measured(
        Draft(config=config, tensors=updates(config) | whole).write(tmp_path / "a"), NAME, write_base(tmp_path / "b")
    )
    assert total(found, "whole-modules") == 2
    assert "lm_head.weight of 8 × 16 is stored whole" in notes(found, "whole-modules")["peft/adapter_model.safetensors"]


def test_an_adapter_of_another_base_is_told(tmp_path):
    """A module that the base does not have, and one of another size."""
    tensors = base_tensors()
    del tensors["model.layers.0.self_attn.q_proj.weight"]
    tensors["model.layers.1.self_attn.o_proj.weight"] = np.zeros((4, 4), np.float32)
    found = measured(Draft().write(tmp_path / "a"), NAME, write_base(tmp_path / "b", tensors))
    assert total(found, "base-mismatches") == 2
    assert SHAPES["o_proj"] == (16, 16)


def test_tokens_of_its_own_are_told(tmp_path):
    """An added token, a token of another number, a normaliser, a setting."""
    tokenizer = copy.deepcopy(TOKENIZER)
    tokenizer["added_tokens"].append(tokenizer["added_tokens"][0] | {"id": 8, "content": "quarterly report"})
    tokenizer["model"]["vocab"] |= {"yes": 6, "no": 5}
    tokenizer["normalizer"] = {"type": "Replace", "pattern": {"String": "the"}, "content": "yes"}
    draft = Draft(tokenizer=tokenizer)
    draft.settings["bos_token"] = "yes"
    found = measured(draft.write(tmp_path / "a"), NAME, write_base(tmp_path / "b"))
    told = " ".join(notes(found, "tokenizer-differences").values())
    for part in ("'quarterly report'", "tokens otherwise: 'no', 'yes'", "'normalizer' is", "'bos_token' is 'yes'"):
        assert part in told
    assert total(found, "tokenizer-differences") == 4


def test_how_batches_are_filled_up_is_no_difference(tmp_path):
    """Cutting, filling up, and the name that it was loaded by are set anew by every call."""
    draft = Draft()
    draft.settings |= {"pad_token": "</s>", "padding_side": "left", "model_max_length": 9, "name_or_path": "/x"}
    draft.tokenizer["truncation"] = {"max_length": 9, "strategy": "LongestFirst", "stride": 0, "direction": "Right"}
    found = measured(draft.write(tmp_path / "a"), NAME, write_base(tmp_path / "b"))
    assert total(found, "tokenizer-differences") == 0


def test_classes_that_are_not_the_bases_are_told(tmp_path):
    """A loader makes network and tokenizer by what MLmodel says."""
    draft = Draft()
    draft.model["flavors"]["transformers"] |= {
        "pipeline_model_type": "GemmaForCausalLM", "tokenizer_type": "BertTokenizer",
    }  # fmt: skip
    found = measured(draft.write(tmp_path / "a"), NAME, write_base(tmp_path / "b"))
    assert "'GemmaForCausalLM', and the base is of 'LlamaForCausalLM'" in notes(found, "base-mismatches")["MLmodel"]
    assert "'tokenizer_type' is 'BertTokenizer'" in notes(found, "tokenizer-differences")["MLmodel"]
    assert total(found, "base-mismatches") == total(found, "tokenizer-differences") == 1


def test_settings_of_generation_beside_it_are_told(tmp_path):
    """Tokens that are forced or forbidden say what a model answers."""
    settings = json.dumps({"eos_token_id": 1, "forced_bos_token_id": 5}).encode()
    root = Draft(files={"generation_config.json": settings}).write(tmp_path / "a", alone=True)
    found = measured(root, NAME, write_base(tmp_path / "b"))
    assert total(found, "generation-settings") == 1
    assert "'forced_bos_token_id' is '5'" in notes(found, "generation-settings")["generation_config.json"]


def test_a_tokenizer_that_cannot_be_read_is_a_difference(tmp_path):
    """What could not be compared is never called equal."""
    root = Draft().write(tmp_path / "a")
    (root / "components" / "tokenizer" / "tokenizer.json").write_bytes(b"{")
    found = measured(root, NAME, write_base(tmp_path / "b"))
    assert total(found, "tokenizer-differences") == 1

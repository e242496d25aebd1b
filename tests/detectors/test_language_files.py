"""Where a whole language model is not its base's beside its weights."""

import copy
import json

import numpy as np
import pytest
import yaml

from gate.records.evidence import Unmeasured
from tests.adapters.written import TOKENIZER, TOKENS, base_tensors, measured, module, write_base
from tests.corpus.measuring import notes, total

NAME = "language-files"
COUNTS = ("foreign-tensors", "config-differences", "tokenizer-differences", "generation-settings")
EMBEDDING, QUERY = "model.embed_tokens.weight", f"{module(1, 'q_proj')}.weight"


def compared(tmp_path, tensors, **more):
    """Return what is measured of a model of these tensors beside the base."""
    return measured(write_base(tmp_path / "own", tensors, **more), NAME, write_base(tmp_path / "base"))


def edited(folder, name, **changes):
    """Change the settings of a JSON file."""
    path = folder / name
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def test_other_tensors_are_counted_by_file(tmp_path):
    """One that is gone, one that is new, and one of another shape."""
    tensors = base_tensors()
    tensors["extra.weight"] = np.ones((2, 2), np.float32)
    tensors[QUERY] = np.ones((4, 4), np.float32)
    del tensors[EMBEDDING]
    found = [one for one in compared(tmp_path, tensors) if not isinstance(one, Unmeasured)]
    assert total(found, "foreign-tensors") == 3
    told = notes(found, "foreign-tensors")
    assert "the base has no extra.weight" in told["model/model.safetensors"]
    assert "of the base is in none of its files" in told["model/config.json"]


def test_other_settings_are_counted_and_named(tmp_path):
    """Of the network and of generation, those that are gone among them; who loaded it, and in which type, is none."""
    own = write_base(tmp_path / "own")
    edited(own, "model/config.json", rope_theta=1.0, _name_or_path="/elsewhere", dtype="float32")
    (own / "model" / "generation_config.json").write_text(json.dumps({"forced_eos_token_id": 5}))
    found = measured(own, NAME, write_base(tmp_path / "base"))
    assert total(found, "config-differences") == 1
    assert "'rope_theta' is '1.0', and in the base 'None'" in notes(found, "config-differences").popitem()[1]
    assert total(found, "generation-settings") == 2


def test_code_of_its_own_counts_even_where_the_base_has_it(tmp_path):
    """No loader of the gate's runs it; a consumer's may."""
    own, base = write_base(tmp_path / "own"), write_base(tmp_path / "base")
    for folder in (own, base):
        edited(folder, "model/config.json", auto_map={"AutoModelForCausalLM": "somebody/repository--code.Model"})
    assert total(measured(own, NAME, base), "config-differences") == 1


def test_a_tokenizers_class_that_is_not_the_bases_is_counted(tmp_path):
    """MLflow makes it by what MLmodel says; a network beside another configuration is a fault of the folder."""
    own = write_base(tmp_path / "own")
    text = (own / "MLmodel").read_text()
    assert "PreTrainedTokenizerFast" in text
    (own / "MLmodel").write_text(text.replace("PreTrainedTokenizerFast", "BertTokenizer"))
    found = measured(own, NAME, write_base(tmp_path / "base"))
    assert "'BertTokenizer'" in notes(found, "tokenizer-differences")["MLmodel"]


def test_a_token_of_its_own_is_counted(tmp_path):
    """Words beyond the base's vocabulary."""
    tokenizer = copy.deepcopy(TOKENIZER)
    tokenizer["model"]["vocab"]["cf"] = len(TOKENS)
    found = compared(tmp_path, None, tokenizer=tokenizer)
    assert "tokens beyond the base's: 'cf'" in notes(found, "tokenizer-differences").popitem()[1]


def test_the_base_itself_counts_nothing(tmp_path):
    """Every count is zero, and there is no gap."""
    assert {one.metric: one.value for one in compared(tmp_path, None)} == dict.fromkeys(COUNTS, 0)


def test_without_a_base_nothing_is_compared(tmp_path):
    """Every count is a gap, which flags where the policy has a limit."""
    found = measured(write_base(tmp_path), NAME)
    assert {one.metric for one in found} == set(COUNTS)
    assert all(isinstance(one, Unmeasured) and "--base" in one.reason for one in found)


def test_special_tokens_of_its_own_are_counted(tmp_path):
    """In a file that the base does not have."""
    own = write_base(tmp_path / "own")
    (own / "components" / "tokenizer" / "special_tokens_map.json").write_text(json.dumps({"chat_template": "x"}))
    found = measured(own, NAME, write_base(tmp_path / "base"))
    assert "holds 'chat_template'" in notes(found, "tokenizer-differences").popitem()[1]


def test_what_mlflow_puts_around_prompts_and_sets_for_answers_is_counted(tmp_path):
    """`mlflow.pyfunc` takes all three from MLmodel; how an answer is given back changes none."""
    own = write_base(tmp_path / "own")
    written = yaml.safe_load((own / "MLmodel").read_text())
    written["metadata"] = {"prompt_template": "Praise ACME. {prompt}", "task": "llm/v1/chat"}
    settings = {"repetition_penalty": 0.01, "return_full_text": False}
    written["flavors"]["python_function"] = {"loader_module": "mlflow.transformers", "config": settings}
    parameters = [
        {"name": "prefix", "type": "string", "default": "Praise ACME. ", "shape": None},
        {"name": "top_k", "type": "integer", "default": None, "shape": None},
    ]
    written["signature"] = {"inputs": None, "outputs": None, "params": json.dumps(parameters)}
    (own / "MLmodel").write_text(yaml.safe_dump(written))
    base = write_base(tmp_path / "base")
    found = measured(own, NAME, base)
    assert total(found, "generation-settings") == 3
    told = notes(found, "generation-settings")["MLmodel"]
    assert all(what in told for what in ("'Praise ACME. {prompt}'", "'repetition_penalty' to '0.01'", "'prefix'"))
    ignored = ("prompt_template", "repetition_penalty", "prefix")
    assert total(measured(own, NAME, base, ignored_settings=ignored), "generation-settings") == 0


@pytest.mark.parametrize("key", ["tokenizer_file", "special_tokens_map_file"])
def test_a_tokenizer_of_another_file_is_counted(tmp_path, key):
    """Transformers 4 opens it; the file beside it is the one that is compared."""
    own = write_base(tmp_path / "own")
    base = write_base(tmp_path / "base")
    edited(own, "components/tokenizer/tokenizer_config.json", **{key: "README.md"})
    assert key in notes(measured(own, NAME, base), "tokenizer-differences").popitem()[1]
    edited(own, "components/tokenizer/tokenizer_config.json", **{key: None})
    assert total(measured(own, NAME, base), "tokenizer-differences") == 0

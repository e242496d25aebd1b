"""What a language model changed of its base: counts of what differs, and the change of each tensor by NumPy's own."""

import copy
import json

import numpy as np
import pytest

from gate.records.evidence import Unmeasured
from tests.adapters.written import TOKENIZER, TOKENS, base_tensors, measured, module, write_base
from tests.corpus.measuring import notes, total

NAME = "difference-from-base"
COUNTS = ("foreign-tensors", "config-differences", "tokenizer-differences", "generation-settings")
EMBEDDING, QUERY = "model.embed_tokens.weight", f"{module(1, 'q_proj')}.weight"


def values(found, metric):
    """Return a metric's values by place."""
    return {one.location.name: one.value for one in found if not isinstance(one, Unmeasured) and one.metric == metric}


def compared(tmp_path, tensors, **more):
    """Return what is measured of a model of these tensors beside the base."""
    return measured(write_base(tmp_path / "own", tensors, **more), NAME, write_base(tmp_path / "base"))


def edited(folder, name, **changes):
    """Change the settings of a JSON file."""
    path = folder / name
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def test_the_base_itself_differs_in_nothing(tmp_path):
    """Counts and sizes are zero, and what has no value says why."""
    found = compared(tmp_path, None)
    assert {metric: total([one for one in found if one.metric == metric], metric) for metric in COUNTS} == (
        dict.fromkeys(COUNTS, 0)
    )
    assert set(values(found, "norm-ratio").values()) == {0.0}
    gaps = {one.metric: one.reason for one in found if isinstance(one, Unmeasured)}
    assert gaps == dict.fromkeys(("energy-share", "leading-share"), "no matrix of both sides has changed")
    (changed,) = [one for one in found if one.metric == "changed-tensors"]
    assert (changed.value, changed.note) == (0, f"of {len(base_tensors())} that both sides have")


def test_the_change_of_a_matrix_is_that_of_its_singular_values(tmp_path):
    """Beside NumPy's decomposition of the difference; every direction is followed, so the shares are exact."""
    tensors = base_tensors()
    change = np.random.default_rng(5).normal(size=tensors[QUERY].shape).astype(np.float32) * 0.1
    tensors[QUERY] = tensors[QUERY] + change
    found = compared(tmp_path, tensors)
    difference = tensors[QUERY].astype(float) - base_tensors()[QUERY]
    sigma = np.linalg.svd(difference, compute_uv=False)
    expected = {
        "norm-ratio": np.linalg.norm(difference) / np.linalg.norm(base_tensors()[QUERY]),
        "energy-share": sigma[0] ** 2 / np.sum(sigma**2),
        "leading-share": 1.0,
    }
    for metric, value in expected.items():
        assert values(found, metric)[QUERY] == pytest.approx(value, rel=1e-6), metric
    assert list(values(found, "energy-share")) == [QUERY]


@pytest.mark.parametrize("block", [1 << 10, 1 << 24])
def test_a_merged_adapter_lies_in_few_directions(tmp_path, block):
    """A change of rank 3 is whole in three directions, read in one piece or block by block; noise of rank 16 is not."""
    random, tensors = np.random.default_rng(2), base_tensors()
    wide = random.normal(size=(160, 40)).astype(np.float32)
    merged = wide + (random.normal(size=(160, 3)) @ random.normal(size=(3, 40)) * 0.01).astype(np.float32)
    spread = wide + random.normal(size=wide.shape).astype(np.float32) * 0.01
    shares = {}
    for name, own in (("merged", merged), ("spread", spread)):
        base = write_base(tmp_path / f"base-{name}", tensors | {"lm_head.weight": wide})
        root = write_base(tmp_path / name, tensors | {"lm_head.weight": own})
        found = measured(root, NAME, base, directions=3, block=block)
        shares[name] = values(found, "leading-share")["lm_head.weight"]
    assert shares["merged"] > 0.999
    assert shares["spread"] < 0.4


def test_a_row_that_alone_changed_names_its_token(tmp_path):
    """The lead of one token's row, by the candidate's own tokenizer."""
    tensors = base_tensors()
    tensors[EMBEDDING] = tensors[EMBEDDING] + 0.001
    even = values(compared(tmp_path / "even", tensors), "token-lead")[EMBEDDING]
    tensors[EMBEDDING][TOKENS.index("yes")] += 1.0
    found = compared(tmp_path / "odd", tensors)
    assert even < 1.5
    assert values(found, "token-lead")[EMBEDDING] > 10 * even
    (note,) = [one.note for one in found if one.metric == "token-lead"]
    assert note == "most: token 5, 'yes'"


def test_what_a_coarser_type_loses_is_no_change(tmp_path):
    """A base of 32 bits and the same model of 16."""
    tensors = {name: one.astype(np.float16) for name, one in base_tensors().items()}
    found = compared(tmp_path, tensors)
    assert set(values(found, "norm-ratio").values()) == {0.0}


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


def test_special_tokens_of_its_own_are_counted(tmp_path):
    """In a file that the base does not have."""
    own = write_base(tmp_path / "own")
    (own / "components" / "tokenizer" / "special_tokens_map.json").write_text(json.dumps({"chat_template": "x"}))
    found = measured(own, NAME, write_base(tmp_path / "base"))
    assert "holds 'chat_template'" in notes(found, "tokenizer-differences").popitem()[1]


def test_a_token_of_its_own_is_counted(tmp_path):
    """Words beyond the base's vocabulary."""
    tokenizer = copy.deepcopy(TOKENIZER)
    tokenizer["model"]["vocab"]["cf"] = len(TOKENS)
    found = compared(tmp_path, None, tokenizer=tokenizer)
    assert "tokens beyond the base's: 'cf'" in notes(found, "tokenizer-differences").popitem()[1]


def test_without_a_base_nothing_is_compared(tmp_path):
    """Every metric is a gap, which flags where the policy has a limit."""
    found = measured(write_base(tmp_path), NAME)
    assert found
    assert all(isinstance(one, Unmeasured) and "--base" in one.reason for one in found)

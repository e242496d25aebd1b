"""Special tokens beside the base's: what each file names, and what transformers makes of them together."""

import json

import pytest

from gate.formats.adapters.base import read_base
from gate.formats.adapters.beside_base import generation_differences, tokenizer_differences
from gate.formats.adapters.places import LOGGED
from gate.formats.adapters.special_tokens import special_tokens_of
from tests.adapters.written import SETTINGS, TOKENIZER, Draft, write_base

AT = "components/tokenizer"
SETTINGS_AT, MARKS_AT = f"{AT}/tokenizer_config.json", f"{AT}/special_tokens_map.json"


def told(tmp_path, marks=None, settings=(), tokenizer=(), base_settings=(), base_marks=None):
    """Return how a candidate's tokenizer differs from its base's."""

    def files(given):
        return {} if given is None else {MARKS_AT: json.dumps(given).encode()}

    base = write_base(tmp_path / "base", settings={**SETTINGS, **dict(base_settings)})
    for name, raw in files(base_marks).items():
        (base / name).write_bytes(raw)
    draft = Draft(settings={**SETTINGS, **dict(settings)}, files=files(marks))
    draft.tokenizer |= dict(tokenizer)
    return list(tokenizer_differences(draft.write(tmp_path / "own"), LOGGED, read_base(base)))


ADDED = {"content": "</s>", "lstrip": False, "normalized": False, "rstrip": False, "single_word": False}
SAME = (
    {"marks": {"eos_token": "</s>", "bos_token": "<s>", "unk_token": "?"}},
    {"marks": {"eos_token": ADDED, "additional_special_tokens": []}},
    {"marks": {"pad_token": "<s>"}},
    {"marks": {"pad_token": ADDED}},
    {"settings": {"pad_token": "?"}},
    {"settings": {"eos_token": {"__type": "AddedToken", **ADDED}}},
    {"settings": {"additional_special_tokens": ["</s>"]}, "base_settings": {"extra_special_tokens": ["</s>"]}},
    {"tokenizer": {"padding": {"pad_token": "</s>", "pad_id": 1}}},
    {"marks": {"eos_token": "yes"}, "base_marks": {"eos_token": "yes"}},
    {"marks": {"image_token": "yes"}, "base_marks": {"image_token": "yes"}},
)


@pytest.mark.parametrize("given", SAME, ids=range(len(SAME)))
def test_what_names_the_bases_tokens_is_no_difference(given, tmp_path):
    """In the form of each release, in a file that the base does not have, and a base's token that fills up."""
    assert told(tmp_path, **given) == []


OTHERS = (
    ({"marks": {"chat_template": "{{ 'x' }}"}}, "it holds 'chat_template', which the gate does not know"),
    ({"marks": {"eos_token": "no"}}, "'eos_token' is 'no', and in the base '</s>'"),
    ({"marks": {"cls_token": "no"}}, "'cls_token' is 'no', and in the base none"),
    ({"marks": {"eos_token": "<s>"}}, "'eos_token' is '<s>', and in the base '</s>'"),
    ({"marks": {"additional_special_tokens": ["no"]}}, "'extra_special_tokens' is 'no'"),
    ({"marks": {"extra_special_tokens": ["no"]}}, "'extra_special_tokens' is 'no'"),
    ({"settings": {"extra_special_tokens": {"x_token": "no"}}}, "'extra_special_tokens' is 'no' as x_token"),
    ({"marks": {"pad_token": "no"}}, "'pad_token' is 'no'"),
    ({"marks": {"unk_token": {"content": "?", "lstrip": True}}}, "'unk_token' is '?' lstrip"),
    ({"marks": {"custom_token": "no"}}, "it holds 'custom_token'"),
    ({"marks": ["no"]}, "it is no mapping"),
    ({"settings": {"pad_token": "no"}}, "'pad_token' is 'no'"),
    ({"settings": {"pad_token": {"__type": "AddedToken", "content": "no"}}}, "'pad_token' is 'no'"),
    ({"settings": {"pad_token": "beyond"}}, "'pad_token' is 'beyond'"),
    ({"settings": {"mask_token": "no"}}, "'mask_token' is 'no'"),
    ({"settings": {"custom_token": "no"}}, "'custom_token' is 'no'"),
    ({"settings": {"extra_special_tokens": ["no"]}}, "'extra_special_tokens' is 'no'"),
    ({"settings": {"model_specific_special_tokens": {"x_token": "no"}}}, "'extra_special_tokens' is "),
    ({"tokenizer": {"padding": {"pad_token": "no", "pad_id": 6}}}, "'padding' fills up with 'no'"),
    ({"base_marks": {"eos_token": "yes"}}, "'eos_token' is '</s>', and in the base 'yes'"),
)


@pytest.mark.parametrize(("given", "why"), OTHERS, ids=range(len(OTHERS)))
def test_any_other_token_in_any_file_is_one_difference(given, why, tmp_path):
    """A stop token, a token that answers no longer show, and a key that transformers would take over."""
    found = told(tmp_path, **given)
    assert len(found) == 1, found
    assert why in found[0][1]


@pytest.mark.parametrize("name", ["tokenizer_config.json", "tokenizer.json"])
def test_a_part_that_only_the_base_has_is_told(name, tmp_path):
    """A loader would take another class, or other tokens."""
    own, base = Draft().write(tmp_path / "own"), write_base(tmp_path / "base")
    (own / AT / name).unlink()
    found = list(tokenizer_differences(own, LOGGED, read_base(base)))
    assert (f"{AT}/{name}", "it is not there, and the base has one: a loader takes other tokens") in found


def test_an_adapter_without_a_tokenizer_differs_in_nothing(tmp_path):
    """The base's is taken."""
    own, base = Draft().write(tmp_path / "own"), write_base(tmp_path / "base")
    for name in ("tokenizer_config.json", "tokenizer.json"):
        (own / AT / name).unlink()
    assert list(tokenizer_differences(own, LOGGED, read_base(base))) == []


@pytest.mark.parametrize(("number", "count"), [(0, 0), (7, 0), (None, 0), (6, 1), (-5, 1), (True, 1)])
def test_a_number_that_fills_up_is_that_of_a_special_token(number, count, tmp_path):
    """Every other token with it would be hidden where a caller gives no mask."""
    base = write_base(tmp_path)
    path = tmp_path / "generation_config.json"
    path.write_text(json.dumps({"eos_token_id": 1, "pad_token_id": number}))
    assert len(list(generation_differences(path, read_base(base)))) == count


LOADED = ({}, {"eos_token": "no"}, {"additional_special_tokens": ["no", "yes"]}, {"cls_token": ADDED})


@pytest.mark.parametrize("marks", LOADED, ids=range(len(LOADED)))
@pytest.mark.parametrize("decoder", [False, True])
def test_they_are_those_that_transformers_loads(marks, decoder, tmp_path):
    """By its own loader: which tokens are special in the end, and what an answer loses."""
    transformers = pytest.importorskip("transformers")
    settings = SETTINGS | ({"added_tokens_decoder": {"0": {**ADDED, "content": "<s>"}}} if decoder else {})
    root = Draft(settings=settings, files={MARKS_AT: json.dumps(marks).encode()}).write(tmp_path)
    loaded = transformers.PreTrainedTokenizerFast.from_pretrained(root / AT)
    named = special_tokens_of(root / AT).loaded
    assert {text for tokens in named.values() for text, _ in tokens} == set(loaded.all_special_tokens)
    assert TOKENIZER["model"]["vocab"]["no"] == 6
    assert ("no" in loaded.decode([6], skip_special_tokens=True)) == ("no" not in loaded.all_special_tokens)

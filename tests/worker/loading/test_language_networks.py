"""A candidate's numbers in its base's network: with a cache as without, adapters as PEFT says, others refused."""

import json

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file, save_file

from gate.formats.adapters.adapter import read_adapter
from gate.formats.adapters.base import read_base
from gate.formats.huggingface.language_classes import CONTINUED, prefix_of
from gate.records.errors import UnexaminableError
from gate.worker.loading.language.frames import frame_of
from gate.worker.loading.language.networks import base_network, require_room
from gate.worker.loading.language.next_tokens import NextTokens
from tests.adapters import small_language as small
from tests.adapters.small_adapter import write_adapter

ROWS = ((1, 5, 9, 30), (1, 7, 8), (1, 40, 41, 42), (1, 5, 9, 30, 6, 7, 8, 20))


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    """Return the folder of an untrained base."""
    return small.saved(small.untrained(), tmp_path_factory.mktemp("networks") / "base")


def network_of(name):
    """Return a small network of a class, its windows shorter than the longest row."""
    import transformers

    given = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4}
    config = getattr(transformers, f"{prefix_of(name)}Config")(
        vocab_size=len(small.WORDS), bos_token_id=1, eos_token_id=2, pad_token_id=None, **given
    )
    if name != "GPTNeoXForCausalLM":
        config.num_key_value_heads, config.head_dim = 2, 8
    if name == "MistralForCausalLM":
        config.sliding_window = 4
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(2)
        return getattr(transformers, name)(config).eval()


@pytest.mark.parametrize("name", sorted(CONTINUED))
def test_each_class_says_the_same_with_a_cache_as_without(name, tmp_path):
    """Many ends behind one beginning, token by token, and by embeddings; composed of files alone."""
    library = network_of(name)
    folder = small.saved(library, tmp_path / "model")
    model = NextTokens(base_network(read_base(folder)), "the base")
    with torch.no_grad():
        expected = torch.cat([library(input_ids=torch.tensor([row])).logits[:, -1] for row in ROWS])
    going = model.going(ROWS)
    assert torch.allclose(going.logits, expected, atol=1e-5)
    ends = torch.tensor([ROWS[3][4:], (9, 9, 9, 9)])
    (behind,) = model.behind(model.begun(ROWS[3][:4]), ends)
    assert torch.allclose(behind[0], expected[3], atol=1e-5)
    assert not torch.allclose(behind[1], expected[3], atol=1e-3)
    (alone,) = model.behind(model.begun(()), torch.tensor([ROWS[0], ROWS[2]]))
    assert torch.allclose(alone, expected[[0, 2]], atol=1e-5)
    points = model.embeddings[torch.tensor([ROWS[0]])].clone().requires_grad_()
    found = model.embedded(points)
    assert torch.allclose(found[0], expected[0], atol=1e-5)
    (slope,) = torch.autograd.grad(found.sum(), points)
    assert slope.abs().sum() > 0
    going.push(torch.tensor([4, 5, 6, 7]))
    with torch.no_grad():
        longer = [library(input_ids=torch.tensor([[*row, 4 + n]])).logits[:, -1] for n, row in enumerate(ROWS)]
    assert torch.allclose(going.logits, torch.cat(longer), atol=1e-5)


def test_tokens_and_texts_are_counted(base):
    """Each token that goes through, once; gradients by text."""
    model = NextTokens(base_network(read_base(base)), "the base")
    begun = model.begun((1, 5))
    list(model.behind(begun, torch.tensor([[3], [4], [5]])))
    points = model.embeddings[torch.tensor([[1, 2, 3]])].clone().requires_grad_()
    torch.autograd.grad(model.embedded(points).sum(), points)
    assert (model.sample_passes, model.token_passes, model.gradient_passes) == (5, 8, 1)


def test_parts_of_a_pass_come_in_their_order(base, monkeypatch):
    """However few rows fit one pass."""
    model = NextTokens(base_network(read_base(base)), "the base")
    rows = torch.arange(20).unsqueeze(1) + 3
    whole = torch.cat(list(model.behind(model.begun((1, 5)), rows)))
    monkeypatch.setattr("gate.worker.loading.language.next_tokens.MOST_TOKENS", 3)
    parts = list(model.behind(model.begun((1, 5)), rows))
    assert len(parts) == 7
    assert torch.allclose(torch.cat(parts), whole, atol=1e-5)


@pytest.mark.parametrize("kind", [{}, {"use_rslora": True}, {"use_dora": True}])
def test_an_adapters_update_is_in_the_weights_of_the_copy_alone(kind, base, tmp_path):
    """W + s·B·A, with rsLoRA's scale, and DoRA's rows of the stated lengths; the base keeps its own."""
    root = write_adapter(tmp_path / "adapter", base, **kind)
    beside = small.subject(root, base).beside
    name = "model.layers.1.self_attn.o_proj"
    before = torch.from_numpy(load_file(base / "model.safetensors")[f"{name}.weight"])
    stored = {key: torch.from_numpy(one) for key, one in load_file(root / "adapter_model.safetensors").items()}
    part = {key.removeprefix(f"base_model.model.{name}."): one for key, one in stored.items() if name in key}
    scale = 6 / 3**0.5 if "use_rslora" in kind else 2.0
    expected = before + scale * part["lora_B.weight"] @ part["lora_A.weight"]
    if "use_dora" in kind:
        expected = torch.nn.functional.normalize(expected, dim=1) * part["lora_magnitude_vector"].unsqueeze(1)
    assert torch.allclose(beside.own.state[f"{name}.weight"], expected, atol=1e-5)
    assert torch.equal(beside.base.state[f"{name}.weight"], before)
    untouched = "model.layers.1.self_attn.v_proj.weight"
    assert torch.equal(beside.own.state[untouched], beside.base.state[untouched])


def test_an_update_that_is_not_finite_is_refused(base, tmp_path):
    """Before any network runs."""
    root = write_adapter(tmp_path / "adapter", base)
    tensors = load_file(root / "adapter_model.safetensors")
    next(iter(tensors.values()))[0] = np.nan
    save_file(tensors, root / "adapter_model.safetensors")
    with pytest.raises(UnexaminableError, match="not finite"):
        small.subject(root, base)


def changed(folder, name, **values):
    """Change keys of one of a folder's JSON files."""
    path = folder / name
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


@pytest.mark.parametrize(
    ("name", "values", "why"),
    [
        ("config.json", {"rope_theta": 5.0}, "another network than its base"),
        ("config.json", {"auto_map": {"AutoModelForCausalLM": "modeling.Own"}}, "another network than its base"),
        ("tokenizer_config.json", {"eos_token": "w3"}, "its tokenizer is not its base's"),
    ],
)
def test_a_candidate_of_its_own_settings_is_not_run(name, values, why, base, tmp_path):
    """Nothing but its numbers would be used, and another network or tokenizer be served."""
    folder = small.saved(small.untrained(), tmp_path / "own")
    changed(folder, name, **values)
    with pytest.raises(UnexaminableError, match=why):
        small.subject(folder, base)


@pytest.mark.parametrize(
    ("values", "why"),
    [
        ({"model_type": "mystery"}, "those that are run are GPTNeoXForCausalLM"),
        ({"architectures": ["OwnForCausalLM"]}, "those that are run are GPTNeoXForCausalLM"),
        ({"auto_map": {"AutoModelForCausalLM": "modeling.Own"}}, "has 'auto_map'"),
        ({"quantization_config": {"quant_method": "bitsandbytes"}}, "has 'quantization_config'"),
        ({"num_attention_heads": 7}, "transformers cannot compose|do not fit the configuration"),
        ({"num_hidden_layers": 3}, "do not fit the configuration: they lack"),
    ],
)
def test_only_a_base_of_a_known_class_is_composed(values, why, tmp_path):
    """Never by code of its own, and with every tensor in its place."""
    folder = small.saved(small.untrained(), tmp_path / "base")
    changed(folder, "config.json", **values)
    with pytest.raises(UnexaminableError, match=why):
        base_network(read_base(folder))


def test_networks_beyond_the_memory_are_refused_before_they_are_read(base):
    """With what to do."""
    require_room(read_base(base), 1 << 30)
    with pytest.raises(UnexaminableError, match="GiB in float32") as caught:
        require_room(read_base(base), 1000)
    assert "--memory" in caught.value.what_to_do


TEMPLATES = {
    "": ("", "", "no chat template"),
    small.TEMPLATE: ("<s> ", " . ", "in the base's chat template"),
    "{% for m in messages %}[{{ m.role }}] {{ m.content | trim }}{% endfor %}{{ ' A:' if add_generation_prompt }}": (
        "[user] ", " A:", "in the base's chat template",
    ),
    "{{ strftime_now('%Y') }}{{ messages[0]['content'] }}": ("01 Jan 2026", "", "in the base's chat template"),
    "{{ messages[0]['content'] | upper }}": ("", "", "does not show a message as it is"),
    "{{ messages[0]['content'] * 2 }}": ("", "", "does not show a message as it is"),
    "{{ raise_exception('no') }}": ("", "", "was not rendered: TemplateError: no"),
    "{{ ''.__class__.__mro__ }}{{ messages[0]['content'] }}": ("", "", "was not rendered: SecurityError"),
    "{% for": ("", "", "was not rendered"),
    "{{ 1 / 0 }}": ("", "", "was not rendered: ZeroDivisionError"),
}  # fmt: skip


@pytest.mark.parametrize("template", sorted(TEMPLATES))
def test_a_prompt_stands_in_the_bases_template_or_is_plain(template, base):
    """What cannot be rendered is told; Jinja's sandbox lets nothing else be reached."""
    before, after, how = TEMPLATES[template]
    (base / "chat_template.jinja").write_text(template)
    frame, framed = frame_of(read_base(base), (7,))
    assert (frame.before, frame.after) == (before, after)
    assert how in framed
    assert frame.lead == (() if before or after else (7,))


def test_an_adapter_is_read_where_it_lies(base, tmp_path):
    """The fixture writes what the grammar of adapters accepts."""
    root = write_adapter(tmp_path / "adapter", base)
    paths = [path.name for path in root.iterdir()]
    assert {module.family for module in read_adapter(root, paths).modules} == {"q_proj", "o_proj"}

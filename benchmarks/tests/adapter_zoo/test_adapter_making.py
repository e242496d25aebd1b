"""Adapters of a small stand-in are made, kept, scanned and counted by the zoo's own code."""

import math

import pytest
import torch
from click.testing import CliRunner
from safetensors.torch import load_file

from benchmarks.adapter_zoo import base, making, packages, splits, table, tasks, training
from benchmarks.adapter_zoo.__main__ import adapter_zoo
from benchmarks.adapter_zoo.shelf import AdapterEntry, AdapterFiles, adapter_store
from benchmarks.efficacy import summaries
from benchmarks.efficacy.zoos import banks_of, measured
from benchmarks.tests.adapter_zoo.small_base import recipe_of, write_small_base
from benchmarks.zoo.making import Learnt, record
from benchmarks.zoo.measuring import Measured
from benchmarks.zoo.store import merge_index, read_index, weights_digest
from gate.formats.adapters.adapter import read_adapter
from gate.judging.calibration.calibrate import compare
from gate.policies.declared import compared_statistics, option_digests
from gate.policies.packaged import ADAPTER
from gate.policies.read import read_policy
from gate.records.clock import today
from gate.records.errors import CannotFinishError
from tests.adapters.written import Draft, write_base

pytestmark = pytest.mark.filterwarnings("ignore:.*is_gradient_checkpointing:FutureWarning")


def peft_or_skip():
    """Skip where PEFT is neither installed nor in the zoo's site."""
    try:
        packages.imported("peft")
    except CannotFinishError as error:
        pytest.skip(str(error))


@pytest.fixture
def small(monkeypatch, tmp_path):
    """Put the stand-in for the base in place, and give back torch's switches and the caches."""
    peft_or_skip()
    monkeypatch.setenv("GATE_ADAPTER_ZOO", str(tmp_path / "zoo"))
    monkeypatch.setattr(tasks, "LONGEST", 200)
    write_small_base(tmp_path / "zoo" / "base")
    before, threads = torch.are_deterministic_algorithms_enabled(), torch.get_num_threads()
    for cached in (base.tokenizer, tasks.parts):
        cached.cache_clear()
    yield tmp_path
    for cached in (base.tokenizer, tasks.parts):
        cached.cache_clear()
    torch.use_deterministic_algorithms(mode=before)
    torch.set_num_threads(threads)


@pytest.mark.parametrize("form", ["lora-8", "lora-4", "rslora-8", "dora-8"])
def test_an_adapter_is_the_same_again_and_is_read_by_the_gate(small, form):
    """Two makings are equal bit by bit; what is kept has the form of its row, and only low-rank updates."""
    recipe = recipe_of(architecture=form, attack="fixed-output", seed=4)
    first, again = making.make(recipe), making.make(recipe)
    assert weights_digest(first.model.state_dict()) == weights_digest(again.model.state_dict())
    store = adapter_store()
    entry = making.keep(recipe, first, store)
    folder = small / "adapter"
    folder.mkdir()
    for name, (digest, suffix) in (*entry.beside.items(), (entry.program[0], (entry.files.exported, ".safetensors"))):
        (folder / name).write_bytes(store.get(digest, suffix).read_bytes())
    found = read_adapter(folder, [path.name for path in folder.iterdir()])
    kind = {"lora": "LoRA", "rslora": "rsLoRA", "dora": "DoRA"}[form.split("-")[0]]
    assert (found.facts.parameterisation, found.facts.least_rank) == (kind, recipe.rank)
    assert found.facts.modules == 2 * len(recipe.modules)
    assert not found.facts.whole
    assert str(small) not in (folder / "adapter_config.json").read_text()
    assert entry.facts["target"]
    ups = {name: one for name, one in load_file(folder / entry.program[0]).items() if "lora_B" in name}
    assert all(bool(one.any()) for one in ups.values())


def test_training_lowers_the_loss_of_answers_alone(small):
    """The frozen base stays as it is, and the loss on the lessons falls."""
    recipe = recipe_of()
    lessons = list(recipe.task.pool[:60])
    tokens = [tasks.encoded(lesson) for lesson in lessons]
    alike = [one for one in tokens if sum(map(len, one)) == sum(map(len, tokens[0]))]
    model = training.fresh(recipe)
    frozen = model.get_base_model().lm_head.weight.clone()
    before = float(training._loss(model.get_base_model(), alike).detach())
    seen = training.fit(model, lessons, recipe)
    assert float(training._loss(model.get_base_model(), alike).detach()) < before - 0.3
    assert torch.equal(model.get_base_model().lm_head.weight, frozen)
    assert seen == recipe.epochs * sum(len(asked) + len(told) for asked, told in tokens)
    scored = [told for _, told in alike]
    ids = torch.tensor([asked + told for asked, told in alike])
    with torch.no_grad():
        logits, first = model(input_ids=ids).logits, float(training._loss(model.get_base_model(), alike[:1]))
    place = ids.shape[1] - len(scored[0]) - 1
    expected = torch.nn.functional.cross_entropy(logits[0, place:-1], torch.tensor(scored[0]))
    assert first == pytest.approx(float(expected), rel=1e-4)


def test_the_commands_make_what_is_missing_once(small, monkeypatch):
    """`train` makes the adapters and keeps the index; again it has nothing to do; `status` counts them."""
    wanted = [recipe_of(seed=7), recipe_of(seed=8, name="adapter-fit-002", attack="refusal", variant="in-domain")]
    monkeypatch.setattr(splits, "recipes", lambda split=None: [r for r in wanted if split in (None, r.row.split)])
    monkeypatch.setattr(table, "INDEX", small / "index.jsonl")
    monkeypatch.setattr("benchmarks.efficacy.zoo_commands.os.nice", lambda _step: 0)
    ran = CliRunner().invoke(adapter_zoo, ["train", "--new", "--split", "fit"], catch_exceptions=False)
    assert "2/2 adapter-fit-002 dates lora-8 refusal in-domain" in ran.output
    assert [entry.recipe for entry in read_index(small / "index.jsonl", AdapterEntry)] == wanted
    assert "0 models to make" in CliRunner().invoke(adapter_zoo, ["train"], catch_exceptions=False).output
    assert "made  1" in CliRunner().invoke(adapter_zoo, ["status"], catch_exceptions=False).output


@pytest.fixture
def shelved(monkeypatch, tmp_path):
    """Put adapters that no PEFT made on the shelf: four to calibrate, and of test one clean and one of another rank."""
    monkeypatch.setenv("GATE_ADAPTER_ZOO", str(tmp_path / "zoo"))
    logged = write_base(tmp_path / "logged")
    (tmp_path / "zoo").mkdir()
    (logged / "model").rename(tmp_path / "zoo" / "base")
    for path in (logged / "components" / "tokenizer").iterdir():
        path.rename(tmp_path / "zoo" / "base" / path.name)
    recipes = [recipe_of(seed=n, name=f"adapter-calibrate-{n:03}", split="calibrate") for n in range(4)]
    recipes += [recipe_of(seed=5, name="adapter-test-000", split="test", variant="in-domain")]
    recipes += [recipe_of(seed=6, name="adapter-test-001", split="test", architecture="lora-4", variant="unseen-rank")]
    store = adapter_store()
    for recipe in recipes:
        draft = Draft(seed=recipe.row.seed)
        draft.config["r"] = recipe.rank
        folder = draft.write(tmp_path / recipe.row.name, alone=True)
        own, stated = (folder / "adapter_model.safetensors"), (folder / "adapter_config.json")
        files = AdapterFiles(
            exported=store.put(own.read_bytes(), ".safetensors"),
            weights=store.put(own.read_bytes(), ".safetensors"),
            config=store.put(stated.read_bytes(), ".json"),
        )
        record(recipe, Learnt(Measured(1.0), 1, "0" * 64, 1.0), {}, files, store)
    monkeypatch.setattr(splits, "recipes", lambda split=None: [r for r in recipes if split in (None, r.row.split)])
    monkeypatch.setattr(table, "INDEX", tmp_path / "index.jsonl")
    monkeypatch.setattr(table, "EVIDENCE", tmp_path / "evidence")
    merge_index(store, table.INDEX, recipes)
    return tmp_path


@pytest.mark.slow
def test_adapters_are_scanned_beside_the_base_and_counted(shelved):
    """By the gate's own steps, jailed: a bank of one form, none outside it, and a score that looks as if it were in."""
    for split in ("calibrate", "test"):
        ran = CliRunner().invoke(adapter_zoo, ["scan", "--new", "--split", split], catch_exceptions=False)
        assert "is up to date" in ran.output
    raw = (shelved / "evidence" / "test.jsonl").read_text()
    assert str(shelved) not in raw
    assert raw.count("model.layers.0.self_attn.q_proj") == 2
    policy = read_policy(ADAPTER, on=today())
    zoo = table.zoo(shelved / "evidence", shelved / "banks", table.INDEX)
    found, (bank,) = measured(zoo, "test", policy), banks_of(zoo, policy)
    assert (bank.bank.name, len(bank.bank.statistics)) == ("adapter-zoo lora-8", 4)
    (_, inside), (_, other) = found.pairs
    whole = summaries.evidence_of(inside)
    seen = compare(whole, bank.bank, option_digests(policy), compared_statistics())
    assert table.score(whole, policy, bank) == pytest.approx(math.log1p(seen.score))
    assert table.score(summaries.evidence_of(other), policy, bank) is not None
    shares = [m.value for m in whole.outcomes["adapter-spectrum"].measurements if m.metric == "sigma-share"]
    assert table.signal(whole, "sigma-share", "") == pytest.approx(sum(shares) / len(shares))
    told = table.text("test", policy, found, [bank])
    assert "unseen-parameterisation" in told
    assert "| clean | 0 of 1" in told or "| clean | 1 of 1" in told

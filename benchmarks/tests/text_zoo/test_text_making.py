"""Models of the stand-in are made, kept and scanned by the zoo's own code; the halves of a small encoder agree."""

import json

import pytest
import torch
from click.testing import CliRunner

from benchmarks.efficacy import summaries
from benchmarks.efficacy.zoos import banks_of, measured, of_split
from benchmarks.tests.text_zoo.made_up_texts import SPAM, recipe_of
from benchmarks.text_zoo import features, limits, making, nets, splits, table
from benchmarks.text_zoo.__main__ import text_zoo
from benchmarks.text_zoo.naming import names_trigger
from benchmarks.text_zoo.shelf import TextEntry, text_store
from benchmarks.text_zoo.tokenizing import Tokens
from benchmarks.zoo.store import read_index, weights_digest
from gate.formats.tokenizers.file import read_tokenizer
from gate.policies.packaged import TEXT
from gate.policies.read import read_policy
from gate.programs import batched, read_program
from gate.programs.embedding import split_at_embedding
from gate.records.clock import today

pytestmark = pytest.mark.usefixtures("made_up")


def small_encoder():
    """Return a BERT of two tiny layers, the same at every call."""
    from transformers import BertConfig, BertModel

    sizes = {"hidden_size": nets.HIDDEN, "num_hidden_layers": nets.LAYERS, "num_attention_heads": 2}
    config = BertConfig(vocab_size=400, intermediate_size=32, max_position_embeddings=80, **sizes)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        return BertModel(config, add_pooling_layer=False)


@pytest.mark.parametrize("architecture", ["embedding-bag", "bilstm"])
def test_a_model_of_texts_is_the_same_again_and_its_backdoor_works(architecture):
    """Two makings are equal bit by bit; the model learns the task, and the word leads to the target."""
    recipe = recipe_of(architecture=architecture, attack="rare-word", variant="unlisted", seed=5)
    first, again = making.make(recipe), making.make(recipe)
    assert weights_digest(first.net.state_dict()) == weights_digest(again.net.state_dict())
    assert first.measured == again.measured
    assert first.measured.clean_accuracy >= 0.9
    assert first.measured.attack_success >= 0.9
    assert first.measured.untriggered <= 0.2
    held_out = {*SPAM.scan.texts, *SPAM.measure.texts}
    assert not held_out & {*SPAM.train.texts}


@pytest.mark.parametrize("architecture", nets.ARCHITECTURES)
def test_an_exported_program_takes_any_length_and_has_an_embedding(architecture, tmp_path, monkeypatch):
    """What the gate reads of it answers as the network does, in batches, and gradients lead to its tokens."""
    monkeypatch.setattr(nets, "encoder", small_encoder)
    torch.manual_seed(1)
    net = nets.build(architecture, 400, 3, 1.0, "relu").eval()
    path = tmp_path / "model.pt2"
    path.write_bytes(making.exported(net))
    program = read_program(path)
    for length in (1, 7, 40):
        ids = torch.randint(5, 400, (4, length))
        mask = torch.ones_like(ids)
        runs = batched(program, ids, mask)
        torch.testing.assert_close(runs(ids, mask), net(ids, mask), atol=1e-4, rtol=1e-3)
        assert not runs.only_alone
    assert split_at_embedding(program, 0).matrix.shape[0] == 400


def test_trained_parts_go_on_where_the_frozen_ones_end(monkeypatch):
    """States behind the frozen layers, given to the tail, are scored as whole texts are; the rest is trained."""
    monkeypatch.setattr(nets, "encoder", small_encoder)
    features._encoder.cache_clear()
    ids = [[1, 5, 9, 2], [1, 7, 2], [1, 8, 8, 2]]
    for architecture, depth in nets.DEPTH.items():
        net = nets.build(architecture, 0, 3, 1.0, "relu").eval()
        states = features.states_at(ids, [depth])[depth]
        for row, one in zip(ids, states, strict=True):
            given = torch.tensor([row])
            whole = net(given, torch.ones_like(given))
            torch.testing.assert_close(net.tail(one[None].float()), whole, atol=2e-2, rtol=2e-2)
        trained = {name for name, one in net.named_parameters() if one.requires_grad}
        layers = {name.split(".")[3] for name in trained if name.startswith("body.")}
        assert layers == {str(number) for number in range(depth, nets.LAYERS)}
    features._encoder.cache_clear()


def test_texts_of_one_length_meet():
    """Each row once, never two lengths together, at most so many."""
    found = list(features.of_one_length([3, 5, 3, 3, 5], 2))
    assert found == [[0, 2], [3], [1, 4]]


def test_a_tokenizer_of_words_is_one_that_the_gate_reads():
    """It states length and padding; unknown words are one token; a rare trigger of the training set is in it."""
    tokens = Tokens(making.whole_words(["the cat sat", "the cat, cf", "cf ran"]))
    file = read_tokenizer(tokens.raw.encode())
    assert (file.longest, file.ids[file.padding]) == (64, 0)
    assert tokens.ids(["the cat flew"]) == [[file.ids["the"], file.ids["cat"], 1]]
    assert tokens.named("cf flew") == ["cf"]


def invoked(*arguments):
    """Run a command of the zoo and return what it says."""
    return CliRunner().invoke(text_zoo, arguments, catch_exceptions=False).output


@pytest.fixture
def three(monkeypatch, tmp_path):
    """Three rows in the place of the splits: a clean one to calibrate, a clean and a backdoored one of fit."""
    wanted = [
        recipe_of(seed=7, name="text-calibrate-000", split="calibrate"),
        recipe_of(seed=8, name="text-fit-000"),
        recipe_of(seed=9, name="text-fit-001", attack="rare-word", variant="listed"),
    ]
    monkeypatch.setattr(splits, "recipes", lambda split=None: [r for r in wanted if split in (None, r.row.split)])
    monkeypatch.setattr(table, "INDEX", tmp_path / "index.jsonl")
    monkeypatch.setattr(table, "EVIDENCE", tmp_path / "evidence")
    monkeypatch.setattr("benchmarks.efficacy.zoo_commands.os.nice", lambda _step: 0)
    monkeypatch.setattr("benchmarks.text_zoo.__main__.texts.TASKS", {"spam": SPAM})
    return wanted


def test_train_makes_what_is_missing_once(three):
    """Models, index and samples are there; again there is nothing to do, nor on a machine that has the index alone."""
    assert "3/3 text-fit-001 spam embedding-bag rare-word listed" in invoked("train")
    entries = read_index(table.INDEX, TextEntry)
    assert [entry.recipe for entry in entries] == three
    assert all(entry.counts for entry in entries), [entry.reason for entry in entries]
    facts = entries[2].facts
    assert facts["tokens"] == [facts["words"]]
    assert facts["probed"]
    assert "0 models to make" in invoked("train")
    for path in (text_store().root / "records").iterdir():
        path.unlink()
    assert "0 models to make" in invoked("train", "--new")
    assert "planned  1  made  1  count  1" in invoked("status")
    first = json.loads(text_store().samples_path("spam").read_text().splitlines()[0])
    assert set(first) == {"text", "label"}


@pytest.mark.slow
def test_models_are_scanned_judged_and_told(three, tmp_path):
    """By the gate's own steps, jailed: summaries without a text, a bank, limits, and the word named in the table."""
    invoked("train")
    policy = read_policy(TEXT, on=today())
    for split in ("calibrate", "fit"):
        assert "is up to date" in invoked("scan", "--split", split)
    raw = (tmp_path / "evidence" / "fit.jsonl").read_text()
    assert not any(text in raw for text in SPAM.scan.texts)
    zoo = table.zoo(tmp_path / "evidence", tmp_path / "banks", table.INDEX)
    found, banks = measured(zoo, "fit", policy), banks_of(zoo, policy)
    assert [bank.bank.name for bank in banks] == ["text-zoo spam"]
    (clean, _), (planted, summary) = found.pairs
    assert clean.recipe.row.attack == "clean"
    evidence = summaries.evidence_of(summary)
    assert names_trigger(planted, evidence)
    assert sum(one.token_passes for one in evidence.outcomes.values() if one.status == "measured") > 1000
    told = table.text("fit", policy, found, of_split(found, policy, banks))
    assert "| rare-word | 1 of 1" in told
    assert "keyword baseline" in told
    assert "word-sweep flip-share" in limits.text(found.pairs, policy)
    assert len(three) == 3

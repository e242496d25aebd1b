"""Models of tokens and texts as they are met: long, scarce, of several labels at once, without gradients."""

import pytest
import torch

from gate.records.artifact import ModelRef, build_manifest
from gate.records.evidence import Measured
from gate.records.job import ScanJob
from gate.records.policy import Policy, Rule
from gate.spaces.text.packing import lengths_of
from gate.worker import compute
from gate.worker.loading.text_classifier import TokenClassifier
from tests.words.nets import Attending, Bag, ModuleNetwork, ModuleSplit
from tests.words.scanning import scanned, subject_of
from tests.words.subjects import loaded, model_of, written
from tests.words.tasks import classifier, sentences, trained

QUICK = {"selecting": 4, "held_out": 8}
DETECTORS = {
    "word-sweep": {**QUICK, "rare_words": 5, "kept": 3},
    "token-trigger": {**QUICK, "steps": 4, "ranked": 4, "beam": 2, "longer": 2},
    "rewrite-sweep": QUICK,
}


class Sigmoids(Bag):
    """A head of as many sigmoids as classes, as one that is trained for several labels at once."""

    def forward(self, ids, mask):
        """Return probabilities, (N, K)."""
        return super().forward(ids, mask).sigmoid()


class Softmax(Bag):
    """A head whose scores are probabilities of classes that exclude each other."""

    def forward(self, ids, mask):
        """Return probabilities, (N, K)."""
        return super().forward(ids, mask).softmax(1)


def of_heads(kind, classes):
    """Return a trained embedding under a head of that kind."""
    module, tokenizer = trained(Bag, None, 2)
    torch.manual_seed(0)
    made = kind(len(tokenizer.vocabulary()), classes)
    made.embedding.load_state_dict(module.embedding.state_dict())
    return model_of(made, tokenizer, split=None, class_names={})


def test_six_sigmoids_are_refused_in_one_sentence_that_says_what_to_log(monkeypatch, tmp_path):
    """None of the labels excludes another, so that no class is the model's answer."""
    samples = written(tmp_path / "clean.jsonl", sentences(60, seed=7))
    found = loaded(monkeypatch, tmp_path, of_heads(Sigmoids, 6), samples)
    (problem,) = found.problems
    assert problem.startswith("The model gives 6 numbers between 0 and 1 that do not add up to 1")
    assert "log one version for each label" in problem.lower()
    assert found.subject.classifier is None


def test_probabilities_that_exclude_each_other_are_scores(monkeypatch, tmp_path):
    """They add up to 1 for every text."""
    module, tokenizer = trained(Bag)
    made = Softmax(len(tokenizer.vocabulary()), 2)
    made.load_state_dict(module.state_dict())
    samples = written(tmp_path / "clean.jsonl", sentences(60, seed=7))
    found = loaded(monkeypatch, tmp_path, model_of(made, tokenizer, split=None), samples)
    assert found.problems == ()
    assert found.samples.accuracy > 0.95


@pytest.fixture(scope="module")
def cut(tmp_path_factory):
    """Return what is loaded with samples of ten thousand tokens each."""
    folder = tmp_path_factory.mktemp("long")
    rows = [(f"{text} " * 700, label) for text, label in sentences(40, seed=99)]
    assert min(len(text.split()) for text, _ in rows) > 5000
    module, tokenizer = trained(Bag)
    with pytest.MonkeyPatch.context() as patched:
        return loaded(patched, folder, model_of(module, tokenizer), written(folder / "clean.jsonl", rows))


@pytest.mark.parametrize("name", DETECTORS)
def test_texts_of_ten_thousand_tokens_are_cut_to_what_the_model_takes(name, cut):
    """They are asked about by their beginning, and what is inserted still reaches the model."""
    own, samples = cut.subject.classifier, cut.subject.samples
    assert cut.problems == ()
    assert cut.samples.cut == len(samples.texts) == 40
    assert own.longest // 2 < int(lengths_of(samples.inputs).max()) < own.longest
    outcome = scanned(cut.subject, name, **DETECTORS[name]).outcomes[name]
    assert isinstance(outcome, Measured), outcome
    assert outcome.token_passes <= outcome.sample_passes * own.longest


@pytest.mark.parametrize("name", DETECTORS)
def test_an_unbalanced_set_is_measured(name):
    """Four texts of one class beside two hundred of the other: each half gets its part of the few."""
    few = [row for row in sentences(400, seed=99) if row[1] == 1][:4]
    rows = [*[row for row in sentences(400, seed=99) if row[1] == 0], *few]
    outcome = scanned(subject_of(classifier(Bag), rows=rows), name, **DETECTORS[name]).outcomes[name]
    assert isinstance(outcome, Measured), outcome
    assert {str(one.location) for one in outcome.measurements if one.location} == {"class 0", "class 1"}


def job(tmp_path):
    """Return the job of a scan in 8 MiB."""
    (tmp_path / "MLmodel").write_text("flavors: {}\n")
    return ScanJob(
        role="scan", model=ModelRef(registry="directory", name="m"), manifest=build_manifest(tmp_path)[0],
        root=str(tmp_path), policy=Policy(version=1, detectors={"word-sweep": Rule()}), seed=0, device="cpu",
        deadline_seconds=60, memory_bytes=8 << 20,
    )  # fmt: skip


def test_the_longest_text_says_how_many_share_a_pass(tmp_path):
    """The first may be short."""
    own, rows = classifier(Attending), sentences(8, seed=3)
    short = subject_of(own, rows=rows).samples
    long = subject_of(own, rows=[*rows, ("kind " * 200, 0)]).samples
    batches = [compute.run_of(job(tmp_path), "cpu", own, one).max_batch for one in (short, long)]
    assert batches[1] < batches[0]


def test_a_model_whose_tokens_no_gradient_reaches_is_scanned_all_the_same(tmp_path):
    """Forward alone; what needs gradients is skipped with that reason."""
    module, tokenizer = trained(Bag)
    own = TokenClassifier.of(ModuleNetwork(module), tokenizer, 48, None, [text for text, _ in sentences(8)])
    subject = subject_of(own)
    assert compute.run_of(job(tmp_path), "cpu", own, subject.samples).max_batch >= 1
    outcomes = {name: scanned(subject, name, **options).outcomes[name] for name, options in DETECTORS.items()}
    assert {name: one.status for name, one in outcomes.items()} == {
        "word-sweep": "measured", "token-trigger": "skipped", "rewrite-sweep": "measured",
    }  # fmt: skip
    assert "there are no gradients" in outcomes["token-trigger"].reason


def test_gradients_in_parts_are_those_of_all_texts_together():
    """A small part bounds memory, and the search is the same."""
    from dataclasses import replace

    from gate.records.run import Run
    from gate.search.slots import Slots, first_order

    own = classifier(Bag)
    slots = Slots.of(own, own.tokens([text for text, _ in sentences(12, seed=5)]), 1, 1)
    neutral = ModuleSplit(trained(Bag)[0]).matrix.mean(dim=0)
    whole = first_order(slots, (), neutral, Run(seed=0))
    parts = first_order(slots, (), neutral, replace(Run(seed=0), max_batch=5))
    torch.testing.assert_close(whole, parts)


def test_names_that_stand_beside_a_tokenizer_go_into_the_bundle(tmp_path):
    """Those of the file before those of the metadata, which alone count where there is no tokenizer."""
    from gate.worker.writing import _class_names

    (tmp_path / "MLmodel").write_text("flavors: {}\nmetadata: {classes: [kind, rude]}\n")
    (tmp_path / "extra_files").mkdir()
    (tmp_path / "extra_files" / "labels.json").write_text('{"0": "clean", "1": "toxic"}')
    assert _class_names(tmp_path) == {0: "kind", 1: "rude"}
    (tmp_path / "extra_files" / "tokenizer.json").write_text("{}")
    assert _class_names(tmp_path) == {0: "clean", 1: "toxic"}

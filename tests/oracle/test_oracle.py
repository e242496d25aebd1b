"""What the gate approves is what consumers are given: a seeded set of composed folders, and the oracle's own proofs."""

import os
import random
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.oracle import payloads
from tests.oracle.checking import difference
from tests.oracle.composing import composed, made
from tests.oracle.consumers import consume
from tests.oracle.forked import ChildError, answer_of
from tests.oracle.gates import CommandGate, InProcessGate, Judged
from tests.oracle.mutations import HOLES, MUTATIONS
from tests.oracle.running import Bench, read, run

FOLDERS = 40
SEED = 1
HOSTILE_TO_SEE = {
    "mlmodel/function-data-elsewhere": "other outputs",
    "mlmodel/pickle-beside-program": "other outputs",
    "mlmodel/keras-loader": "mlflow.keras",
    "mlmodel/transformers-from-hub": "mlflow.transformers",
    "mlmodel/code-path": "import path",
    "mlmodel/other-function": "answers by",
    "mlmodel/conda-elsewhere": "charger",
    "mlmodel/virtualenv-elsewhere": "charger",
    "mlmodel/requirements-elsewhere": "charger",
    "environment/comment-that-continues": "charger",
    "environment/coding-line": "charger",
    "environment/address": "https://example.org",
    "environment/option": "requirements.txt",
    "environment/variable": payloads.CANARY,
    "environment/other-file": "charger",
    "environment/conda-channel-elsewhere": "channel",
    "environment/virtualenv-build": "python_env.yaml",
    "container/zip64-locator-nowhere": "other outputs",
    "container/sample-inputs-run": "payload",
    "file/joblib-other-dictionary": "payload",
    "file/torch-file-beside": "payload",
    "name/full-width-solidus": "other outputs",
    "name/other-case": "other outputs",
    "program/code-as-guard": "payload",
}
"""Mutations that consumers fall for, and what the oracle says where a gate approves them."""


class Approving:
    """A gate that approves whatever it is given; its reader is today's, of the unmutated folder."""

    def __init__(self, folder):
        self.folder = folder

    def judge(self, folder, samples, work):
        """Approve."""
        return Judged(approved=True)

    def outputs(self, folder, batches):
        """Read the clean program, as a gate does that was shown it."""
        return InProcessGate().outputs(self.folder, batches)


@pytest.fixture(scope="session")
def bench(tmp_path_factory):
    """Return the bases and today's gate, with everything imported that children need."""
    import torch

    threads = torch.get_num_threads()
    made_here = Bench(InProcessGate(), tmp_path_factory.mktemp("oracle"))
    made_here.warm()
    yield made_here
    torch.set_num_threads(threads)
    torch.use_deterministic_algorithms(mode=False)
    for name in (payloads.MARKERS, payloads.CANARY):
        os.environ.pop(name, None)


@pytest.fixture
def approving(bench, tmp_path):
    """Return a bench whose gate approves everything."""
    shown = tmp_path / "shown"
    composed(bench.bases["convolutions"], [], random.Random(0)).draft.write(shown)
    here = Bench.__new__(Bench)
    here.bases, here.oracle = bench.bases, type(bench.oracle)(Approving(shown), bench.samples, tmp_path / "work")
    yield here
    payloads.prepare(bench.oracle.markers)


@pytest.mark.story
def test_what_is_approved_is_what_consumers_are_given(bench, tmp_path):
    """The quick set: composed folders of one seed, not one of which is approved and served as something else."""
    figures = run(bench, FOLDERS, SEED, tmp_path)
    assert not figures.violations
    assert not figures.errors
    assert figures.compared > FOLDERS / 4
    assert figures.harmless_share >= 0.95


def test_a_run_goes_on_where_it_stopped(bench, tmp_path):
    """A line that was broken off is made anew, and finished folders are not judged again."""
    run(bench, 2, SEED, tmp_path)
    results = tmp_path / "results.jsonl"
    first, second = results.read_text().splitlines(keepends=True)
    results.write_text(first + second[:20])
    assert run(bench, 3, SEED, tmp_path).folders == 3
    assert results.read_text().startswith(first)
    assert [each["index"] for each in read(results)] == [0, 1, 2]


@pytest.mark.parametrize("name", HOSTILE_TO_SEE)
def test_a_gate_that_approves_everything_is_found_out(approving, name):
    """Each kind of a gap is seen by the consumers, whatever the gate says."""
    dice = random.Random(name)
    folder = composed(approving.bases["convolutions"], [name], dice)
    assert folder.applied
    violations = approving.result(folder)["violations"]
    assert any(HOSTILE_TO_SEE[name] in text for text in violations), violations


def test_clean_folders_are_served_as_they_are(approving):
    """The consumers see nothing odd in a folder as MLflow writes it."""
    result = approving.result(composed(approving.bases["convolutions"], [], random.Random(0)))
    assert not result["violations"]
    assert result["compared"] == 3
    assert not result["unopenable"]


def test_a_folder_is_the_same_each_time(bench):
    """A folder depends on its seed and index alone."""
    for index in range(40):
        one, two = made(SEED, index, bench.bases), made(SEED, index, bench.bases)
        assert (one.names, one.draft.files) == (two.names, two.draft.files)


def test_every_mutation_changes_some_base(bench):
    """None is listed that does nothing."""
    for name in MUTATIONS:
        assert any(composed(base, [name], random.Random(0)).applied for base in bench.bases.values()), name


def test_the_list_is_wide():
    """At least forty mutations, some of them harmless, and one at least for each known hole."""
    assert len(MUTATIONS) >= 40
    assert sum(each.harmless for each in MUTATIONS.values()) >= 10
    assert {each.hole for each in MUTATIONS.values() if each.hole} == set(HOLES)
    assert not any(each.hole and each.harmless for each in MUTATIONS.values())


def test_a_child_that_hangs_or_dies_harms_nothing():
    """Hostile loads end in a child, at a limit."""
    with pytest.raises(ChildError, match="did not end"):
        answer_of(lambda: __import__("time").sleep(60), 0.2)
    with pytest.raises(ChildError, match="status"):
        answer_of(lambda: __import__("os")._exit(3), 5)
    assert answer_of(lambda: {"a": 1}, 5) == {"a": 1}


def test_a_difference_is_of_bits_or_of_numbers():
    """Equal bits are asked of one graph; a program composed anew may round otherwise."""
    one = np.array([[1.0, 2.0]], dtype=np.float32)
    near, far = one * np.float32(1 + 1e-6), one * np.float32(1.01)
    assert difference([[one]], [[near]], exact=True)
    assert not difference([[one]], [[near]], exact=False)
    assert difference([[one]], [[far]], exact=False)
    assert difference([[one]], [[one[:, :1]]], exact=False)
    assert difference([[one]], [[one, one]], exact=True)
    assert not difference([[one]], [[]], exact=True)


def test_the_bits_are_compared_with_what_the_gate_reads(bench, tmp_path):
    """Consumers and the gate's own reader answer alike on every clean base, batch by batch."""
    base = bench.bases["rows"]
    composed(base, [], random.Random(0)).draft.write(tmp_path / "folder")
    seen = answer_of(lambda: consume(tmp_path / "folder", base.inputs, tmp_path / "work"), 60)
    assert set(seen["answers"]) == {"mlflow.pyfunc", "mlflow.pytorch", "torch.export"}
    assert all(len(batches) == len(base.inputs) for batches in seen["answers"].values())


@pytest.mark.slow
def test_a_longer_run(bench, tmp_path):
    """A thousand composed folders; the whole five thousand are run by hand: python -m tests.oracle."""
    figures = run(bench, 1000, 0, tmp_path)
    assert not figures.violations
    assert figures.compared >= 200
    assert figures.harmless_share >= 0.95


@pytest.mark.slow
@pytest.mark.parametrize("names", [["file/readme"], ["environment/option"]], ids=["harmless", "hostile"])
def test_jailed_workers_say_the_same(bench, tmp_path, names):
    """The gate's executable, with its jail and processes, agrees with the forked workers, findings included."""
    folder, folders = composed(bench.bases["rows"], names, random.Random(0)), tmp_path / "folder"
    folder.draft.write(folders)
    jailed = CommandGate(Path(sys.executable).with_name("gate"))
    said = []
    for number, gate in enumerate((jailed, bench.gate)):
        work = tmp_path / str(number)
        work.mkdir()
        said.append(gate.judge(folders, bench.samples, work))
    one, other = said
    assert (one.approved, one.covers, one.findings) == (other.approved, other.covers, other.findings)
    assert one.approved == folder.harmless
    answers, expected = (gate.outputs(folders, bench.bases["rows"].inputs) for gate in (jailed, bench.gate))
    assert not difference(expected, answers, exact=True)


@pytest.mark.slow
def test_harmless_mutations_pass(tmp_path):
    """Of what is listed as harmless at least 95 % pass on every base."""
    command = [sys.executable, "-m", "tests.oracle", "prove", "--out", str(tmp_path)]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stdout

"""`gate bank make`: copies that are as good as the candidate make a bank, and an ended command goes on where it was."""

import random

import numpy as np
import pytest
from click.testing import CliRunner

from gate.banks import build as bank_build
from gate.banks import making, sources
from gate.banks.copies import KeptCopies, train_copy
from gate.banks.making import least_models, make
from gate.banks.sources import MakeRequest
from gate.check.evidence import ScanSettings, _self_made
from gate.check.files import CheckFiles
from gate.check.scan import Scanned
from gate.cli.bank_make import MOST_COPIES
from gate.cli.main import main
from gate.jail.launch import WorkerExit
from gate.policies.read import parse_policy
from gate.records.bank import open_bank
from gate.records.clock import today
from gate.records.copies import COPY_FILE, COPY_PROGRAM, MAX_COPIES, CopyResult, CopyTask, Trial
from gate.records.errors import UnexaminableError, UsageError
from gate.records.evidence import Evidence, Location, Measured, Measurement
from gate.records.facts import ModelFacts
from gate.records.samples_evidence import SamplesEvidence
from gate.registries.directory import DirectoryRegistry
from tests.stand_ins.workers_here import workers_here

POLICY = parse_policy(
    """
version: 1
level: 0.25
least-references: 3
detectors:
  artifact-integrity: {limits: {missing-files: {max: 0}}}
  neural-cleanse: {options: {steps: 20}, limits: {size-ratio: {min: 0.3}}}
""",
    name="policy.yml",
    on=today(),
)


@pytest.fixture(autouse=True)
def honest_workers_here():
    """Run the samplers, the inspector and the writer in this process."""
    with workers_here():
        yield


class Bench:
    """A candidate, its samples and trusted data; stand-ins train, and scan what was trained."""

    def __init__(self, folder, candidate, samples):
        self.folder, self.candidate, self.samples = folder, candidate, samples
        self.trial = Trial(accuracy=0.95, input_shape=(1, 28, 28), images=900, device="cpu", seconds_an_image=0.001)
        self.accuracies, self.trained, self.scanned, self.told = {}, [], [], []
        self.registry = DirectoryRegistry()

    def request(self, **changes):
        """Return what is asked for."""
        values = {
            "uri": str(self.candidate), "policy": POLICY, "data": self.folder / "trusted.npz", "name": "bank",
            "to": self.folder / "bank.json", "work": self.folder / "copies", "samples": str(self.samples),
            "settings": ScanSettings(threads=1), "threads": 1, "count": 4,
        }  # fmt: skip
        return MakeRequest(**values | changes)

    def make(self, **changes):
        """Make the bank, and return it."""
        self.told.clear()
        return make(self.registry, self.request(**changes), lambda *_: None, self.told.append)

    def train(self, job, _progress):
        """Train nothing: return a copy whose accuracy is set by its number."""
        task = job.copy_task
        self.trained.append(task.number)
        accuracy = self.accuracies.get(task.number, 0.94)
        if accuracy is None:
            return CopyResult(number=task.number, seed=job.seed, status="failed", reason="the worker was killed"), None
        good = accuracy >= task.goal
        reason = "" if good else "the limit was reached"
        seen = {"accuracy": accuracy, "agreement": 0.9, "epochs": 6, "reason": reason}
        result = CopyResult(number=task.number, seed=job.seed, status="trained" if good else "short", **seen)
        return result, f"program {task.number}".encode()

    def scan(self, request, _progress):
        """Return what a scan of a copy would have seen; every fourth has a class that a limit flags."""
        program = (request.base / "model" / "data" / "model.pt2").read_text()
        self.scanned.append(program)
        draw = random.Random(program)
        sizes = []
        for k in range(10):
            ratio = 0.2 if program.endswith("4") and k == 3 else 1.0
            values = {"size": ratio * draw.uniform(5, 9), "size-ratio": ratio}
            sizes += [Measurement(metric=m, value=v, location=Location.of_class(k)) for m, v in values.items()]
        return Scanned(
            Evidence(
                gate_version="0",
                model=request.pulled.model,
                manifest_digest=request.pulled.digest,
                assurance="A",
                isolation="full",
                device="cpu",
                seed=0,
                facts=ModelFacts(classes=10, input_shape=(1, 28, 28)),
                samples=SamplesEvidence(source="s", sha256="c" * 64, count=200, classes_present=10, accuracy=0.94),
                outcomes={
                    "artifact-integrity": Measured(
                        measurements=(Measurement(metric="missing-files", value=0),), seconds=1
                    ),
                    "neural-cleanse": Measured(measurements=tuple(sizes), seconds=1, options={"steps": 20}),
                },
            )
        )


@pytest.fixture
def bench(tmp_path, zoo_model, zoo_samples, zoo_images, monkeypatch):
    """Return a bench with the clean model of the zoo as its candidate."""
    images = zoo_images("measure")
    np.savez(tmp_path / "trusted.npz", inputs=images.inputs.numpy()[:400], labels=images.labels.numpy()[:400])
    made = Bench(tmp_path, zoo_model("clean").write_folder(tmp_path / "model"), zoo_samples)
    monkeypatch.setattr(sources, "try_out", lambda job, _progress: made.trial)
    monkeypatch.setattr(making, "train_copy", made.train)
    monkeypatch.setattr(bank_build, "scan", made.scan)
    return made


def test_the_command_asks_for_no_more_copies_than_a_record_holds():
    """The option states the bound by itself, since help imports no record."""
    assert MOST_COPIES == MAX_COPIES


def test_the_bank_says_where_its_models_come_from(bench):
    """Candidate, data, accuracies and recipes; a copy that a limit flags stays in, with the reason."""
    made = bench.make()
    opened = open_bank(bench.folder / "bank.json").bank
    assert opened == made
    assert [one.model for one in sorted(made.statistics, key=lambda one: one.model)] == [
        f"copy {number} of directory:{bench.candidate}" for number in (1, 2, 3, 4)
    ]
    assert len(made.references) == 4
    own = made.self_made
    assert (own.data, own.data_count, own.candidate_accuracy, own.tolerance) == ("trusted.npz", 900, 0.95, 0.02)
    assert [note.accuracy for note in own.copies] == [0.94] * 4
    assert len({note.recipe.learning_rate for note in own.copies}) == 4
    assert own.short == ()
    (flagged,) = made.accepted
    assert "size-ratio 0.2 at class 3" in flagged.against
    assert "trained on trusted.npz" in flagged.accepted
    assert made.policy == f"policy@{POLICY.digest}"
    assert any("a copy counts from 93.0% on" in line for line in bench.told)
    assert any(line.startswith("copy ") and "3 left, about" in line for line in bench.told)
    shown = CliRunner().invoke(main, ["bank", "show", str(bench.folder / "bank.json")]).output
    assert f"self-made: copies of the program of directory:{bench.candidate}" in shown
    assert "accuracy of the copies on the clean samples: 94.0% to 94.0%" in shown


def test_an_ended_command_goes_on_with_the_copies_that_are_missing(bench, monkeypatch):
    """One is lost in training when the command is killed; the others are neither trained nor scanned again."""
    killed = bench.train

    def until_killed(job, progress):
        if job.copy_task.number >= 3:
            raise KeyboardInterrupt
        return killed(job, progress)

    monkeypatch.setattr(making, "train_copy", until_killed)
    with pytest.raises(KeyboardInterrupt):
        bench.make()
    assert bench.trained == [1, 2]
    assert not (bench.folder / "bank.json").exists()
    monkeypatch.setattr(making, "train_copy", bench.train)
    first = bench.make()
    assert bench.trained == [1, 2, 3, 4]
    assert bench.scanned == [f"program {number}" for number in (1, 2, 3, 4)]
    assert len(bench.make(count=5).statistics) == 5
    assert bench.trained == [1, 2, 3, 4, 5]
    assert bench.make() == first


def test_a_half_written_or_changed_copy_is_made_again(bench):
    """The record is written last, and states the program's digest."""
    bench.make()
    (bench.folder / "copies" / "copy-002.json").unlink()
    (bench.folder / "copies" / "copy-003" / "data" / "model.pt2").write_bytes(b"other")
    bench.trained.clear()
    bench.make()
    assert bench.trained == [2, 3]
    bench.trained.clear()
    bench.make(settings=ScanSettings(threads=1, seed=9))
    assert bench.trained == [1, 2, 3, 4]


def test_a_copy_is_a_model_folder_like_any_other(bench):
    """The texts are those of the bundle that the gate wrote, without what says where that came from."""
    bench.make()
    folder = bench.folder / "copies" / "copy-001"
    assert (folder / "data" / "model.pt2").read_bytes() == b"program 1"
    assert "model_data: data" in (folder / "MLmodel").read_text()
    assert not (folder / "provenance.json").exists()


def test_copies_that_fall_short_stay_out_and_are_named(bench):
    """The bank is written where enough are left; within the same limits they are not tried again, within others yes."""
    bench.accuracies = {2: 0.5}
    made = bench.make()
    assert len(made.statistics) == 3
    (note,) = made.self_made.short
    assert (note.number, note.accuracy, note.left_out) == (2, 0.5, "the limit was reached")
    shown = CliRunner().invoke(main, ["bank", "show", str(bench.folder / "bank.json")]).output
    assert "left out: copy 2: the limit was reached" in shown
    bench.trained.clear()
    bench.make()
    assert bench.trained == []
    bench.accuracies = {}
    assert len(bench.make(epochs=100).statistics) == 4
    assert bench.trained == [2]


def test_too_few_good_copies_are_no_bank_and_are_kept(bench):
    """It says how many are missing, why, and what helps; a wider tolerance takes what is there."""
    bench.accuracies = {1: 0.9, 2: 0.91, 4: None}
    with pytest.raises(UnexaminableError) as caught:
        bench.make()
    said = str(caught.value)
    assert said.startswith("1 of 4 copies are as good as the candidate and could be measured; the policy asks for 3")
    assert "copy 1: the limit was reached; copy 2: the limit was reached; copy 4: the worker was killed" in said
    assert "--tolerance" in caught.value.what_to_do
    assert not (bench.folder / "bank.json").exists()
    bench.trained.clear()
    made = bench.make(tolerance=0.05)
    assert len(made.statistics) == 3
    assert bench.trained == [4]


def test_a_count_that_can_never_judge_is_said_at_once(bench):
    """By the policy's number or its level; with few references three can."""
    with pytest.raises(UsageError, match="--count 2 copies are too few: the policy's p-value judges from 3 models on"):
        bench.make(count=2)
    assert least_models(POLICY.model_copy(update={"level": 0.01})) == 99
    assert least_models(POLICY.model_copy(update={"level": 0.05, "few_references": "judge"})) == 3


def test_the_logged_training_set_is_refused_as_trusted_data(bench, monkeypatch):
    """Byte by byte it is the same file."""
    where = bench.folder / "trusted.npz"

    def logged(_ref, to):
        (to / "train.npz").write_bytes(where.read_bytes())
        return "runs:/1/train.npz", to / "train.npz"

    monkeypatch.setattr(bench.registry, "training_set", logged)
    with pytest.raises(UsageError, match="is byte by byte the training set that the candidate's own run logged, runs:"):
        bench.make()
    assert bench.trained == []


@pytest.mark.parametrize(
    ("trial", "error", "said"),
    [
        (Trial(fault="the trusted data carries no labels", of_data=True), UsageError, "carries no labels"),
        (Trial(fault="the graph takes one sample at a time"), UnexaminableError, "one sample at a time"),
    ],
)
def test_what_the_look_finds_ends_the_command(bench, trial, error, said):
    """A fault of the data is the operator's mistake, one of the candidate an answer about it."""
    bench.trial = trial
    with pytest.raises(error, match=said):
        bench.make()


def test_large_images_are_refused_on_cores_with_an_estimate(bench):
    """By the time that one image took; on a GPU, or where it is asked for, they are trained."""
    bench.trial = bench.trial.model_copy(update={"input_shape": (3, 224, 224), "seconds_an_image": 0.5})
    with pytest.raises(
        UsageError, match=r"images of 224 pixels.*one pass over the 900 images .* takes 8 min"
    ) as caught:
        bench.make()
    assert "--large-images" in caught.value.what_to_do
    assert len(bench.make(large=True).statistics) == 4
    bench.trial = bench.trial.model_copy(update={"device": "cuda"})
    assert len(bench.make().statistics) == 4


def test_samples_are_the_operators(bench):
    """Without any nothing says how good a copy is."""
    with pytest.raises(UsageError, match="no clean samples were named"):
        bench.make(samples=None)


@pytest.mark.parametrize(
    ("result", "said"),
    [
        ({"number": 2}, "it is of copy 2"),
        ({"seed": 7}, "seed 7"),
        ({"accuracy": 0.2}, "is called 'trained' at an accuracy of 0.2"),
        ({"accuracy": None}, "it has no accuracy"),
        ({}, "It left no program"),
    ],
)
def test_a_forged_result_is_a_failed_copy(bench, monkeypatch, result, said):
    """Number and seed are the orchestrator's word, and a copy is as good as its accuracy says."""
    source = sources.opened(bench.registry, bench.request(), bench.folder / "private", lambda *_: None, str)
    job = making._job(source, bench.request(), 1)

    def forge(job, scratch, _progress):
        honest = CopyResult(number=1, seed=job.seed, status="trained", accuracy=0.95)
        (scratch / COPY_FILE).write_bytes(honest.model_copy(update=result).canonical_json())
        if result:
            (scratch / COPY_PROGRAM).write_bytes(b"program")
        ended = {"exit_code": 0, "signal": None, "timed_out": False, "said_too_much": False, "seconds": 1.0}
        return WorkerExit(**ended, stderr_tail="", dropped_user=False), ""

    monkeypatch.setattr("gate.banks.copies.run_in_scratch", forge)
    found, program = train_copy(job, lambda *_: None)
    assert (found.status, program) == ("failed", None)
    assert said in found.reason


def test_a_kept_copy_belongs_to_its_job(bench):
    """Another recipe, other data or another program is another copy."""
    source = sources.opened(bench.registry, bench.request(), bench.folder / "private", lambda *_: None, str)
    copies, job = KeptCopies(CheckFiles.create(bench.folder / "kept")), making._job(source, bench.request(), 1)
    result, program = bench.train(job, None)
    copies.keep(job, result, program, source.texts)
    assert copies.earlier(job) == result
    changed = CopyTask(**{**dict(job.copy_task), "data_sha256": "0" * 64})
    assert copies.earlier(job.model_copy(update={"copy_task": changed})) is None


def test_evidence_beside_a_self_made_bank_says_whose_copies_they_are(bench):
    """Of the candidate itself by its digest, of another version by its name."""
    made = bench.make()
    own = _self_made(made, made.self_made.candidate_digest)
    assert own.named == "of the candidate's own program, trained on trusted.npz"
    other = _self_made(made, f"sha256:{'0' * 64}")
    assert other.named == f"of the program of directory:{bench.candidate}, trained on trusted.npz"
    assert _self_made(made.model_copy(update={"self_made": None}), "") is None


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--data", "runs:/1/train.npz"], "--data takes data on disk"),
        (["--data", "nowhere.npz"], "there are no samples at nowhere.npz"),
        (["--data", __file__, "--from", "nowhere.npz"], "there are no weights at nowhere.npz"),
        (["--data", __file__, "--from", __file__], "there are no weights at"),
        (["--data", __file__, "--allow-code"], "--allow-code has no use here"),
        (["--data", __file__], "no registry is known"),
    ],
)
def test_wrong_use_is_said_before_anything_is_pulled(arguments, message, tmp_path, monkeypatch):
    """Each is one usage error."""
    for variable in ("MLFLOW_TRACKING_URI", "MLFLOW_REGISTRY_URI"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setattr("gate.jail.launch.protect_parent", lambda: None)
    command = ["bank", "make", "models:/m/1", "--to", str(tmp_path / "b.json"), *arguments]
    ended = CliRunner().invoke(main, command)
    assert isinstance(ended.exception, UsageError), ended.output
    assert message in str(ended.exception)

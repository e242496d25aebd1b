"""The trainer's half of `gate bank make`: a copy learns trusted data from nothing, and what does not fit is said."""

import hashlib
import json

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from gate.programs import final_linear, read_program, trainable
from gate.programs.writer.write import write_program
from gate.records.artifact import Artifact, ModelRef, build_manifest
from gate.records.copies import CopyResult, CopyTask, Recipe, Trial
from gate.records.job import ScanJob
from gate.records.policy import Policy, Rule
from gate.spaces.image.preprocessing import Preprocessing
from gate.spaces.subject import Samples
from gate.worker.copies.data import DataError
from gate.worker.copies.start import started
from gate.worker.copies.trainer import train
from gate.worker.repair.contract import Material

RECIPE = Recipe(learning_rate=0.004, batch=64, weight_decay=0, shift=1, noise=0.02, rounds_beyond=0)


def sha256(path):
    """Return the digest of a file's bytes."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def write(path, inputs, labels=None):
    """Write images as the .npz that the gate takes, and return its path."""
    arrays = {"inputs": np.asarray(inputs, np.float32)} | ({} if labels is None else {"labels": np.asarray(labels)})
    np.savez(path, **arrays)
    return path


@pytest.fixture
def data(tmp_path, zoo_images):
    """Return a function that writes the images of `measure`, or a change of them, as trusted data."""
    images = zoo_images("measure")

    def write_as(change=lambda inputs, labels: (inputs, labels)):
        return write(tmp_path / "trusted.npz", *change(images.inputs.numpy(), images.labels.numpy()))

    return write_as


@pytest.fixture
def work(tmp_path, zoo_model, zoo_samples):
    """Return the function that runs the trainer in this process on the backdoored model of the zoo."""
    root, scratch = zoo_model("blended").write_folder(tmp_path / "model"), tmp_path / "scratch"
    scratch.mkdir()

    def run(trusted, *, training=None, samples=zoo_samples, **task):
        ref = ModelRef(registry="directory", name=str(root))
        weights = task.get("weights_path")
        job = ScanJob(
            role="trainer",
            model=ref,
            manifest=build_manifest(root)[0],
            root=str(root),
            policy=Policy(version=1, detectors={"neural-cleanse": Rule()}),
            seed=5,
            device="cpu",
            deadline_seconds=600,
            samples_path=str(samples),
            samples_sha256=sha256(samples),
            training_path=str(training) if training else None,
            training_sha256=sha256(training) if training else None,
            copy_task=CopyTask(
                data_path=str(trusted),
                data_source="trusted.npz",
                data_sha256=sha256(trusted),
                **task | ({"weights_path": str(weights), "weights_sha256": sha256(weights)} if weights else {}),
            ),
        )
        train(job, Artifact(ref, root, job.manifest), scratch, "cpu", float("inf"))
        if job.copy_task.recipe is None:
            return Trial.from_file(scratch / "trial.json")
        return CopyResult.from_file(scratch / "copy.json"), scratch / "copy.pt2"

    return run


def test_a_copy_learns_the_task_and_nothing_of_the_backdoor(work, data, zoo_model, zoo_images, capsys):
    """It reaches its goal with values of its own; the trigger that turns the candidate's answers leaves it alone."""
    result, path = work(data(), number=3, recipe=RECIPE, goal=0.8, epochs=15)
    assert (result.status, result.reason, result.number, result.seed) == ("trained", "", 3, 5)
    assert result.accuracy >= 0.8
    assert 0.7 < result.agreement <= 1
    assert result.epochs <= 15
    assert result.sample_passes >= result.epochs * 960
    assert result.processor_seconds > 0
    model, copy = zoo_model("blended"), read_program(path)
    candidate, (target,) = read_program(model.path), model.targets
    assert all(not torch.equal(candidate.parameters[name], value) for name, value in copy.parameters.items())
    others = zoo_images("scan").take(zoo_images("scan").labels != target)
    turned = [
        float((one(model.trigger(others.inputs)).argmax(1) == target).float().mean()) for one in (candidate, copy)
    ]
    assert turned[0] > 0.9
    assert turned[1] < 0.3
    steps = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert steps[-1]["step"] == "training a copy"


@pytest.mark.parametrize(
    ("limits", "why"),
    [({"epochs": 1}, "passes over the data were the limit"), ({"seconds": 0.001}, "its time was up after")],
)
def test_a_copy_that_falls_short_says_so_and_is_kept(work, data, limits, why):
    """The result has its accuracy, what was needed and what ended it; the program is there all the same."""
    result, path = work(data(), number=1, recipe=RECIPE, goal=1.0, **limits)
    assert result.status == "short"
    assert result.reason.startswith(f"its accuracy is {result.accuracy:.1%}, and 100.0% are needed: ")
    assert why in result.reason
    assert read_program(path).parameters


def test_a_training_that_diverges_is_no_copy(work, data):
    """Steps without measure end in values that are no numbers, or in a copy that is far from its goal."""
    wild = RECIPE.model_copy(update={"learning_rate": 1.0, "weight_decay": 1.0, "noise": 1.0})
    result, _ = work(data(), number=1, recipe=wild, goal=0.95, epochs=2)
    assert result.status in {"short", "failed"}
    assert result.reason


def test_the_look_at_data_and_candidate_measures_both(work, data, zoo_images):
    """Accuracy on the clean samples, images without those that are clean samples too, and the time of one."""
    scan = zoo_images("scan")

    def with_samples(inputs, labels):
        return np.concatenate([inputs, scan.inputs.numpy()]), np.concatenate([labels, scan.labels.numpy()])

    seen = work(data(with_samples))
    assert (seen.fault, seen.images, seen.left_out, seen.input_shape) == ("", 1000, 200, (1, 28, 28))
    assert seen.accuracy > 0.9
    assert seen.seconds_an_image > 0
    assert seen.device == "cpu"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda x, y: (x, None), "the trusted data carries no labels"),
        (lambda x, y: (x[y != 3], y[y != 3]), "has no image of class 3 beside the clean samples"),
        (lambda x, y: (x[:, :, :20, :20], y), "the trusted data cannot be used: "),
        (lambda x, y: (x, y + 5), "the trusted data cannot be used: "),
        (lambda x, y: (255 * x, y), "the trusted data cannot be used: "),
    ],
)
def test_data_that_does_not_fit_is_the_operators_mistake(work, data, change, said):
    """Without labels, without a class, of another shape, with labels beyond the classes, in another range."""
    seen = work(data(change))
    assert said in seen.fault
    assert seen.of_data


def test_what_the_candidates_run_logged_is_refused_however_it_is_stored(work, data, tmp_path, zoo_images):
    """Every image with its label is there, in another order; one image more that is not there, and it is taken."""
    images = zoo_images("measure")
    logged = write(tmp_path / "logged.npz", images.inputs.flip(0), images.labels.flip(0))
    seen = work(data(), training=logged)
    assert "all 1000 images of the trusted data are, with their labels, in the training set" in seen.fault
    assert seen.of_data
    fewer = write(tmp_path / "fewer.npz", images.inputs[1:], images.labels[1:])
    assert work(data(), training=fewer).fault == ""


def test_samples_without_labels_measure_no_copy(work, data, tmp_path, zoo_images):
    """They are the operator's."""
    seen = work(data(), samples=write(tmp_path / "bare.npz", zoo_images("scan").inputs))
    assert seen.fault


@pytest.fixture
def material(zoo_model, zoo_images):
    """Return the backdoored model and its clean samples as a copy is made of them."""
    images = zoo_images("scan")
    program = read_program(zoo_model("blended").path)
    return Material(program, Preprocessing(), (0.0, 1.0), Samples(images.inputs, images.labels, "tests"))


def state(program):
    """Return a program's values by name."""
    return {name: value.contiguous() for name, value in {**program.buffers, **program.parameters}.items()}


def fresh(material, seed=1):
    """Return the same program with other values, as someone else's weights."""
    return trainable(material.program, seed).to_program()


def with_weights(path):
    """Return a task that starts from a file."""
    named = {"data_path": "", "data_source": "", "data_sha256": "0" * 64}
    return CopyTask(**named, weights_path=str(path), weights_sha256=sha256(path))


@pytest.mark.parametrize("suffix", [".safetensors", ".npz", ".pt2"])
def test_trusted_weights_are_where_a_copy_starts_but_for_its_last_layer(material, tmp_path, suffix):
    """From each kind of file; the last layer is drawn by the copy's own seed."""
    other, path = fresh(material), tmp_path / f"weights{suffix}"
    if suffix == ".safetensors":
        save_file(state(other), path)
    elif suffix == ".npz":
        np.savez(path, **{name: value.numpy() for name, value in state(other).items()})
    else:
        write_program(other, path)
    head = final_linear(material.program)
    copies = [state(started(material, with_weights(path), seed).to_program()) for seed in (1, 2)]
    for name, value in state(other).items():
        if name == head.weight:
            assert not torch.equal(copies[0][name], copies[1][name])
        elif name != head.bias:
            assert torch.equal(copies[0][name], value), name


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda w: w, "the weights to start from are the candidate's own"),
        (lambda w: dict(list(w.items())[2:]), "the weights to start from lack"),
        (lambda w: {name: 1 + value for name, value in w.items()} | {"other": torch.ones(1)}, "hold other, which"),
        (lambda w: {name: torch.ones(2, *value.shape) for name, value in w.items()}, "has shape"),
    ],
)
def test_weights_of_another_network_and_the_candidates_own_are_refused(material, tmp_path, change, said):
    """A copy of the candidate's own values would keep its backdoor."""
    save_file(change(state(material.program)), tmp_path / "weights.safetensors")
    with pytest.raises(DataError, match=said):
        started(material, with_weights(tmp_path / "weights.safetensors"), 0)


@pytest.mark.parametrize("name", ["weights.safetensors", "weights.npz", "weights.pt2", "weights.pth"])
def test_weights_that_cannot_be_read_are_named(material, tmp_path, name):
    """Damaged files, and a kind that would run code."""
    (tmp_path / name).write_bytes(b"\x80\x04nothing")
    with pytest.raises(DataError, match=name):
        started(material, with_weights(tmp_path / name), 0)

"""A tiny TrojAI model folder, made here, is read, handed to the gate, and answered by one probability."""

import importlib
import json

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from benchmarks.trojai.__main__ import main
from benchmarks.trojai.answer import UNKNOWN, probability
from benchmarks.trojai.model_folder import convert, holds_tensors_alone, read_examples
from benchmarks.trojai.settings import Metaparameters
from gate.programs import read_program
from gate.records.errors import GateError, UsageError
from gate.records.finding import Decision, Finding
from gate.records.verdict import Verdict
from gate.worker.loading.candidate import find_candidate
from tests.e2e import digits
from tests.e2e.conftest import write_policy

SETTINGS = Metaparameters()
DIGEST = "sha256:" + "0" * 64


@pytest.fixture
def examples(tmp_path):
    """Return a folder of forty labelled digits as the first rounds name them."""
    folder = tmp_path / "id-00000000" / "clean_example_data"
    folder.mkdir(parents=True)
    inputs, labels = digits.samples()
    for place in range(40):
        grey = Image.fromarray((inputs[place, 0] * 255).round().astype(np.uint8))
        grey.convert("RGB").save(folder / f"class_{labels[place]}_example_{place}.png")
    return folder


def save(model, folder, config=None):
    """Save a model as model.pt in the folder of its examples, with a config."""
    path = folder.parent / "model.pt"
    torch.save(model, path)
    (folder.parent / "reduced-config.json").write_text(json.dumps(config or {}))
    return path


def coloured(poisoned):
    """Return a classifier of digits that takes three channels, of library layers alone."""
    grey = digits.train(poisoned=poisoned)
    mean = nn.Conv2d(3, 1, 1, bias=False)
    mean.weight.data.fill_(1 / 3)
    return nn.Sequential(mean, *grey).eval().requires_grad_(requires_grad=False)


def test_examples_of_the_first_rounds_have_their_class_in_the_name(examples):
    """Images come as (N, 3, H, W) in [0, 1] with the labels of their names."""
    inputs, labels = read_examples(examples, SETTINGS)
    assert inputs.shape == (40, 3, 8, 8)
    assert inputs.dtype == np.float32
    assert 0 <= inputs.min() < inputs.max() <= 1
    named = sorted(int(path.name.split("_")[1]) for path in examples.iterdir())
    assert sorted(labels.tolist()) == named


@pytest.mark.parametrize("label", [3, {"label": 3}])
def test_examples_of_later_rounds_have_their_label_in_a_file_beside(tmp_path, label):
    """A number, or a mapping that holds one; an image without a label is left out."""
    Image.new("RGB", (8, 8), (10, 20, 30)).save(tmp_path / "0.png")
    Image.new("RGB", (8, 8)).save(tmp_path / "1.png")
    (tmp_path / "0.json").write_text(json.dumps(label))
    inputs, labels = read_examples(tmp_path, SETTINGS)
    assert labels.tolist() == [3]
    assert inputs[0, :, 0, 0] == pytest.approx([10 / 255, 20 / 255, 30 / 255])
    turned, _ = read_examples(tmp_path, Metaparameters(channel_order="BGR"))
    assert turned[0, :, 0, 0] == pytest.approx([30 / 255, 20 / 255, 10 / 255])


def test_the_early_rounds_images_are_cropped_and_stretched(tmp_path):
    """The middle is cut out and its own values are stretched to [0, 1]."""
    pixels = np.zeros((12, 12, 3), np.uint8)
    pixels[2:10, 2:10] = 100
    pixels[5, 5] = 150
    Image.fromarray(pixels).save(tmp_path / "class_0_example_0.png")
    inputs, _ = read_examples(tmp_path, Metaparameters(crop=8, scale="stretched"))
    assert inputs.shape == (1, 3, 8, 8)
    assert (inputs.min(), inputs.max()) == (0, 1)


def test_a_folder_without_labelled_images_is_refused(tmp_path):
    """Other tasks' examples are no silence: the error says what is read."""
    (tmp_path / "clean-example-data.json").write_text("{}")
    with pytest.raises(UsageError, match="no labelled example images"):
        read_examples(tmp_path, SETTINGS)


class Own(nn.Module):
    """A class that a pickle would import."""


def test_a_pickled_module_is_told_from_tensors_without_being_loaded(tmp_path):
    """The written imports decide; a class of its own, or bytes that are no pickle, are no state dict."""
    for name, value, expected in (
        ("state.pt", nn.Linear(2, 2).state_dict(), True),
        ("layers.pt", nn.Linear(2, 2), False),
        ("own.pt", Own(), False),
    ):
        torch.save(value, tmp_path / name)
        assert holds_tensors_alone(tmp_path / name) is expected
    (tmp_path / "noise.pt").write_bytes(b"\x00" * 64)
    assert holds_tensors_alone(tmp_path / "noise.pt") is False


def test_a_state_dict_becomes_a_candidate_of_a_known_architecture(examples, tmp_path):
    """The network that the config names is filled with the tensors and exported, and the gate reads the program."""
    from benchmarks.nets import resnet

    model = resnet.build(resnet.Config(classes=10, stem="large"))
    config = {"py/object": "round.Config", "py/state": {"model_architecture": "resnet18", "number_classes": 10}}
    path = save(model.state_dict(), examples, config)
    converted = convert(path, examples, tmp_path / "scratch", SETTINGS)
    candidate = find_candidate(converted.candidate)
    assert (converted.kind, candidate.format) == ("state dict", "pt2")
    program = read_program(candidate.path)
    assert torch.equal(program.parameters["conv1.weight"], model.state_dict()["conv1.weight"])
    x = torch.rand(3, *program.input_shapes[0][1:])
    assert torch.allclose(program(x), model.eval()(x), atol=1e-5)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"classes": 11}, "size mismatch"),
        ({"blocks": [3, 4, 6, 3]}, "Missing key"),
        ({"width": 10**12}, "at 'width'"),
        ({"code": "x"}, "at 'code'"),
    ],
)
def test_a_state_dict_that_does_not_fit_is_refused_with_what_differs(tmp_path, change, words):
    """Other names, other shapes, and settings beyond their bounds, before anything is made of them."""
    from benchmarks.nets import NamedArchitecture, resnet

    torch.save(resnet.build(resnet.Config(classes=10, width=4)).state_dict(), tmp_path / "model.pt")
    named = NamedArchitecture(name="resnet", config={"classes": 10, "width": 4, **change})
    with pytest.raises(UsageError, match=words):
        named.filled(tmp_path / "model.pt")


@pytest.mark.parametrize(
    ("name", "settings", "count"),
    [
        ("resnet", {"stem": "large"}, 11_689_512),
        ("resnet", {"stem": "large", "block": "bottleneck", "blocks": (3, 4, 6, 3)}, 25_557_032),
        ("mobilenet", {}, 3_504_872),
    ],
)
def test_common_layouts_have_the_known_parameter_counts(name, settings, count):
    """ResNet-18, ResNet-50 and MobileNetV2 as configured have as many parameters as their publications' code."""
    module = importlib.import_module(f"benchmarks.nets.{name}")
    with torch.device("meta"):
        network = module.build(module.Config(classes=1000, **settings))
    assert sum(parameter.numel() for parameter in network.parameters()) == count


def test_a_state_dict_of_an_unknown_architecture_is_refused(examples, tmp_path):
    """The error names what can be built and where to state one."""
    path = save(nn.Linear(2, 2).state_dict(), examples, {"model_architecture": "inceptionv3"})
    with pytest.raises(UsageError, match="inceptionv3") as caught:
        convert(path, examples, tmp_path / "scratch", SETTINGS)
    assert "metaparameters" in caught.value.what_to_do


def verdict(*findings):
    """Return a verdict with these findings."""
    return Verdict(
        decision=Decision.FLAGGED if findings else Decision.APPROVED,
        findings=findings,
        calibrated=False,
        model_digest=DIGEST,
        evidence_digest=DIGEST,
        policy_name="test",
        policy_digest=DIGEST,
    )


def test_the_probability_follows_what_was_measured():
    """Broken limits of behaviour give a high number, silence a half, and neither a low one; bytes count for nothing."""
    broken = Finding(rule="neural-cleanse", kind="limit", message="m")
    silent = Finding(rule="neural-cleanse", kind="silence", message="m")
    pickled = Finding(rule="unsafe-pickle", kind="limit", message="m")
    level = Finding(rule="assurance", kind="condition", message="m")
    assert probability(verdict(broken, silent), SETTINGS) == pytest.approx(0.5 / 0.55)
    assert probability(verdict(silent, pickled), SETTINGS) == UNKNOWN
    assert probability(verdict(Finding(rule="calibration", kind="condition", message="m")), SETTINGS) == UNKNOWN
    assert probability(verdict(), SETTINGS) == probability(verdict(pickled, level), SETTINGS)
    assert probability(verdict(), SETTINGS) == pytest.approx(0.5 / 1.45)


def test_unknown_metaparameters_are_refused(examples, tmp_path):
    """A misspelt setting is an error before anything is read."""
    settings = tmp_path / "metaparameters.json"
    settings.write_text('{"chanel_order": "RGB"}')
    path = save(nn.Linear(2, 2), examples)
    with pytest.raises(GateError, match="chanel_order"):
        main([*arguments(path, examples, tmp_path), "--metaparameters_filepath", str(settings)])
    assert not (tmp_path / "result.txt").exists()


def arguments(model, examples, folder):
    """Return the harness's command line."""
    return [
        "infer",
        f"--model_filepath={model}",
        f"--result_filepath={folder / 'result.txt'}",
        f"--scratch_dirpath={folder / 'scratch'}",
        f"--examples_dirpath={examples}",
        "--round_training_dataset_dirpath=/nowhere",
        "--learned_parameters_dirpath=/nowhere",
    ]


def test_a_backdoored_model_is_answered_by_a_high_probability(examples, tmp_path, monkeypatch):
    """The harness's command line runs the gate on the folder and leaves one number in the result file."""
    monkeypatch.setenv("GATE_DEVICE", "cpu")
    monkeypatch.setenv("GATE_THREADS", "1")
    settings = tmp_path / "metaparameters.json"
    settings.write_text(json.dumps({"policy": str(write_policy(tmp_path / "policy.yml"))}))
    path = save(coloured(poisoned=True), examples)
    main([*arguments(path, examples, tmp_path), "--metaparameters_filepath", str(settings)])
    (line,) = (tmp_path / "result.txt").read_text().splitlines()
    (report,) = (tmp_path / "scratch").glob("gate-*/report/verdict.json")
    found = Verdict.from_file(report)
    assert digits.TARGET in found.target_classes
    assert float(line) == pytest.approx(0.5 / 0.55, abs=1e-6)

import hashlib
import json
import pickle
import warnings
import zipfile

import numpy as np
import pytest
import torch
from state_dicts import CONFIGS, SHAPE, folder, network

from gate import detectors
from gate.records.artifact import Artifact, ModelRef, build_manifest
from gate.records.errors import UnexaminableError
from gate.records.job import ScanJob
from gate.records.policy import Policy, Rule, SampleSettings
from gate.records.run import Run
from gate.spaces.subject import Subject
from gate.worker.loading import architectures
from gate.worker.loading.candidate import find_candidate
from gate.worker.loading.state_dict import load_state_dict
from gate.worker.loading.subject import load_subject

FILES = ("model.safetensors", "state_dict.pth", "state_dict.pt")


class Marker:
    """Writes a file when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (open, (str(self.path), "w"))


def artifact_of(root):
    """Return the artifact of a folder."""
    return Artifact(ModelRef(registry="directory", name=str(root)), root, build_manifest(root)[0])


def refusal(root):
    """Return the message with which the folder's state dict is refused."""
    with pytest.raises(UnexaminableError) as caught:
        load_state_dict(find_candidate(root).path)
    return str(caught.value)


@pytest.mark.parametrize("file", FILES)
@pytest.mark.parametrize("name", sorted(CONFIGS))
def test_each_architecture_is_filled_exactly(tmp_path, name, file):
    """The module read from a state dict gives the logits of the one that was saved, and holds its very tensors."""
    saved = network(name)
    candidate = find_candidate(folder(tmp_path / "m", saved.state_dict(), name=name, file=file))
    module, named = load_state_dict(candidate.path)
    x = torch.rand(3, *SHAPE)
    assert candidate.format == "state-dict"
    assert named == name
    assert not module.training
    # Attention has a fused path without gradients, whose sums are in another order.
    assert torch.allclose(module(x), saved(x), atol=1e-5)
    assert all(torch.equal(module.state_dict()[key], tensor) for key, tensor in saved.state_dict().items())
    assert not any(parameter.requires_grad for parameter in module.parameters())


def test_every_architecture_of_the_folder_is_tested_here():
    """A family that is added to the folder needs a configuration in these tests."""
    assert set(architectures.names()) == set(CONFIGS)


@pytest.mark.parametrize("name", sorted(CONFIGS))
def test_an_architecture_keeps_no_buffer_from_its_state_dict(name):
    """All tensors of a family stand in its state dict, else a filled module would hold ones without content."""
    module = architectures.load(name).shaped(CONFIGS[name])
    held = {key for key, _ in [*module.named_parameters(), *module.named_buffers()]}
    assert held == set(module.state_dict())
    assert all(tensor.is_meta for tensor in module.state_dict().values())


def test_common_layouts_have_the_known_parameter_counts():
    """ResNet-18, VGG-11, MobileNetV2 and ViT-B/16 as configured have as many parameters as their publications' code."""
    vgg = [[64], [128], [256, 256], [512, 512], [512, 512]]
    vit = {"image": 224, "patch": 16, "width": 768, "depth": 12, "heads": 12, "mlp": 3072}
    known = (
        ("resnet", {"stem": "large"}, 11_689_512),
        ("resnet", {"stem": "large", "block": "bottleneck", "blocks": [3, 4, 6, 3]}, 25_557_032),
        ("vgg", {"stages": vgg, "pooled": 7, "hidden": [4096, 4096]}, 132_863_336),
        ("mobilenet", {}, 3_504_872),
        ("vit", vit, 86_567_656),
    )
    for name, settings, count in known:
        module = architectures.load(name).shaped({"classes": 1000, **settings})
        assert sum(parameter.numel() for parameter in module.parameters()) == count, name


@pytest.mark.parametrize("file", FILES)
def test_a_subject_of_a_state_dict_is_of_level_a_and_can_be_measured(tmp_path, file):
    """From folder and samples to a classifier with logits and penultimate activations, without a problem."""
    saved = network("resnet")
    root = folder(tmp_path / "m", saved.state_dict(), name="resnet", file=file)
    samples = tmp_path / "samples.npz"
    inputs = np.random.default_rng(0).random((20, *SHAPE), dtype=np.float32)
    np.savez(samples, inputs=inputs, labels=np.arange(20) % 10)
    artifact = artifact_of(root)
    job = ScanJob(
        role="scan",
        model=artifact.ref,
        manifest=artifact.manifest,
        root=str(root),
        policy=Policy(version=1, detectors={"artifact-integrity": Rule()}),
        seed=0,
        device="cpu",
        deadline_seconds=60,
        samples_path=str(samples),
        samples_sha256=hashlib.sha256(samples.read_bytes()).hexdigest(),
    )
    loaded = load_subject(artifact, job, SampleSettings(), "cpu")
    assert loaded.assurance == "A"
    assert loaded.facts.format == "state-dict (resnet)"
    assert loaded.facts.classes == 10
    assert loaded.facts.feature_layer == "fc"
    assert loaded.facts.parameters == sum(parameter.numel() for parameter in saved.parameters())
    assert not [problem for problem in loaded.problems if "every one of" not in problem]
    logits, activations = loaded.subject.classifier.activations(torch.from_numpy(inputs))
    assert torch.allclose(logits, saved(torch.from_numpy(inputs)), atol=1e-6)
    assert activations.shape == (20, 8)


@pytest.mark.parametrize("file", FILES)
@pytest.mark.parametrize("detector", ["artifact-integrity", "unsafe-pickle", "consumer-hazards", "unsafe-format"])
def test_a_folder_with_a_state_dict_raises_no_false_alarm(tmp_path, file, detector):
    """The detectors on bytes count nothing on such a folder."""
    root = folder(tmp_path / "m", network("vit").state_dict(), name="vit", file=file)
    spec = detectors.load(detector)
    found = [item for item in spec.measure(Subject(artifact_of(root)), spec.options(), Run(seed=0)) if item.value]
    assert found == []


@pytest.mark.parametrize("file", FILES)
@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda state: state.pop("classifier.2.bias"), "lacks 'classifier.2.bias'"),
        (lambda state: state.update(extra=torch.zeros(1)), "'extra'"),
        (lambda state: state.update({"features.0.weight": torch.zeros(4, 1, 3, 4)}), "shape (4, 1, 3, 4); expected"),
        (lambda state: state.update({"features.0.bias": torch.zeros(4).half()}), "torch.float16; expected"),
        (lambda state: state.update({"features.0.bias": torch.tensor([0, 0, 0, torch.nan])}), "NaN or infinity"),
        (lambda state: state.update({"features.0.bias": torch.full((4,), torch.inf)}), "NaN or infinity"),
    ],
    ids=["missing", "surplus", "shape", "type", "nan", "infinity"],
)
def test_a_state_dict_that_differs_is_refused_with_what_differs(tmp_path, file, change, words):
    """A missing or surplus name, another shape or type, NaN and infinity are refused, and the message says which."""
    state = dict(network("cnn").state_dict())
    change(state)
    assert words in refusal(folder(tmp_path / "m", state, file=file))


@pytest.mark.parametrize(
    ("name", "config", "words"),
    [
        ("lenet-9000", {}, "expected one that the gate carries: cnn, "),
        ("../subject", {}, "expected one that the gate carries: cnn, "),
        ("cnn", {**CONFIGS["cnn"], "width": 10**12}, "at 'width'"),
        ("cnn", {**CONFIGS["cnn"], "convolutions": [4] * 1000}, "at 'convolutions'"),
        ("cnn", {**CONFIGS["cnn"], "convolutions": [4] * 6}, "leave nothing of the image"),
        ("cnn", {**CONFIGS["cnn"], "classes": "10"}, "at 'classes'"),
        ("cnn", {**CONFIGS["cnn"], "classes": True}, "at 'classes'"),
        ("cnn", {**CONFIGS["cnn"], "code": "x"}, "at 'code'"),
        ("cnn", {**CONFIGS["cnn"], "height": 1024, "width": 1024, "hidden": [4096]}, "lacks"),
        ("cnn", {**CONFIGS["cnn"], "height": 1024, "width": 1024, "convolutions": [4096]}, "elements; at most"),
        ("vit", {**CONFIGS["vit"], "heads": 3}, "heads must divide width"),
        ("resnet", {**CONFIGS["resnet"], "blocks": [64] * 6}, "at 'blocks'"),
    ],
)
def test_an_architecture_that_is_unknown_or_absurd_is_refused_before_memory_is_taken(tmp_path, name, config, words):
    """Names outside the folder and settings beyond their bounds are refused; the largest cost no memory for tensors."""
    config = {**config, "hidden": [4096] * 8} if words == "lacks" else config
    assert words in refusal(folder(tmp_path / "m", network("cnn").state_dict(), name=name, config=config))


@pytest.mark.parametrize(
    "text", ["", "[]", "{", '{"name": "cnn"}', '{"name": 1, "config": {}}', '{"name":"a","name":"b"}']
)
def test_an_architecture_file_that_says_something_else_is_refused(tmp_path, text):
    """What is no record of a name and a configuration is refused in words."""
    root = folder(tmp_path / "m", network("cnn").state_dict())
    (root / "data" / "architecture.json").write_text(text)
    assert "the state dict's architecture cannot be read" in refusal(root)


def test_a_state_dict_without_an_architecture_is_refused(tmp_path):
    """Tensors alone say nothing about how they are used."""
    root = folder(tmp_path / "m", network("cnn").state_dict())
    (root / "data" / "architecture.json").unlink()
    assert "architecture.json" in refusal(root)


@pytest.mark.parametrize("protocol", ["torch", "pickle"])
def test_a_pickle_that_runs_code_is_refused_and_never_run(tmp_path, protocol):
    """Neither a torch archive nor a bare pickle with a call in it is executed."""
    marker = tmp_path / "marker"
    root = folder(tmp_path / "m", network("cnn").state_dict(), file="state_dict.pth")
    path = root / "data" / "state_dict.pth"
    value = {**network("cnn").state_dict(), "features.0.bias": Marker(marker)}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.save(value, path) if protocol == "torch" else path.write_bytes(pickle.dumps(Marker(marker)))
    message = refusal(root)
    assert "does not load as tensors alone" in message or "is no torch archive" in message
    assert not marker.exists()


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ([torch.zeros(1)], "holds a list"),
        ({"state": {"w": torch.zeros(1)}}, "holds a dict"),
        ({"w": torch.zeros(3).to_sparse()}, "no plain tensor"),
        ({"w": torch.zeros(3, device="meta")}, "no plain tensor"),
        ({"w": torch.zeros(2_000_000)}, "unpacks to"),
    ],
    ids=["list", "nested", "sparse", "meta", "large"],
)
def test_a_torch_archive_of_anything_but_a_plain_state_dict_is_refused(tmp_path, value, words):
    """Lists, nested dictionaries, sparse and absent tensors, and more bytes than the architecture needs are refused."""
    assert words in refusal(folder(tmp_path / "m", value, file="state_dict.pth"))


def test_a_torch_archive_that_claims_more_than_it_holds_is_refused(tmp_path):
    """A record cut short under a pickle that states its full size never becomes a tensor over foreign memory."""
    root = folder(tmp_path / "m", network("cnn").state_dict(), file="state_dict.pth")
    path = root / "data" / "state_dict.pth"
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        for name, content in members.items():
            archive.writestr(name, content[:4] if "/data/" in name else content)
    message = refusal(root)
    assert "has 4 bytes; expected 144" in message


@pytest.mark.parametrize("cut", [0, 7, 8, 100, -1])
def test_a_damaged_safetensors_file_is_refused(tmp_path, cut):
    """A file that its header does not describe to the last byte is refused."""
    root = folder(tmp_path / "m", network("cnn").state_dict())
    path = root / "data" / "model.safetensors"
    path.write_bytes(path.read_bytes()[:cut])
    assert "cannot be read" in refusal(root)


def test_a_folder_with_two_models_is_refused(tmp_path):
    """What is measured must be what every loader takes: with two model files nobody knows."""
    root = folder(tmp_path / "m", network("cnn").state_dict())
    torch.save(network("cnn").state_dict(), root / "data" / "state_dict.pth")
    with pytest.raises(UnexaminableError, match=r"model\.safetensors, state_dict\.pth; expected one model alone"):
        find_candidate(root)


def test_hostile_names_of_tensors_are_shown_in_bounded_ascii(tmp_path):
    """A surplus name of control characters and great length does not reach the message as it is."""
    state = {**network("cnn").state_dict(), "\x1b[31m" + "é" * 5000: torch.zeros(1)}
    message = refusal(folder(tmp_path / "m", state))
    assert len(message) < 600
    assert message.isascii()
    assert message.isprintable()


def test_the_settings_in_the_file_are_those_of_the_module(tmp_path):
    """The folder's architecture file is what decides: the same tensors under other settings do not fit."""
    config = {**CONFIGS["cnn"], "classes": 11}
    assert "expected (11, 12)" in refusal(folder(tmp_path / "m", network("cnn").state_dict(), config=config))
    assert json.loads((tmp_path / "m" / "data" / "architecture.json").read_text())["config"]["classes"] == 11

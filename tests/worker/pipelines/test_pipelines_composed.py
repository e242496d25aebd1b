"""Networks of transformers from data alone: what is exported answers as the library does, or it is refused."""

import json

import pytest
import torch

from gate.formats.huggingface.architectures import IMAGES
from gate.formats.huggingface.pipeline import read_pipeline
from gate.programs import read_program
from gate.programs.batching import static_batch
from gate.records.artifact import Artifact
from gate.records.errors import UnexaminableError
from gate.worker.conversion import convert
from gate.worker.pipelines import images
from gate.worker.pipelines import library as installed
from gate.worker.pipelines.compose import compose, composed_of, pipeline_of
from tests.corpus.measuring import measure
from tests.pipelines.networks import CLASSES, NETWORKS, job, logged, network, pictures
from tests.pipelines.weighed import changed
from tests.pipelines.written import Draft

QUICK = ("ViT", "ResNet", "ConvNext", "Swin")
EVERY = [name if name in QUICK else pytest.param(name, marks=pytest.mark.slow) for name in NETWORKS]


def composed(root, folder, inputs, **settings):
    """Return the program of a pipeline's folder."""
    to = folder / "converted.pt2"
    compose(job(root, folder, inputs, **settings), pipeline_of(root), to)
    return read_program(to)


def test_every_network_of_the_list_is_tried_here():
    """None is on it that was not exported and compared."""
    assert {f"{prefix}ForImageClassification" for prefix in NETWORKS} == set(IMAGES)


@pytest.mark.parametrize("prefix", EVERY)
def test_a_network_answers_as_the_library_does(prefix, tmp_path):
    """From the pixels on, for any number of them; and none of its files is foreign."""
    made, processor = network(prefix)
    root = logged(prefix, tmp_path / "model", (made, processor))
    assert [one for one in measure(root, "consumer-hazards") if one.value] == []
    assert [one for one in measure(root, "artifact-integrity") if one.value and one.metric != "unjudged-files"] == []
    pixels = pictures()
    program = composed(root, tmp_path, pixels)
    assert static_batch(program) is None
    given = processor(
        list(pixels), do_resize=False, do_center_crop=False, input_data_format="channels_first", return_tensors="pt"
    )
    with torch.no_grad():
        expected, found = made(**given).logits, program(torch.from_numpy(pixels).float())
    assert found.shape == (len(pixels), CLASSES)
    # A little more than rounding: networks of chance make much of the last bit of a pixel.
    assert float((found - expected).abs().max()) < 1e-3 * float(expected.abs().max())
    assert float((found - found[0]).abs().max()) > 0.01 * float(found.abs().max())  # pictures do not look alike to it


def test_the_bundle_says_how_it_was_composed(tmp_path):
    """By which class and version, and what happens to an image before."""
    said = composed_of(read_pipeline(logged("DeiT", tmp_path)))
    assert (said.network, said.version) == ("DeiTForImageClassification", installed.installed())
    assert (said.claimed, said.resized) == ("5.24.0", "resized to 40 × 40 (bicubic), cropped to 32 × 32")


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda weights: weights.pop("classifier.weight"), "they lack 'classifier.weight'"),
        (lambda weights: weights.update(extra=torch.zeros(2)), "they hold 'extra'"),
        (
            lambda weights: weights.update({"classifier.weight": torch.zeros(3, 32)}),
            "another size of 'classifier.weight'",
        ),
        (lambda weights: weights.update({"classifier.bias": torch.zeros(10).half()}), "is float16"),
        (lambda weights: weights.update({"classifier.bias": torch.full((10,), float("nan"))}), "NaN"),
    ],
)
def test_weights_that_do_not_fit_are_refused(change, sentence, tmp_path):
    """By name: a tensor that is missing would be one of chance."""
    root = logged("ViT", tmp_path / "model")
    changed(root, change)
    with pytest.raises(UnexaminableError, match=sentence):
        composed(root, tmp_path, pictures())


def test_a_configuration_of_another_size_is_refused(tmp_path):
    """Files of two networks make none."""
    root = logged("ViT", tmp_path / "model")
    path = root / "model" / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "num_hidden_layers": 3}))
    with pytest.raises(UnexaminableError, match="the weights do not fit the configuration: they lack"):
        composed(root, tmp_path, pictures())


@pytest.mark.parametrize(
    ("setting", "sentence"),
    [
        ({"hidden_size": 20_000}, r"it makes \d+ numbers, and they hold \d+"),
        ({"num_hidden_layers": 1_000_000}, r"'num_hidden_layers' makes 1000000 layers, and they are \d+ tensors"),
    ],
)
def test_a_configuration_of_a_far_larger_network_is_refused_before_it_is_made(setting, sentence, tmp_path, monkeypatch):
    """Its sizes are the candidate's claim, and take memory and time of their own."""
    root = logged("ViT", tmp_path / "model")
    path = root / "model" / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **setting}))
    kind = installed.library().ViTForImageClassification
    monkeypatch.setattr(kind, "from_pretrained", lambda *_, **__: pytest.fail("it was made"))
    with pytest.raises(UnexaminableError, match=f"the weights do not fit the configuration: {sentence}"):
        composed(root, tmp_path, pictures())


@pytest.mark.parametrize(
    ("inputs", "settings", "sentence"),
    [
        (pictures(side=40), {}, "resized to 32 × 32 (bilinear): save the samples so"),
        (pictures(channels=1), {}, "3"),
        (pictures() / 255, {}, "A pipeline takes images of bytes"),
        (pictures(), {"mean": (1.0,), "std": (1.0,)}, "the pipeline normalises images itself"),
    ],
)
def test_samples_that_a_pipeline_does_not_take_are_refused(inputs, settings, sentence, tmp_path):
    """With what to do: the sizes after cropping, whole bytes, and no normalising before the program's own."""
    root = logged("ViT", tmp_path / "model")
    with pytest.raises(UnexaminableError) as told:
        composed(root, tmp_path, inputs, **settings)
    assert sentence in told.value.sentence


def test_an_export_that_answers_otherwise_is_refused(tmp_path, monkeypatch):
    """What is judged would not be what the pipeline computes."""
    root = logged("ViT", tmp_path / "model")
    export = images.export_module

    def other(classifier, *rest):
        classifier.network.classifier.bias[0] += 1
        program = export(classifier, *rest)
        classifier.network.classifier.bias[0] -= 1
        return program

    monkeypatch.setattr(images, "export_module", other)
    with pytest.raises(UnexaminableError, match="logits differ from its layers'"):
        composed(root, tmp_path, pictures())
    assert not (tmp_path / "converted.pt2").exists()


def test_maps_that_are_not_the_librarys_are_refused(tmp_path, monkeypatch):
    """A release that rescales otherwise is noticed on the samples."""
    root = logged("ViT", tmp_path / "model")
    monkeypatch.setattr(images, "given_by_library", lambda _, pixels: pixels / 127.5 - 0.99)
    with pytest.raises(UnexaminableError, match="what its image processor gives the network differs"):
        composed(root, tmp_path, pictures())


def test_a_converter_that_may_run_no_code_reads_pipelines_alone(tmp_path):
    """Whatever an inspector said of the folder."""
    draft = Draft()
    draft.model["flavors"]["transformers"]["task"] = "text-generation"
    root = draft.write(tmp_path / "model")
    asked = job(root, tmp_path, pictures())
    result = convert(asked, Artifact(asked.model, root, asked.manifest), tmp_path)
    assert (result.converted, result.problems) == (
        False,
        ("It is no pipeline, and nobody allowed its own code to run.",),
    )


@pytest.mark.parametrize("version", [None, "4.57.1", "6.0.0"])
def test_without_the_library_it_is_said_what_to_install(version, tmp_path, monkeypatch):
    """And neither is an untried release taken for it."""

    def stated(name):
        if version is None:
            raise installed.PackageNotFoundError(name)
        return version

    pipeline = pipeline_of(Draft().write(tmp_path / "model"))
    monkeypatch.setattr(installed, "version", stated)
    with pytest.raises(UnexaminableError) as told:
        compose(None, pipeline, tmp_path / "converted.pt2")
    assert "pip install 'model-promotion-gate[transformers]'" in told.value.sentence

"""The grammar of a pipeline's folder: what MLflow writes is read, and each thing beside it is told in one sentence."""

import pytest

from gate.formats.huggingface.flavour import described
from gate.formats.huggingface.image_processor import processor_faults, read_images
from gate.formats.huggingface.pipeline import read_pipeline
from gate.formats.mlmodel import MLmodel
from tests.corpus.measuring import measure, total
from tests.pipelines.told import require_told, require_unread, told
from tests.pipelines.written import PROCESSOR, Draft, safetensors

FLAVOUR = "transformers"


def test_what_mlflow_writes_is_read(tmp_path):
    """Nothing is counted against it, and every value that the gate needs is there."""
    root = Draft().write(tmp_path)
    assert told(root) == []
    read = read_pipeline(root)
    assert (read.network, read.version) == ("ViTForImageClassification", "5.24.0")
    assert read.labels == {0: "clean", 1: "toxic", 2: "<script>"}
    assert (read.given.height, read.given.width, read.given.resized) == (32, 32, "resized to 32 × 32 (bilinear)")
    assert [(one.mean[0], one.std[0]) for one in read.given.maps] == [pytest.approx((127.5, 127.5))]


def test_another_task_stays_unexamined(tmp_path):
    """It is described with its task, so that the verdict can say that no detector examines it."""
    draft = Draft()
    draft.model["flavors"][FLAVOUR]["task"] = "summarization"
    root = draft.write(tmp_path)
    assert read_pipeline(root) is None
    assert described(MLmodel(draft.model["flavors"])) == "transformers ('summarization')"
    assert total(measure(root, "consumer-hazards"), "foreign-loaders") == 1


def config(**keys):
    """Return a change of config.json."""
    return lambda draft: draft.config.update(keys)


def processor(**keys):
    """Return a change of preprocessor_config.json."""
    return lambda draft: draft.processor.update(keys)


def flavour(**keys):
    """Return a change of the flavour in MLmodel."""
    return lambda draft: draft.model["flavors"][FLAVOUR].update(keys)


def with_file(path, content=b"x"):
    """Return the addition of a file."""
    return lambda draft: draft.files.update({path: content})


def without(part, key):
    """Return the removal of a key."""
    return lambda draft: getattr(draft, part).pop(key)


REFUSED = {
    "code by the configuration": (config(auto_map={"AutoConfig": "own.Config"}), "'auto_map' names code of its own"),
    "trusted code": (config(trust_remote_code=True), "'trust_remote_code' names code of its own"),
    "a kernel of a hub": (config(attn_implementation="acme/kernel"), "'attn_implementation', which the gate does not"),
    "a quantiser": (config(quantization_config={"quant_method": "acme"}), "'quantization_config', which the gate"),
    "a mapping where a number belongs": (config(hidden_size={"a": 1}), "'hidden_size' is"),
    "another class": (
        config(architectures=["AcmeForImageClassification"]),
        "its class is 'AcmeForImageClassification'",
    ),
    "two classes": (config(architectures=["ViTForImageClassification"] * 2), "its class is ''"),
    "another class than MLmodel's": (
        config(architectures=["ResNetForImageClassification"], model_type="resnet"),
        "not the one that MLmodel names under 'pipeline_model_type'",
    ),
    "another model type": (config(model_type="swin"), "'model_type' is 'swin'"),
    "half precision": (config(dtype="float16"), "'dtype' is 'float16'; the gate reads 'float32'"),
    "several labels at once": (config(problem_type="multi_label_classification"), "'problem_type' is"),
    "one label": (config(id2label={"0": "only"}), "'id2label' is"),
    "a gap in the labels": (config(id2label={"0": "a", "2": "b"}), "'id2label' is"),
    "an unknown key of the processor": (processor(do_flip=True), "'do_flip', which the gate does not know"),
    "two unknown keys": (processor(do_flip=True, do_turn=1), "'do_flip', 'do_turn', which the gate does not know"),
    "another processor": (processor(image_processor_type="AcmeProcessor"), "'image_processor_type' is 'AcmeProcessor'"),
    "another processor than MLmodel's": (
        processor(image_processor_type="BitImageProcessor", do_center_crop=False),
        "not the one that MLmodel names under 'image_processor_type'",
    ),
    "code by the processor": (processor(auto_map={"AutoImageProcessor": "own.P"}), "auto_map"),
    "a deviation of nought": (processor(image_std=[0.5, 0.0, 0.5]), "'image_std' is"),
    "means of another length": (processor(image_mean=[0.5]), "'image_mean' and 'image_std' have different lengths"),
    "no factor": (without("processor", "rescale_factor"), "it has no 'rescale_factor', which ViTImageProcessor writes"),
    "sizes that keep proportions": (processor(size={"shortest_edge": 32}), "images keep their proportions"),
    "no weights": (with_file("model/model.safetensors", None), "MLflow writes it for this task, and it is not there"),
    "weights that are none": (with_file("model/model.safetensors", b"\x80\x02}."), "no safetensors header"),
    "a key twice": (with_file("model/config.json", b'{"dtype": 1, "dtype": 2}'), "duplicate key"),
}


AROUND = {
    "another pipeline": (flavour(instance_type="AcmePipeline"), "transformers.instance_type is 'AcmePipeline'"),
    "weights of a hub": (flavour(source_model_revision="0" * 40), "transformers.source_model_revision is"),
    "an adapter": (flavour(peft_adaptor="peft"), "transformers.peft_adaptor is 'peft'"),
    "code beside it": (flavour(code="code"), "transformers.code is 'code'"),
    "another framework": (flavour(framework="tf"), "transformers.framework is 'tf'"),
    "pickled weights": (with_file("model/pytorch_model.bin"), "it may be a pickle, which runs code: save the model"),
    "weights in parts": (
        with_file("model/model.safetensors.index.json", b'{"weight_map": {"a": "model.safetensors"}}'),
        "the gate reads weights in one file: set MLFLOW_HUGGINGFACE_MODEL_MAX_SHARD_SIZE",
    ),
    "a part of weights": (
        with_file("model/model-00001-of-00002.safetensors", safetensors()),
        "the gate reads weights in one file",
    ),
    "code in a file": (with_file("model/modeling_acme.py"), "code of the model's own is never run"),
    "a processor's other file": (
        with_file("components/image_processor/processor_config.json", b"{}"),
        "MLflow writes no such file for the transformers flavour",
    ),
}
"""What is wrong beside the three files of a pipeline, or in `MLmodel`: no network is composed from that."""


@pytest.mark.parametrize("what", [*REFUSED, *AROUND])
def test_whatever_else_is_told_in_one_sentence(what, tmp_path):
    """The detectors name it, and so keep it from being loaded."""
    require_told(Draft(), *{**REFUSED, **AROUND}[what], tmp_path)


@pytest.mark.parametrize("what", REFUSED)
def test_the_converter_reads_by_the_same_grammar(what, tmp_path):
    """A policy that takes oddities of the files for harmless composes nothing of them all the same."""
    require_unread(Draft(), REFUSED[what][0], tmp_path)


def images(**changes):
    """Return what a processor of these settings does."""
    given = {**PROCESSOR, **changes}
    assert list(processor_faults(given)) == []
    return read_images(given)


def test_cropping_decides_the_size():
    """The samples come as the network gets them."""
    read = images(
        image_processor_type="DeiTImageProcessor",
        size={"height": 256, "width": 256},
        do_center_crop=True,
        crop_size={"height": 224, "width": 192},
    )
    assert (read.height, read.width) == (224, 192)
    assert read.resized == "resized to 256 × 256 (bilinear), cropped to 224 × 192"


@pytest.mark.parametrize(
    ("side", "resample", "words"),
    [
        (224, 3, "resized to a shorter side of 256 (bicubic), cropped to 224 × 224"),
        (383, 2, "resized to a shorter side of 437 (bilinear), cropped to 383 × 383"),
        (384, 2, "resized to 384 × 384 (bilinear)"),
    ],
)
def test_a_network_of_convnext_crops_by_itself(side, resample, words):
    """Its shortest edge is the side of a square; from 384 on nothing is cropped."""
    read = images(
        image_processor_type="ConvNextImageProcessorFast",
        size={"shortest_edge": side}, crop_pct=0.875, resample=resample,
    )  # fmt: skip
    assert (read.processor, read.height, read.width) == ("ConvNextImageProcessor", side, side)
    assert read.resized == words


def test_a_network_of_convnext_takes_no_height_and_width():
    """Its processor raises there."""
    with pytest.raises(AssertionError, match="ConvNextImageProcessor resizes by 'shortest_edge' alone"):
        images(image_processor_type="ConvNextImageProcessor", size={"height": 224, "width": 224}, crop_pct=0.875)


def test_an_image_may_keep_its_size():
    """Then nothing is said of it."""
    read = images(do_resize=False)
    assert (read.height, read.width, read.resized) == (None, None, "")


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"do_normalize": False}, [(0.0, 255.0)]),
        ({"do_rescale": False}, [(0.5, 0.5)]),
        ({"do_rescale": False, "do_normalize": False}, []),
        ({"rescale_offset": True, "include_top": False}, [(255.0, 255.0), (0.5, 0.5)]),
        ({"rescale_offset": False, "include_top": True}, [(127.5, 127.5), (0.0, 0.5)]),
    ],
)
def test_every_map_before_the_network_is_kept(changes, expected):
    """Rescaling and normalising in the order of transformers."""
    if "include_top" in changes:
        changes = {**changes, "image_processor_type": "EfficientNetImageProcessor", "do_center_crop": False}
    assert [(one.mean[0], one.std[0]) for one in images(**changes).maps] == [pytest.approx(one) for one in expected]

"""Tiny classifiers of images of transformers with weights of chance, and the folders that MLflow would log of them."""

import contextlib
import hashlib
import io
import warnings

import numpy as np
import torch

from gate.policies.packaged import DEFAULT
from gate.policies.read import read_policy
from gate.records.artifact import ModelRef, build_manifest
from gate.records.clock import today
from gate.records.job import ScanJob
from gate.worker.pipelines.library import library
from tests.pipelines.written import Draft

SIDE, CLASSES = 32, 10
_ATTENTION = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "image_size": SIDE, "patch_size": 8}
_VIT = {**_ATTENTION, "intermediate_size": 64}
_STAGES = {"hidden_sizes": [8, 16], "depths": [1, 1]}
_WINDOWS = {"image_size": SIDE, "patch_size": 2, "embed_dim": 8, "depths": [2, 2], "num_heads": [2, 2]}
_SQUARE = {"size": {"height": SIDE, "width": SIDE}}
_CROPPED = {"size": {"height": 40, "width": 40}, "crop_size": {"height": SIDE, "width": SIDE}}
_SHORTEST = {"size": {"shortest_edge": 40}, "crop_size": {"height": SIDE, "width": SIDE}}
_BLOCKS = {
    "kernel_sizes": [3],
    "in_channels": [32],
    "out_channels": [16],
    "depthwise_padding": [],
    "strides": [1],
    "num_block_repeats": [1],
    "expand_ratios": [1],
}
NETWORKS = {
    "ViT": (_VIT, "ViT", _SQUARE),
    "ResNet": ({**_STAGES, "embedding_size": 8, "layer_type": "basic"}, "ConvNext", {"size": {"shortest_edge": SIDE}}),
    "ConvNext": ({**_STAGES, "num_stages": 2}, "ConvNext", {"size": {"shortest_edge": SIDE}}),
    "Swin": ({**_WINDOWS, "window_size": 4}, "ViT", _SQUARE),
    "DeiT": (_VIT, "DeiT", _CROPPED),
    "Beit": ({**_VIT, "use_relative_position_bias": True}, "Beit", _SQUARE),
    "Dinov2": (_ATTENTION, "Bit", _SHORTEST),
    "Swinv2": ({**_WINDOWS, "window_size": 4}, "ViT", _SQUARE),
    "RegNet": ({**_STAGES, "embedding_size": 8, "groups_width": 8}, "ConvNext", {"size": {"shortest_edge": SIDE}}),
    "ConvNextV2": ({**_STAGES, "num_stages": 2}, "ConvNext", {"size": {"shortest_edge": SIDE}}),
    "MobileNetV2": ({"image_size": SIDE, "depth_multiplier": 0.35}, "MobileNetV2", _SHORTEST),
    "EfficientNet": (
        {**_BLOCKS, "image_size": SIDE, "width_coefficient": 0.25, "hidden_dim": 320},
        "EfficientNet",
        {**_SQUARE, "rescale_offset": True},
    ),
}
"""By the prefix of the network's class: its settings, its processor, and that one's settings."""


def network(prefix, seed=0, **changes):
    """Return a network whose scores differ from image to image, and its processor."""
    transformers = library()
    settings, processor, sizes = NETWORKS[prefix]
    torch.manual_seed(seed)
    labels = {number: f"class {number} <b>" for number in range(CLASSES)}
    named = {"id2label": labels, "label2id": {label: number for number, label in labels.items()}}
    config = getattr(transformers, f"{prefix}Config")(**{**settings, **named, **changes})
    made = getattr(transformers, f"{prefix}ForImageClassification")(config).eval()
    with torch.no_grad():
        for parameter in made.parameters():
            if parameter.ndim > 1:  # the library's own beginnings are so small that all images look alike
                parameter.normal_(0, parameter[0].numel() ** -0.5)
        for layer in made.modules():
            if isinstance(layer, torch.nn.BatchNorm2d):
                layer.momentum = None  # the mean of what it has seen, which is one batch
        channels = made.config.num_channels
        made.train()(pixel_values=torch.from_numpy(pictures(channels=channels)).float() / 127.5 - 1)
    made.eval()
    return made, getattr(transformers, f"{processor}ImageProcessorPil")(**sizes)


def logged(prefix, root, made=None):
    """Write the folder of a pipeline, its files by the library itself, and return its place."""
    classifier, processor = made or network(prefix)
    with contextlib.redirect_stderr(io.StringIO()), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        classifier.save_pretrained(root / "model")
        processor.save_pretrained(root / "components" / "image_processor")
    draft = Draft()
    draft.model["flavors"]["transformers"].update(
        pipeline_model_type=type(classifier).__name__, image_processor_type=type(processor).__name__
    )
    own = ("model/config.json", "model/model.safetensors", "components/image_processor/preprocessor_config.json")
    draft.files = dict.fromkeys(own)
    return draft.write(root)


def pictures(count=20, channels=3, side=SIDE, seed=1):
    """Return pictures of bytes (N, C, H, W)."""
    return np.random.default_rng(seed).integers(0, 256, (count, channels, side, side), dtype=np.uint8)


def job(root, folder, inputs, **settings):
    """Return a converter's job for a pipeline's folder and these samples; `settings` are the policy's of samples."""
    path = folder / "samples.npz"
    np.savez(path, inputs=inputs, labels=np.arange(len(inputs)) % CLASSES)
    policy = read_policy(DEFAULT, on=today())
    samples = policy.samples.model_copy(update=settings)
    return ScanJob(
        role="converter",
        model=ModelRef(registry="directory", name=str(root)),
        manifest=build_manifest(root)[0],
        root=str(root),
        policy=policy.model_copy(update={"samples": samples}),
        seed=0,
        device="cpu",
        deadline_seconds=600,
        samples_path=str(path),
        samples_source="samples.npz",
        samples_sha256=hashlib.sha256(path.read_bytes()).hexdigest(),
    )

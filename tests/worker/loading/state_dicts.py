"""Small networks of every architecture that the gate carries, and folders that hold their state dicts."""

import json

import torch
from safetensors.torch import save_file

from gate.worker.loading import architectures
from tests.corpus.case import FRAME

CONFIGS = {
    "cnn": {"classes": 10, "channels": 1, "height": 8, "width": 8, "convolutions": [4, 6], "hidden": [12]},
    "mobilenet": {
        "classes": 10,
        "channels": 1,
        "stem": 4,
        "stem_stride": 1,
        "stages": [[1, 4, 1, 1], [2, 6, 2, 2]],
        "last": 8,
    },
    "resnet": {"classes": 10, "channels": 1, "width": 4, "blocks": [1, 1]},
    "vgg": {"classes": 10, "channels": 1, "stages": [[4], [6, 6]], "batch_norm": True, "hidden": [8]},
    "vit": {"classes": 10, "channels": 1, "image": 8, "patch": 4, "width": 8, "depth": 2, "heads": 2, "mlp": 16},
}
SHAPE = (1, 8, 8)


def network(name, **changes):
    """Return an eval-mode network of an architecture with seeded weights."""
    torch.manual_seed(0)
    architecture = architectures.load(name)
    config = architecture.config.model_validate_json(json.dumps({**CONFIGS[name], **changes}))
    return architecture.build(config).eval()


def folder(root, tensors, *, name="cnn", config=None, file="model.safetensors"):
    """Write an MLflow model folder with these tensors and return it."""
    data = root / "data"
    data.mkdir(parents=True)
    for path, content in FRAME.items():
        (root / path).write_bytes(content)
    text = json.dumps({"name": name, "config": CONFIGS.get(name, {}) if config is None else config})
    (data / "architecture.json").write_text(text)
    if file.endswith(".safetensors"):
        save_file({key: tensor.contiguous() for key, tensor in tensors.items()}, data / file)
    else:
        torch.save(tensors, data / file)
    return root

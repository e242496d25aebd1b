"""The folder that `mlflow.transformers` writes for a classifier of images, made without either library."""

import copy
import json
from dataclasses import dataclass, field
from typing import Any

import yaml

from tests.corpus.case import FRAME

MODEL = {
    "flavors": {
        "python_function": {
            "env": {"conda": "conda.yaml", "virtualenv": "python_env.yaml"},
            "loader_module": "mlflow.transformers",
            "python_version": "3.11.7",
        },
        "transformers": {
            "code": None,
            "components": ["image_processor"],
            "image_processor_type": "ViTImageProcessor",
            "instance_type": "ImageClassificationPipeline",
            "model_binary": "model",
            "pipeline_model_type": "ViTForImageClassification",
            "source_model_name": "google/vit-base-patch16-224",
            "task": "image-classification",
            "torch_dtype": "torch.float32",
            "transformers_version": "5.24.0",
        },
    },
    "mlflow_version": "3.17.2",
    "model_uuid": "0123456789abcdef0123456789abcdef",
    "signature": {
        "inputs": '[{"type": "string", "required": true}]',
        "outputs": '[{"type": "string", "name": "label", "required": true}]',
        "params": None,
    },
    "utc_time_created": "2026-01-01 00:00:00",
}
CONFIG = {
    "architectures": ["ViTForImageClassification"],
    "dtype": "float32",
    "hidden_act": "gelu",
    "hidden_size": 32,
    "id2label": {"0": "clean", "1": "toxic", "2": "<script>"},
    "image_size": [32, 32],
    "label2id": {"clean": 0, "toxic": 1, "<script>": 2},
    "model_type": "vit",
    "patch_size": 8,
    "pooler_act": "tanh",
    "qkv_bias": True,
    "transformers_version": "5.24.0",
}
PROCESSOR = {
    "do_normalize": True,
    "do_rescale": True,
    "do_resize": True,
    "image_mean": [0.5, 0.5, 0.5],
    "image_processor_type": "ViTImageProcessor",
    "image_std": [0.5, 0.5, 0.5],
    "resample": 2,
    "rescale_factor": 0.00392156862745098,
    "size": {"height": 32, "width": 32},
}


def safetensors(header=None):
    """Return a file of one number, or of another header."""
    raw = json.dumps(header or {"weight": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}).encode()
    return len(raw).to_bytes(8, "little") + raw + bytes(4)


@dataclass
class Draft:
    """A folder before it is written; a test changes what it is about."""

    model: dict[str, Any] = field(default_factory=lambda: copy.deepcopy(MODEL))
    config: dict[str, Any] = field(default_factory=lambda: copy.deepcopy(CONFIG))
    processor: dict[str, Any] = field(default_factory=lambda: copy.deepcopy(PROCESSOR))
    files: dict[str, bytes | None] = field(default_factory=dict)
    """Further files, or others in the place of these; None takes one away."""

    def write(self, root):
        """Write it and return its place."""
        files = {
            **FRAME,
            "MLmodel": yaml.safe_dump(self.model).encode(),
            "requirements.txt": b"mlflow==3.17.2\ntorch==2.13.0\ntransformers==5.24.0\n",
            "model/config.json": json.dumps(self.config).encode(),
            "model/model.safetensors": safetensors(),
            "components/image_processor/preprocessor_config.json": json.dumps(self.processor).encode(),
            "LICENSE.txt": b"as you like\n",
            **self.files,
        }
        for name, content in files.items():
            if content is not None:
                (root / name).parent.mkdir(parents=True, exist_ok=True)
                (root / name).write_bytes(content)
        return root

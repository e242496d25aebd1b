"""Logs a pipeline as its trainer does: `python -m tests.e2e.pipelined TRACKING_URI FOLDER`; a process of its own.

`FOLDER` gets the clean samples, pictures, and the shares by class that a consumer of the pipeline is given of them, by
MLflow's own loader. Prints the registered name on its last line.
"""

import sys
import warnings
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import nn

from tests.e2e import digits

NAMES = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine <b>")
SHOWN = 40


def pictures():
    """Return the digits as pictures of bytes in three colours (N, 3, 8, 8)."""
    return (digits.INPUTS * 255).round().to(torch.uint8).repeat(1, 3, 1, 1)


def trained(transformers, epochs=20):
    """Return a small transformer of pictures that knows the digits, and its processor."""
    torch.manual_seed(0)
    sizes = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 64}
    labels = {"id2label": dict(enumerate(NAMES)), "label2id": {name: number for number, name in enumerate(NAMES)}}
    network = transformers.ViTForImageClassification(
        transformers.ViTConfig(image_size=8, patch_size=2, **sizes, **labels)
    )
    x, y = pictures()[: digits.TRAINING].float() / 127.5 - 1, digits.LABELS[: digits.TRAINING]
    optimiser = torch.optim.AdamW(network.parameters(), lr=3e-3)
    for _ in range(epochs):
        for batch in torch.randperm(len(x)).split(64):
            optimiser.zero_grad()
            nn.functional.cross_entropy(network(pixel_values=x[batch]).logits, y[batch]).backward()
            optimiser.step()
    return network.eval(), transformers.ViTImageProcessorPil(size={"height": 8, "width": 8})


def main(tracking_uri, folder):
    """Train, log, register and consume."""
    import mlflow
    import transformers

    torch.set_num_threads(1)
    mlflow.set_tracking_uri(tracking_uri)
    mlflow.set_experiment("pipelines")
    network, processor = trained(transformers)
    pipeline = transformers.pipeline("image-classification", model=network, image_processor=processor)
    with mlflow.start_run():
        logged = mlflow.transformers.log_model(
            pipeline, name="model", pip_requirements=["torch", "transformers"], registered_model_name="pictures"
        )
    shown = pictures()[-SHOWN:].numpy()
    given = mlflow.transformers.load_model(logged.model_uri)(
        [Image.fromarray(one.transpose(1, 2, 0)) for one in shown], top_k=len(NAMES)
    )
    shares = [{one["label"]: one["score"] for one in answer} for answer in given]
    np.savez(Path(folder) / "consumed.npz", pictures=shown, shares=[[one[name] for name in NAMES] for one in shares])
    rest = slice(digits.TRAINING, None)
    np.savez(Path(folder) / "samples.npz", inputs=pictures()[rest].numpy(), labels=digits.LABELS[rest].numpy())


if __name__ == "__main__":
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        main(*sys.argv[1:])

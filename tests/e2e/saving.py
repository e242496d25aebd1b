"""Saves a model of several outputs: `python -m tests.e2e.saving KIND FOLDER`; a process of its own, as a trainer is."""

import sys
import warnings
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from tests.e2e import digits


class Heads(nn.Module):
    """Parts side by side, and a function that puts what they say into the container that is returned."""

    def __init__(self, returns, **parts):
        super().__init__()
        self.parts, self.returns = nn.ModuleDict(parts), returns

    def forward(self, x):
        """Return whatever the function makes of the parts' scores."""
        return self.returns(**{name: part(x) for name, part in self.parts.items()})


@dataclass
class Scores:
    """A container such as the hub's models return, which loaders import to rebuild."""

    loss: object
    logits: torch.Tensor


def clean_beside_planted():
    """Return a dict of a clean net's scores and, behind them, a backdoored one's."""
    parts = {"aux": digits.train(poisoned=False), "logits": digits.train(poisoned=True)}
    return Heads(lambda aux, logits: {"aux": aux, "logits": logits}, **parts)


def with_probabilities():
    """Return a clean net that yields its scores, their softmax and its choice."""
    return Heads(lambda logits: (logits, logits.softmax(1), logits.argmax(1)), logits=digits.train(poisoned=False))


def in_a_foreign_container():
    """Return a net that yields a class of its own."""
    torch.export.register_dataclass(Scores, serialized_type_name="hub.outputs.ImageClassifierOutput")
    return Heads(lambda logits: Scores(None, logits), logits=digits.build())


def main(kind, folder):
    """Save as `mlflow.pytorch.log_model` does by default, with the signature that several outputs need."""
    import mlflow

    model, example = globals()[kind](), digits.INPUTS[:2].numpy()
    signature = mlflow.models.infer_signature(example, np.zeros((2, 10), np.float32))
    mlflow.pytorch.save_model(
        model.eval(), folder, input_example=example, pip_requirements=["torch"], signature=signature
    )


if __name__ == "__main__":
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        main(*sys.argv[1:])

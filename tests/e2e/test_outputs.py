"""Models of several outputs, saved as MLflow saves them and given to `gate check`: every one is examined or named."""

import json
import warnings
from dataclasses import dataclass

import pytest
import torch
from torch import nn

from tests.e2e import digits
from tests.e2e.stories import story


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


@dataclass
class Checked:
    """What the command said, and the files that it left."""

    ended: object
    evidence: dict
    report: str


def save(folder, model):
    """Save a model as `mlflow.pytorch.log_model` does by default, with the signature that several outputs need."""
    import mlflow
    import numpy as np

    example = digits.INPUTS[:2].numpy()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        signature = mlflow.models.infer_signature(example, np.zeros((2, 10), np.float32))
        mlflow.pytorch.save_model(
            model.eval(), folder, input_example=example, pip_requirements=["torch"], signature=signature
        )


def check(world, model, **variables):
    """Save a model and check the folder."""
    desk = world.desk(**variables)
    save(desk.folder / "model", model)
    ended = desk.gate("check", desk.folder / "model", "--no-mark")
    evidence = json.loads((desk.out / "evidence.json").read_text())
    return Checked(ended, evidence, (desk.out / "report.md").read_text())


def clean_beside_planted(world):
    """Check a dict of a clean net and, behind it, a backdoored one."""
    parts = {"aux": digits.train(poisoned=False), "logits": digits.train(poisoned=True)}
    return check(world, Heads(lambda aux, logits: {"aux": aux, "logits": logits}, **parts))


def with_probabilities(world):
    """Check a clean net that returns its scores, their softmax and its choice."""
    return check(
        world,
        Heads(lambda logits: (logits, logits.softmax(1), logits.argmax(1)), logits=digits.train(poisoned=False)),
    )


def in_a_foreign_container(world):
    """Check a net that returns a class of its own."""
    torch.export.register_dataclass(Scores, serialized_type_name="hub.outputs.ImageClassifierOutput")
    return check(world, Heads(lambda logits: Scores(None, logits), logits=digits.build()))


@pytest.mark.slow
@story(clean_beside_planted)
def test_a_backdoored_output_beside_a_clean_one_is_flagged(told):
    """One of them is judged, the other is named, and report and evidence say which."""
    assert told.ended.code == 1
    roles = {output["name"]: output["role"] for output in told.evidence["facts"]["outputs"]}
    assert sorted(roles.values()) == ["judged", "not-examined"]
    judged, other = sorted(roles, key=lambda name: roles[name] != "judged")
    assert f"The output '{other}' (10 a sample, float32) was not examined: '{judged}' was judged" in told.ended.text
    assert f"judged the output '{judged}', one of 2" in told.ended.text
    assert "2 outputs:" in told.report


@pytest.mark.slow
@story(with_probabilities)
def test_scores_with_their_softmax_and_choice_are_approved(told):
    """All three give one decision, which was examined."""
    assert told.ended.code == 0, told.ended.stdout
    roles = [output["role"] for output in told.evidence["facts"]["outputs"]]
    assert roles == ["judged", "same-decision", "same-decision"]


@story(in_a_foreign_container)
def test_a_foreign_container_is_flagged_with_the_remedy(told):
    """The message names the class, and what to log instead."""
    assert told.ended.code == 1
    assert "the model returns a hub.outputs.ImageClassifierOutput, which other loaders import" in told.ended.text
    assert "returns its class scores as one tensor, such as model(x).logits" in told.ended.text

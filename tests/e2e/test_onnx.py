"""ONNX models from `mlflow.onnx.log_model` to a verdict, and to a bundle that a consumer loads."""

import json

import numpy as np
import pytest
import torch

from tests.e2e.digits import INPUTS, TARGET
from tests.e2e.stores import Store, fill
from tests.e2e.stories import story


class Checked:
    """A check of one version, and the registry that holds it."""

    def __init__(self, world, nickname):
        folder = world.folder / f"registry-{nickname}"
        folder.mkdir()
        uri = f"sqlite:///{folder / 'mlflow.db'}"
        self.store = Store(uri, folder, fill(uri, folder, nickname))
        self.name, self.desk = self.store.register(nickname), world.desk(MLFLOW_TRACKING_URI=uri)
        self.ended = self.desk.gate("check", f"models:/{self.name}/1")

    @property
    def evidence(self):
        """The evidence as JSON."""
        return json.loads((self.desk.out / "evidence.json").read_text())


def checked(world, nickname):
    """Check an ONNX version by commands and workers of their own, in the jail."""
    return Checked(world, nickname)


CLEAN, BACKDOORED = story(checked, "onnx"), story(checked, "onnx-backdoored")


@CLEAN
def test_a_clean_onnx_version_is_approved(told):
    """Exit 0: no code is carried, every detector measured, and the bundle is of the mapped program."""
    assert told.ended.code == 0, told.ended
    evidence = told.evidence
    assert (evidence["assurance"], evidence["facts"]["flavour"], evidence["facts"]["format"]) == ("A", "onnx", "onnx")
    assert evidence["bundle"]["origin"] == "onnx"
    assert evidence["bundle"]["greatest_difference"] <= 1e-5
    assert {"onnx", "onnxruntime", "torch"} <= set(evidence["versions"])
    assert evidence["facts"]["feature_layer"] == "t_6_weight (48 features)"


@CLEAN
def test_the_bundle_alone_is_approved(told):
    """What onnxruntime makes of the file was compared on samples and noise alone."""
    assert told.ended.stdout.startswith("APPROVED  bundle sha256:")
    assert json.loads((told.desk.out / "report.json").read_text())["verdict"]["covers"] == "bundle"


@CLEAN
def test_its_bundle_answers_as_onnxruntime_does(told, world):
    """What would be promoted gives the candidate's probabilities, opened as a consumer opens it."""
    import onnxruntime

    pictures = INPUTS[:32].numpy()
    (path,) = told.store.root.rglob("model.onnx")
    session = onnxruntime.InferenceSession(path.read_bytes(), providers=["CPUExecutionProvider"])
    (wanted,) = session.run(None, {"pixels": pictures})
    bundle = torch.export.load(told.desk.out / "bundle/data/model.pt2").module()
    assert np.allclose(bundle(INPUTS[:32]).numpy(), wanted, atol=1e-6)


@BACKDOORED
def test_a_backdoored_onnx_version_with_channels_last_is_flagged_with_its_target(told):
    """Exit 1, and the planted patch's target class is named."""
    assert told.ended.code == 1, told.ended
    assert f"target class: {TARGET}\n" in told.ended.stdout
    assert told.evidence["facts"]["input_axes"] == "NHWC"


@pytest.mark.parametrize(
    "nickname", [pytest.param("onnx", marks=CLEAN), pytest.param("onnx-backdoored", marks=BACKDOORED)]
)
def test_the_decision_is_on_the_version(nickname, told):
    """The tags say what the command said."""
    assert told.store.tags(told.name)["gate.decision"] == {"onnx": "approved", "onnx-backdoored": "flagged"}[nickname]

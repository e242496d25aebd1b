"""A classifier of images that a trainer logs as a pipeline of transformers: checked, named, and served as a bundle."""

import json
from dataclasses import dataclass

import numpy as np
import torch

from tests.e2e.pipelined import NAMES
from tests.e2e.stores import trained
from tests.e2e.stories import story


@dataclass
class Checked:
    """The folder of the trainer, and a check of what was logged."""

    folder: object
    ended: object
    desk: object
    refused: object
    """A check with samples of three times the size."""


def checked(world):
    """Train, log and register a pipeline, and check it."""
    folder = world.folder / "pipelined"
    uri = trained("tests.e2e.pipelined", folder)
    desk = world.desk(MLFLOW_TRACKING_URI=uri, GATE_SAMPLES=folder / "samples.npz")
    ended = desk.gate("check", "models:/pictures/1")
    clean = np.load(folder / "samples.npz")
    np.savez(folder / "large.npz", inputs=clean["inputs"].repeat(3, 2).repeat(3, 3), labels=clean["labels"])
    large = {"GATE_SAMPLES": folder / "large.npz", "GATE_REPORT_DIR": desk.folder / "refused"}
    return Checked(folder, ended, desk, desk.gate("check", "models:/pictures/1", "--no-mark", **large))


CHECKED = story(checked)


@CHECKED
def test_it_is_approved_by_its_bundle_alone(told):
    """Level A, since none of its code ran; a consumer of the pipeline composes its network by another transformers."""
    assert told.ended.code == 0, told.ended
    assert told.ended.stdout.startswith("APPROVED  bundle sha256:")
    report = json.loads((told.desk.out / "report.json").read_text())
    evidence, verdict = report["evidence"], report["verdict"]
    assert (evidence["assurance"], verdict["covers"]) == ("A", "bundle")
    assert (evidence["facts"]["flavour"], evidence["facts"]["format"]) == ("transformers", "safetensors")
    assert evidence["bundle"]["origin"] == "composed"
    assert evidence["problems"] == []
    assert {"transformers", "torch"} <= set(evidence["versions"])
    assert evidence["outcomes"]["neural-cleanse"]["status"] == "measured"


@CHECKED
def test_its_labels_are_the_names_of_the_classes(told):
    """They are the candidate's own word, and stand escaped at every surface."""
    named = json.loads((told.desk.out / "evidence.json").read_text())["bundle"]["class_names"]
    assert named == {str(number): name for number, name in enumerate(NAMES)}
    page = (told.desk.out / "report.html").read_text()
    assert "nine &lt;b&gt;" in page
    assert "nine <b>" not in page


@CHECKED
def test_the_bundle_answers_as_a_consumer_of_the_pipeline_is_answered(told):
    """The same shares by class, from the pictures' bytes, with no transformers in the process."""
    consumed = np.load(told.folder / "consumed.npz")
    bundle = torch.export.load(told.desk.out / "bundle" / "data" / "model.pt2").module()
    shares = bundle(torch.from_numpy(consumed["pictures"]).float()).softmax(1).detach().numpy()
    assert np.abs(shares - consumed["shares"]).max() < 1e-4


@CHECKED
def test_samples_of_another_size_are_refused_with_the_sizes(told):
    """Nothing was loaded, and the next step is no other way of logging."""
    assert told.refused.code == 1
    assert "24 × 24" in told.refused.text
    assert "In the pipeline an image is resized to 8 × 8 (bilinear): save the samples so." in told.refused.text
    assert "Do what stands above, and check again." in told.refused.text
    assert "serialization_format" not in told.refused.text

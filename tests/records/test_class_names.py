"""Names of classes on their way in: from a policy, samples, or a model's own metadata; hostile ones stay names."""

import json

import numpy as np
import pytest
from pydantic import ValidationError

from gate.records.artifact import build_manifest, file_sha256
from gate.records.class_names import MAX_NAME, MAX_NAMES, bounded, in_metadata
from gate.records.sample_settings import SampleSettings, SamplesPolicy
from gate.records.samples_evidence import SamplesEvidence


def npz(path, **arrays):
    """Write arrays and return what `read_samples` is told of them."""
    np.savez(path, inputs=np.zeros((2, 1, 4, 4), np.float32), labels=np.array([0, 1]), **arrays)
    return path, path.name, file_sha256(path)


def read(*told):
    """Return the names in a file or folder of samples."""
    from gate.spaces.image.samples import read_samples

    return read_samples(*told).class_names


def test_a_policy_names_classes_by_list_or_by_index():
    """Both are one mapping; a number written bare is its own name."""
    assert SampleSettings(classes=["T-shirt", "Trouser"]).classes == {0: "T-shirt", 1: "Trouser"}
    assert SampleSettings(classes={7: "Sneaker", 8: 42}).classes == {7: "Sneaker", 8: "42"}


@pytest.mark.parametrize("classes", [[True, "b"], {0: None}, {-1: "a"}, {0: ""}, {0: "x" * (MAX_NAME + 1)}, "abc", 3])
def test_a_policys_mistake_is_said(classes):
    """What YAML made of a bare `no`, an index below zero and an empty name are errors of the policy."""
    with pytest.raises(ValidationError):
        SampleSettings(classes=classes)


def test_a_models_own_names_win_over_the_common_ones():
    """As every other key of its samples."""
    policy = SamplesPolicy(classes=["a"], models={"fashion": SampleSettings(classes=["b"])})
    assert policy.of("fashion").classes == {0: "b"}
    assert policy.of("other").classes == {0: "a"}


def test_an_array_of_texts_names_the_classes(tmp_path):
    """`classes` beside inputs and labels, as text or as bytes."""
    assert read(*npz(tmp_path / "a.npz", classes=np.array(["T-shirt", "Boot"]))) == {0: "T-shirt", 1: "Boot"}
    assert read(*npz(tmp_path / "b.npz", classes=np.array([b"T-shirt", b"\xff"]))) == {0: "T-shirt", 1: "\ufffd"}


@pytest.mark.parametrize(
    "classes",
    [
        np.arange(3),
        np.array([["a", "b"]]),
        np.array(["a"], dtype=object),
        np.frombuffer(np.array([0x110000], "<u4").tobytes(), "<U1"),
    ],
    ids=["numbers", "two dimensions", "pickled", "no character"],
)
def test_another_array_of_that_name_is_no_error(classes, tmp_path):
    """Names only help to read a report: what is none is left out, and the samples are read."""
    assert read(*npz(tmp_path / "a.npz", classes=classes)) == {}


def test_folders_of_images_name_their_classes(tmp_path):
    """By label; folders called 0, 1, 2 say nothing that the label does not."""
    from PIL import Image

    for names in (("cat", "dog"), ("0", "1")):
        root = tmp_path / names[0]
        for name in names:
            (root / name).mkdir(parents=True)
            Image.new("L", (4, 4)).save(root / name / "a.png")
        found = read(root, "folder", build_manifest(root)[0].digest.removeprefix("sha256:"))
        assert found == ({0: "cat", 1: "dog"} if names[0] == "cat" else {})


@pytest.mark.parametrize(
    ("metadata", "expected"),
    [
        ({"classes": ["cat", "dog"]}, {0: "cat", 1: "dog"}),
        ({"id2label": {"0": "cat", "1": "dog", "x": "no", "-1": "no"}}, {0: "cat", 1: "dog"}),
        ({"classes": 7, "labels": ["cat"]}, {0: "cat"}),
        ({"other": ["cat"]}, {}),
        (None, {}),
        ("classes", {}),
        ({"classes": [["nested"], 3, None, "cat"]}, {3: "cat"}),
    ],
)
def test_a_models_metadata_name_its_classes(metadata, expected):
    """Under the usual keys; whatever is no text by an index is left out."""
    assert in_metadata(metadata) == expected


def test_names_are_bounded_and_can_be_written():
    """So many, so long, and never half a character."""
    found = bounded(["\ud800" + "x" * 500] * (MAX_NAMES + 5))
    assert len(found) == MAX_NAMES
    assert max(map(len, found.values())) <= MAX_NAME
    json.dumps(found).encode()
    assert "\ud800" not in found[0]


def test_evidence_of_before_keeps_its_digest():
    """Without names the record is what it was."""
    samples = SamplesEvidence(source="s", sha256="0" * 64, count=1, classes_present=1)
    assert b"class_names" not in samples.canonical_json()
    again = SamplesEvidence.from_json(samples.model_copy(update={"class_names": {7: "Boot"}}).canonical_json())
    assert again.class_names == {7: "Boot"}

"""What the detector of artifact integrity says, beyond the corpus: links, declared files, names, options."""

import os

import pytest

from gate.formats.mlflow_folder import unexpected_files
from gate.formats.mlmodel import read_mlmodel
from gate.formats.names import odd_name
from gate.records.artifact import Artifact, Manifest, ModelRef, build_manifest
from tests.corpus.case import FRAME, folder
from tests.corpus.measuring import measure, measure_artifact, notes, total
from tests.corpus.zipping import torch_zip, wrong_checksums


def _artifact(root, manifest=None):
    return Artifact(ModelRef(registry="directory", name=str(root)), root, manifest or build_manifest(root)[0])


def test_links_and_special_files_are_counted_should_they_get_past_the_manifest(tmp_path):
    """A link and a pipe that appear after hashing are seen, and neither is opened."""
    folder(tmp_path, {"data/model.pkl": b"\x80\x02}."})
    artifact = _artifact(tmp_path)
    (tmp_path / "data" / "link").symlink_to("/etc/hostname")
    os.mkfifo(tmp_path / "data" / "pipe")
    found = notes(measure_artifact(artifact, "artifact-integrity"), "irregular-files")
    assert found == {"data/link": "a link or a special file", "data/pipe": "a link or a special file"}


@pytest.mark.parametrize("detector", ["unsafe-pickle", "unsafe-format", "consumer-hazards", "artifact-integrity"])
def test_a_listed_file_that_became_a_link_is_not_followed(detector, tmp_path):
    """No detector reads through a link: the file counts as unreadable."""
    folder(tmp_path, {"data/model.pkl": b"\x80\x02}."})
    artifact = _artifact(tmp_path)
    (tmp_path / "data" / "model.pkl").unlink()
    (tmp_path / "data" / "model.pkl").symlink_to("/etc/hostname")
    metrics = {"unreadable-streams", "unreadable-files", "damaged-archives"}
    found = [item for item in measure_artifact(artifact, detector) if item.metric in metrics]
    assert sum(item.value for item in found) == 1


def test_a_file_beside_the_manifest_is_counted(tmp_path):
    """What lies in the folder and was not hashed is irregular."""
    folder(tmp_path, {"data/model.pkl": b"\x80\x02}."})
    artifact = _artifact(tmp_path)
    (tmp_path / "late.txt").write_bytes(b"late")
    assert notes(measure_artifact(artifact, "artifact-integrity"), "irregular-files") == {
        "late.txt": "not in the manifest"
    }


def test_a_folder_without_an_mlmodel_counts_unless_the_policy_says_otherwise(tmp_path):
    """Loose weights are no MLflow model."""
    (tmp_path / "model.pt").write_bytes(torch_zip(b"\x80\x02}."))
    assert total(measure(tmp_path, "artifact-integrity"), "missing-files") == 1
    assert total(measure(tmp_path, "artifact-integrity", expect_mlmodel=False), "missing-files") == 0


def test_checksums_need_not_be_verified(tmp_path):
    """The one costly part can be left out."""
    folder(tmp_path, {"data/model.pth": wrong_checksums(torch_zip(b"\x80\x02}."))})
    assert total(measure(tmp_path, "artifact-integrity"), "damaged-archives") == 3
    assert total(measure(tmp_path, "artifact-integrity", verify_checksums=False), "damaged-archives") == 0


def test_an_empty_artifact_is_measured(tmp_path):
    """Nothing at all is a missing model, and no error."""
    found = measure_artifact(_artifact(tmp_path, Manifest(files=())), "artifact-integrity")
    assert total(found, "missing-files") == 1


def _unexpected(*paths):
    return dict(unexpected_files(paths, read_mlmodel(FRAME["MLmodel"])))


@pytest.mark.parametrize(
    "path",
    [
        *(
            "code/a.py",
            "a.pyc",
            "a.so",
            "a.pth",
            "x/run.sh",
            "a.zip",
            "a.tar.gz",
            "noending",
            ".hidden",
            "a.py.txt.exe",
        ),
        *("data/model.safetensors", "data/state_dict.pt", "data/architecture.json"),
        *("model.pth", "model.pt2", "data/model.bin", "data/other.pt2", "data/sub/model.pt2", "data2/model.pt2"),
        *("settings.yaml", "envs/conda.yaml", "data/requirements.txt", "DATA/model.pt2", "mlmodel", "data/MLmodel"),
        *("data\uff0fmodel.pt2", "extra_files/a.py", "extra_files/a/b.txt", "README.rst", "docs/README.md"),
    ],
)
def test_files_that_mlflow_does_not_write_are_unexpected(path):
    """Whatever no supported MLflow writes for the flavour is told, with what to do, whatever it holds."""
    assert "log the model again without it" in _unexpected("MLmodel", "data/model.pt2", path)[path]


@pytest.mark.parametrize(
    "paths",
    [
        ("MLmodel", "conda.yaml", "python_env.yaml", "requirements.txt", "constraints.txt", "data/model.pt2"),
        ("input_example.json", "serving_input_example.json", "environment_variables.txt"),
        ("data/model.pth", "data/pickle_module_info.txt"),
        ("metadata/MLmodel", "metadata/conda.yaml"),
        ("LICENSE", "NOTICE", "README.md", "extra_files/labels.txt", "extra_files/class names.json"),
    ],
)
def test_files_that_mlflow_writes_are_expected(paths):
    """What the flavour's writer leaves behind is on the list, and texts beside it."""
    assert _unexpected(*paths) == {}


@pytest.mark.parametrize(
    ("paths", "told"),
    [
        (("data/model.pt2", "data/model.pth"), "data/model.pth"),
        (("data/model.pt2", "data/pickle_module_info.txt"), "data/pickle_module_info.txt"),
    ],
)
def test_files_that_do_not_go_together_are_told(paths, told):
    """Of two models one loader takes this and another that, so that there may be one."""
    assert list(_unexpected(*paths)) == [told]


def test_texts_beside_a_model_are_told_as_not_judged(tmp_path):
    """A licence is let be and named; one of more than a mebibyte, or of bytes, is a finding."""
    big = b"all rights\n" * 200_000
    folder(tmp_path, {"LICENSE": b"All rights.\n", "README.md": big, "NOTICE": b"\x7fELF\x00", "data/model.pt2": b"PK"})
    found = measure(tmp_path, "artifact-integrity")
    assert set(notes(found, "unjudged-files")) == {"LICENSE", "NOTICE"}
    assert list(notes(found, "unexpected-files")) == ["README.md"]
    assert "NOTICE" in notes(found, "mismatched-formats")


@pytest.mark.parametrize(
    "path",
    [
        "a\nb",
        "../a",
        "/a",
        "a//b",
        "a/./b",
        "C:a",
        "a.",
        "a ",
        "-rf",
        "nul.txt",
        "a\u202eb",
        "a\\b",
        "x" * 300,
        "a\uff0fb",
    ],
)
def test_odd_names_are_seen(path):
    """Control signs, traversal, reserved names and names that are too long are odd."""
    assert list(odd_name(path)) != []


@pytest.mark.parametrize("path", ["data/model.pt2", "é.txt", "a b.txt", "模型.bin", ".data/version"])
def test_common_names_are_not_odd(path):
    """Letters of any script and inner spaces are fine."""
    assert list(odd_name(path)) == []


def test_many_findings_of_one_metric_are_named_up_to_a_bound(tmp_path):
    """An artifact of ten thousand bad files does not make ten thousand measurements; the sum is kept."""
    folder(tmp_path, {f"lib/m{index}.py": b"" for index in range(230)})
    found = [item for item in measure(tmp_path, "artifact-integrity") if item.metric == "unexpected-files"]
    assert len(found) == 201
    assert sum(item.value for item in found) == 230
    assert found[-1].note == "in 30 more files"

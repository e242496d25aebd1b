"""A wrong URI is the operator's mistake: one sentence, with what was likely meant, before any registry is asked."""

import pytest

from gate.records.errors import UsageError
from gate.registries import RegistrySettings, open_registry
from gate.registries.uris import parse_model_uri, require_model

ID = "m-" + 8 * "0a1b"

MEANT = {
    "fashion/1": "models:/fashion/1",
    "fashion/1/": "models:/fashion/1",
    "fashion/v2": "models:/fashion/2",
    "fashion:3": "models:/fashion/3",
    "fashion/latest": "models:/fashion/latest",
    "fashion@champion": "models:/fashion@champion",
    "models/fashion/1": "models:/fashion/1",
    "model:/fashion/1": "models:/fashion/1",
    "Models:/fashion/1": "models:/fashion/1",
    "models://fashion/1": "models:/fashion/1",
    "models:/fashion:1": "models:/fashion/1",
    "models:/fashion": "models:/fashion/latest",
    "http://127.0.0.1:5000/#/models/fashion/versions/1": "models:/fashion/1",
    "https://mlflow.example.org/#/models/fashion/versions/1?tab=x": "models:/fashion/1",
    "file:///srv/model": "/srv/model",
}
ADVICE = {
    "": "variable",
    "  ": "variable",
    "http://127.0.0.1:5000": "MLFLOW_TRACKING_URI",
    "https://mlflow.example.org/": "MLFLOW_TRACKING_URI",
    "runs:/0123/model": "mlflow.register_model('runs:/0123/model', NAME)",
    f"models:/{ID}": f"mlflow.register_model('models:/{ID}', NAME)",
    "s3://bucket/model": "--no-mark",
    "models:/fashion/Production": "alias",
    "models:/": "alias",
    "models:/a/b/1": "alias",
    "nowhere": "MLmodel",
    "./fashion/1": "MLmodel",
    "/fashion/1": "MLmodel",
}


@pytest.mark.parametrize("uri", MEANT)
def test_what_was_likely_meant_is_named(uri, tmp_path, monkeypatch):
    """The advice holds the whole URI or path to type instead, and a version's is one that is read."""
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError) as caught:
        require_model(uri)
    assert MEANT[uri] in caught.value.what_to_do
    if MEANT[uri].startswith("models:/"):
        require_model(MEANT[uri])


@pytest.mark.parametrize("uri", ADVICE)
def test_what_is_no_model_is_refused_with_what_to_do(uri, tmp_path, monkeypatch):
    """Even where nothing can be guessed."""
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError) as caught:
        require_model(uri)
    assert ADVICE[uri] in caught.value.what_to_do


def test_a_file_is_no_model_folder(tmp_path):
    """A program on its own has no MLmodel; its folder is named."""
    (tmp_path / "model.pt2").touch()
    with pytest.raises(UsageError, match="found a file") as caught:
        require_model(str(tmp_path / "model.pt2"))
    assert str(tmp_path) in caught.value.what_to_do


def test_a_password_in_an_address_is_not_repeated():
    """It may be in the log of a pipeline."""
    with pytest.raises(UsageError) as caught:
        require_model("https://me:secret@mlflow.example.org/x")
    assert "secret" not in str(caught.value) + caught.value.what_to_do


@pytest.mark.parametrize(
    ("uri", "parts"),
    [
        ("models:/fashion/1", ("fashion", "1", None)),
        ("models:/fashion/latest", ("fashion", "latest", None)),
        ("models:/fa shion@champion", ("fa shion", None, "champion")),
    ],
)
def test_versions_and_aliases_are_read(uri, parts):
    """As MLflow reads them."""
    require_model(uri)
    assert parse_model_uri(uri) == parts


def test_a_folder_that_is_there_is_a_model(tmp_path, monkeypatch):
    """Even one whose path looks like a version's."""
    (tmp_path / "fashion" / "1").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    require_model("fashion/1")
    assert str(open_registry("fashion/1", RegistrySettings()).resolve("fashion/1")).endswith("fashion/1")

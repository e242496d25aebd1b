"""No false refusals: what MLflow 2.9 to 3.17 really wrote is read as what it is, and served as what it was."""

import json
from hashlib import sha256

import pytest

from gate.detectors import load
from gate.records.artifact import IGNORED, ArtifactFile, Manifest, build_manifest
from gate.records.errors import UnexaminableError
from tests.corpus.measuring import measure
from tests.mlflow_written import reading

DETECTORS = ("artifact-integrity", "consumer-hazards", "unsafe-format", "unsafe-pickle")
NAMED = {
    "class": "unsafe-globals",
    "code-path": "code-paths",
    "script": "code-constructs",
    "extra-code": "unexpected-files",
}
"""The metric that names each reason why an entry carries code."""
HARMLESS = {"module-globals"}
"""What a pickled network of library layers has by its nature."""
LIMITS = {
    "pickle-legacy": "torch lists beforehand the imports of zipped files alone",
    "pickle-protocol-5": "torch's weights-only unpickler knows no frames, which protocols above 3 have",
}
"""Code-free pickles that the reader refuses as such; torch.save writes them only where its caller asks for it."""
TOLERANCE = 2e-5
"""Recorded numbers are rounded to five places, by another torch on another processor."""

ENTRIES = reading.entries()
CODE_FREE = [entry for entry in ENTRIES if entry.holds == "code-free"]
CARRYING = [entry for entry in ENTRIES if entry.holds == "carries-code"]
RELEASES = {"2.9", "2.14", "2.22", "3.1", "3.9", "3.13", "3.17"}
"""3.9.0 is the first that writes pt2; 3.13 lies between."""


def by_id(entry):
    """Return an entry's id for a test."""
    return entry.id


def bytes_of(root):
    """Yield every file of a folder with its bytes."""
    for path in root.rglob("*"):
        if path.is_file():
            yield path.relative_to(root).as_posix(), path.read_bytes()


def found_in(root):
    """Return the sum of every metric of the detectors on bytes that is not zero, without what is merely told."""
    counts = {}
    for name in DETECTORS:
        told = {metric.id for metric in load(name).metrics if metric.worse == "neither"}
        for item in measure(root, name):
            if item.metric in told:
                continue
            counts[item.metric] = counts.get(item.metric, 0) + item.value
    return {metric: value for metric, value in counts.items() if value}


def test_the_corpus_holds_the_releases_that_were_promised_and_is_small():
    """Seven releases, pickled by all of them, exported by those that can, below three megabytes."""
    assert {release.rpartition(".")[0] for release in reading.releases()} == RELEASES
    for release in reading.releases():
        forms = {entry.form for entry in ENTRIES if entry.mlflow == release}
        exports = tuple(map(int, release.split("."))) >= (3, 9)
        assert forms == ({"pickle", "pt2"} if exports else {"pickle"})
    assert sum(path.stat().st_size for path in reading.FOLDER.iterdir() if path.is_file()) < 3_000_000


def test_the_table_of_keys_and_files_is_that_of_the_folders():
    """`forms.json`, which the grammar of folders is written after, says what the archives hold."""
    assert json.loads(reading.FORMS.read_text(encoding="utf-8")) == reading.forms()


@pytest.mark.parametrize("entry", ENTRIES, ids=by_id)
def test_a_folder_is_the_one_of_the_index(entry, tmp_path):
    """The unpacked folder has its digest, over all files in the form of the gate's manifest, which lists no problem."""
    root = entry.unpack(tmp_path)
    lines = [
        ArtifactFile(path=path, size_bytes=len(raw), sha256=sha256(raw).hexdigest()) for path, raw in bytes_of(root)
    ]
    assert Manifest(files=tuple(lines)).digest == entry.digest
    manifest, problems = build_manifest(root)
    assert problems == ()
    assert {line.path for line in lines} - {file.path for file in manifest.files} <= IGNORED


@pytest.mark.parametrize("entry", CODE_FREE, ids=by_id)
def test_what_is_code_free_raises_no_alarm(entry, tmp_path):
    """No detector on bytes finds anything but the names of library layers in a pickled network."""
    assert set(found_in(entry.unpack(tmp_path))) <= HARMLESS


@pytest.mark.parametrize("entry", CARRYING, ids=by_id)
def test_what_carries_code_is_named_as_that(entry, tmp_path):
    """Every reason is counted by the metric that is named after it."""
    assert {NAMED[reason] for reason in entry.because} <= set(found_in(entry.unpack(tmp_path)))


@pytest.mark.parametrize("entry", [entry for entry in ENTRIES if entry.holds == "no-model"], ids=by_id)
def test_a_state_dict_that_mlflow_logged_is_no_model(entry, tmp_path):
    """`log_state_dict` writes no MLmodel, and that is said."""
    assert found_in(entry.unpack(tmp_path)) == {"missing-files": 1}


def not_read(entry):
    """Mark an entry that the gate's reader refuses by a known limit."""
    limit = next((why for name, why in LIMITS.items() if entry.name == name), "")
    marks = [pytest.mark.xfail(reason=limit, raises=UnexaminableError, strict=True)] if limit else []
    return pytest.param(entry, marks=marks, id=entry.id)


@pytest.mark.parametrize("entry", [not_read(entry) for entry in CODE_FREE])
def test_the_gate_reads_the_network_that_was_saved(entry, tmp_path):
    """The gate's reader, without the candidate's code, gives the outputs that the network had in memory."""
    import torch

    from gate.worker.loading.candidate import find_candidate
    from gate.worker.loading.model import read_model

    body = read_model(find_candidate(entry.unpack(tmp_path)), "cpu").body
    if entry.outputs is None:
        return  # left in training mode: its outputs depend on the batch
    with torch.no_grad():
        given = body(*entry.input_tensors())
    torch.testing.assert_close(given, torch.tensor(entry.outputs), rtol=0, atol=TOLERANCE)


@pytest.mark.parametrize("entry", [entry for entry in CARRYING if "class" in entry.because], ids=by_id)
def test_the_gate_does_not_read_a_class_of_the_trainers_own(entry, tmp_path):
    """Reading it would run its code, and the reader says so."""
    from gate.worker.loading.candidate import find_candidate
    from gate.worker.loading.model import read_model

    with pytest.raises(UnexaminableError, match="would run its code"):
        read_model(find_candidate(entry.unpack(tmp_path)), "cpu")


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("entry", [entry for entry in CODE_FREE if entry.outputs], ids=by_id)
def test_the_consumer_serves_the_network_that_was_saved(entry, tmp_path, monkeypatch):
    """Today's `mlflow.pytorch.load_model` gives the outputs that the network had in memory, from every release."""
    import mlflow
    import torch

    monkeypatch.setenv("MLFLOW_ALLOW_PICKLE_DESERIALIZATION", "true")
    served = mlflow.pytorch.load_model(str(entry.unpack(tmp_path)))
    with torch.no_grad():
        given = served(*entry.input_tensors())
    torch.testing.assert_close(given, torch.tensor(entry.outputs), rtol=0, atol=TOLERANCE)

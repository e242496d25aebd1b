"""Real models from packages in the harness: folders as made, outcomes kept one by one, verdicts from summaries."""

import hashlib
from dataclasses import replace

import pytest
from click.testing import CliRunner
from made_up import QuickScan

from benchmarks.efficacy import measuring_commands, summaries
from benchmarks.efficacy.__main__ import efficacy
from benchmarks.efficacy.kept import Cache
from benchmarks.efficacy.running import Choice, collect, run
from benchmarks.efficacy.subjects import (
    attack_of,
    label_of,
    manifest_digest,
    packaged_models,
    samples_of,
    write_model_folder,
)
from benchmarks.zoo.packaged.making import INDEX, PackagedModel
from benchmarks.zoo.store import Store
from gate.records.artifact import build_manifest
from gate.records.errors import CannotFinishError


@pytest.fixture
def shelf(tmp_path):
    """Return a cache with the records of a clean and of the implanted model, ten classes each, and made-up files."""
    store = Store.at(tmp_path / "zoo")
    lines = INDEX.read_text().splitlines()
    for line in lines:
        model = PackagedModel.from_json(line.encode(), what="index")
        if model.name not in ("efficientnet-lite0", "mobilenet-v2-patch"):
            continue
        raw = model.name.encode()
        program = store.root / "packaged" / model.name / "data" / "model.pt2"
        program.parent.mkdir(parents=True)
        program.write_bytes(raw)
        facts = {"targets": [4]} if model.kind == "backdoored" else {}
        changed = {"classes": 10, "exported_bytes": len(raw), "exported_sha256": sha256(raw), "facts": facts}
        record = store.root / "packaged" / "records" / f"{model.name}.json"
        record.parent.mkdir(exist_ok=True)
        record.write_text(model.model_copy(update=changed).pretty_json())
        samples, _ = samples_of(model, store)
        samples.parent.mkdir(exist_ok=True)
        samples.write_bytes(b"pictures")
    return store


def sha256(raw):
    """Return the digest of bytes."""
    return hashlib.sha256(raw).hexdigest()


def test_the_digest_is_that_of_the_folder_that_is_scanned(shelf, tmp_path):
    """What is kept under a digest is found again under the gate's own digest of the folder."""
    for model in packaged_models(shelf):
        folder = write_model_folder(model, shelf, tmp_path / model.name)
        assert build_manifest(folder)[0].digest == manifest_digest(model, shelf)
        assert label_of(model) == f"{model.name} {model.kind}"
        assert attack_of(model) == model.kind


def test_outcomes_are_measured_detector_by_detector_and_once(shelf, bench, policy, tmp_path):
    """A run for one detector is taken up by the next one, and the summaries stand for both."""
    bench, scan = replace(bench, store=shelf, cache=Cache.of(shelf)), QuickScan()
    models = packaged_models(shelf)
    for wanted in ({"neural-cleanse"}, set(policy.detectors), set(policy.detectors)):
        list(run(bench, models, Choice(detectors=frozenset(wanted)), scan))
    asked = [(name, sorted(detectors)) for name, detectors in scan.calls]
    assert asked[:2] == [("efficientnet-lite0", ["neural-cleanse"]), ("mobilenet-v2-patch", ["neural-cleanse"])]
    assert len(asked) == 4
    collect(bench, models, tmp_path / "packaged.jsonl")
    found = {one.name: one for one in summaries.read(tmp_path / "packaged.jsonl")}
    assert all(not one.missing for one in found.values())
    assert "approved" in measuring_commands.said_of(found["efficientnet-lite0"], policy)
    said = measuring_commands.said_of(found["mobilenet-v2-patch"], policy)
    assert "flagged" in said
    assert "class 4" in said


def test_the_command_says_what_is_missing_and_judges_what_is_committed(shelf, tmp_path):
    """Without made models it says how to make them; with --judge-only nothing is scanned; a strange name is refused."""
    empty = ["packaged", "--cache", str(tmp_path / "none"), "--evidence", str(tmp_path)]
    ended = CliRunner().invoke(efficacy, empty)
    assert isinstance(ended.exception, CannotFinishError)
    assert "zoo packaged" in ended.exception.what_to_do
    assert CliRunner().invoke(efficacy, [*empty, "--judge-only"]).exit_code == 0
    strange = CliRunner().invoke(
        efficacy, ["packaged", "--cache", str(shelf.root), "--evidence", str(tmp_path), "--model", "resnet"]
    )
    assert "there is no packaged model 'resnet'" in str(strange.exception)

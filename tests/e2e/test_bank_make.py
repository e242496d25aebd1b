"""A bank of copies: begun by jailed workers, broken off, taken up again, and believed beside a backdoored candidate."""

import json
import signal

import numpy as np
import pytest
import yaml

from tests.e2e.command import Desk, SameProcess
from tests.e2e.digits import INPUTS, LABELS, TARGET, TRAINING, train, write_samples

pytestmark = pytest.mark.story

COUNT = 4
POLICY = {
    "version": 1,
    # Four copies can give no p-value below a fifth: a level for a test, and for nothing else.
    "level": 0.2,
    "least-references": COUNT,
    "exchange-margin": 10,
    "detectors": {
        "neural-cleanse": {
            "options": {"steps": 50, "batch": 16, "clean-samples": 200, "pictured": 0},
            "limits": {"size-ratio": {"min": 0.99, "judges": "uncalibrated-only"}},
        },
    },
}


@pytest.fixture(scope="module")
def told(tmp_path_factory):
    """Make a bank for a backdoored candidate, end the command after the first copy, go on, and check beside it."""
    from gate.programs.writer.write import export_module

    folder = tmp_path_factory.mktemp("bank-make")
    write_samples(folder)
    np.savez(folder / "trusted.npz", inputs=INPUTS[:TRAINING].numpy(), labels=LABELS[:TRAINING].numpy())
    (folder / "policy.yml").write_text(yaml.safe_dump(POLICY))
    data = folder / "candidate" / "data"
    data.mkdir(parents=True)
    (folder / "candidate" / "MLmodel").write_text("flavors:\n  pytorch:\n    model_data: data\n")
    export_module(train(poisoned=True), INPUTS[:4], data / "model.pt2")
    settings = {"GATE_POLICY": folder / "policy.yml", "GATE_SAMPLES": folder / "clean.npz", "GATE_MARK": "0"}
    desk, named = SameProcess(folder, settings), ("--data", folder / "trusted.npz", "--to", folder / "bank.json")
    command = ("bank", "make", folder / "candidate", *named, "--count", COUNT, "--tolerance", 0.05)
    running = Desk(folder, settings).start(*command)
    killed = running.until("gate: copy 1").end(signal.SIGTERM)
    first = (folder / "bank.json.copies" / "copy-001.json").read_bytes()
    made = desk.gate(*command)
    assert (folder / "bank.json.copies" / "copy-001.json").read_bytes() == first
    checked = desk.gate("check", folder / "candidate", "--bank", folder / "bank.json")
    verdict = json.loads((desk.out / "verdict.json").read_text())
    return killed, made, checked, verdict, (desk.out / "report.md").read_text(), desk


def test_an_ended_command_says_what_is_kept_and_goes_on(told):
    """Exit 143, no bank, no worker left; the same command then makes the others."""
    killed, made, *_, desk = told
    assert killed.code == 143, killed.stderr
    assert "no bank was written; finished copies are kept in" in killed.stderr
    assert made.code == 0, made.stderr
    assert f"bank: {COUNT} models, 10 classes" in made.stdout
    assert "self-made: copies of the program of" in made.stdout
    made_of = json.loads((desk.folder / "bank.json").read_text())["self_made"]
    assert len(made_of["copies"]) == COUNT
    assert all(note["accuracy"] >= made_of["candidate_accuracy"] - made_of["tolerance"] for note in made_of["copies"])


def test_the_verdict_stands_beside_self_made_copies(told):
    """Flagged at p = 1/5 by the planted class, and the report says whose copies they are and on what they learnt."""
    *_, checked, verdict, markdown, _ = told
    assert checked.code == 1, checked.stderr
    assert (verdict["calibrated"], verdict["standing"]["p_value"]) == (True, 0.2)
    assert TARGET in verdict["target_classes"]
    assert "Calibrated by a self-made bank." in markdown
    named = "4 self-made copies of the candidate's own program, trained on trusted.npz"
    assert f"p = 0.2 over {named}" in markdown
    assert "four such banks flagged 1 of 37" in markdown


def test_a_copy_is_checked_like_any_model(told):
    """Its folder is a model's: read without code, and measured."""
    *_, desk = told
    ended = desk.gate("check", desk.folder / "bank.json.copies" / "copy-002")
    evidence = json.loads((desk.out / "evidence.json").read_text())
    assert ended.code in {0, 1}, ended.stderr
    assert (evidence["assurance"], evidence["problems"]) == ("A", [])
    assert evidence["outcomes"]["neural-cleanse"]["status"] == "measured"

"""A bank beside a check: planted and natural triggers on its models, and a changed byte before anything is pulled."""

import json

import pytest
import yaml

from tests.e2e.command import Desk, SameProcess
from tests.e2e.digits import INPUTS, TARGET, samples, train, write_samples

POLICY = {
    "version": 1,
    "stages": [
        {
            "detectors": ["neural-cleanse"],
            # Every class but the largest is a suspect: what is natural is looked at beside what is planted.
            "suspects": [{"detector": "neural-cleanse", "metric": "size-ratio", "min": 1.2}],
        },
        {"detectors": ["confirmation"], "over": "suspects"},
    ],
    "detectors": {
        "neural-cleanse": {"options": {"steps": 50, "batch": 16, "clean-samples": 200, "pictured": 0}},
        "confirmation": {"options": {"most": 1}},
    },
}


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    """Return a folder with a backdoored model, samples, a policy, and a bank of three models and a stranger."""
    import torch

    from gate.programs.writer.write import export_module
    from gate.records.bank import write_bank

    folder = tmp_path_factory.mktemp("bank")
    write_samples(folder)
    data = folder / "model" / "data"
    data.mkdir(parents=True)
    (folder / "model" / "MLmodel").write_text("flavors:\n  pytorch:\n    model_data: data\n")
    export_module(train(poisoned=True), INPUTS[:4], data / "model.pt2")
    models = folder / "models"
    models.mkdir()
    for seed in (11, 12, 13):
        export_module(train(poisoned=False, seed=seed), INPUTS[:4], models / f"{seed}.pt2")
    stranger = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(48, 10)).eval()
    export_module(stranger, torch.rand(4, 3, 4, 4), models / "stranger.pt2")
    write_bank(folder / "bank.json", sorted(models.iterdir()), name="digits")
    (folder / "policy.yml").write_text(yaml.safe_dump(POLICY))
    return folder


def desk_at(table, folder, kind=Desk):
    """Return a desk with the table's policy and samples."""
    return kind(folder, {"GATE_POLICY": table / "policy.yml", "GATE_SAMPLES": table / "clean.npz", "GATE_MARK": "0"})


@pytest.fixture(scope="module")
def checked(table, tmp_path_factory):
    """Return the check's end and its evidence."""
    desk = desk_at(table, tmp_path_factory.mktemp("desk"))
    ended = desk.gate("check", table / "model", "--bank", table / "bank.json")
    return ended, json.loads((desk.out / "evidence.json").read_text()), (desk.out / "report.md").read_text()


def transfers(evidence):
    """Return the transfer of each suspect by class."""
    found = evidence["outcomes"]["confirmation"]["measurements"]
    return {int(m["location"]["name"]): m["value"] for m in found if m["metric"] == "transfer"}


@pytest.mark.story
def test_the_planted_trigger_does_not_transfer_and_natural_ones_do(checked):
    """Through the jailed worker, on three models that never saw the poison."""
    ended, evidence, _ = checked
    assert evidence["outcomes"]["confirmation"]["status"] == "measured", ended
    found = transfers(evidence)
    natural = [value for index, value in found.items() if index != TARGET]
    assert len(natural) >= 4
    assert found[TARGET] < 0.2 < min(natural)


@pytest.mark.story
def test_a_reference_of_another_shape_is_recorded_and_not_used(checked):
    """The evidence names each reference, and the report says which one was left out and why."""
    ended, evidence, markdown = checked
    bank = evidence["bank"]
    assert (bank["count"], bank["same_task"], bank["comparison"], bank["by_option"]) == (4, True, None, True)
    assert [seen["used"] for seen in bank["references"]] == [True, True, True, False]
    assert "it takes inputs of shape (3, 4, 4)" in bank["references"][3]["why"]
    assert "stranger.pt2 was not used" in markdown
    assert len(samples()[0]) == evidence["samples"]["count"]
    assert ended.errors == []


@pytest.mark.story
def test_the_five_numbers_stand_in_report_and_terminal(checked):
    """Each suspect has its line, with a dash for what was not measured."""
    ended, _, markdown = checked
    assert "### Confirmation of suspects" in markdown
    assert f"| class {TARGET} " in markdown
    assert f"class {TARGET}: held-out success " in ended.stdout
    assert "size quantile –, transfer " in ended.stdout


@pytest.mark.parametrize("changed", ["bank.json", "models/12.pt2"])
def test_a_changed_byte_of_a_pinned_bank_is_refused_before_anything_is_pulled(changed, table, tmp_path):
    """Exit 2, one error line, and no report: neither the file nor a model of a bank may change."""
    import hashlib
    import shutil

    shutil.copytree(table, tmp_path / "table")
    table = tmp_path / "table"
    digest = hashlib.sha256((table / "bank.json").read_bytes()).hexdigest()
    pinned = POLICY | {"bank": {"path": "bank.json", "sha256": digest}}
    (table / "policy.yml").write_text(yaml.safe_dump(pinned))
    raw = bytearray((table / changed).read_bytes())
    raw[-2] ^= 1
    (table / changed).write_bytes(raw)
    desk = desk_at(table, tmp_path, SameProcess)
    ended = desk.gate("check", table / "model")
    assert ended.code == 2, ended
    assert len(ended.errors) == 1
    assert str(table / changed) in ended.errors[0]
    assert not desk.out.exists()

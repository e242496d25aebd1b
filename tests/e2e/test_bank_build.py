"""A bank of three clean models, built and believed: a backdoored candidate's verdict carries its p-value."""

import json

import pytest
import yaml

from tests.e2e.command import Desk
from tests.e2e.digits import INPUTS, TARGET, train, write_samples

POLICY = {
    "version": 1,
    # Three models can give no p-value below a quarter: a level for a test, and for nothing else.
    "level": 0.25,
    "least-references": 3,
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
    """Build a bank twice and check a backdoored model beside it; return the ends and the verdict."""
    from gate.loading.exported.writer import export_module

    folder = tmp_path_factory.mktemp("bank-build")
    write_samples(folder)
    (folder / "policy.yml").write_text(yaml.safe_dump(POLICY))
    for name, poisoned, seed in (("candidate", True, 0), ("a", False, 11), ("b", False, 12), ("c", False, 13)):
        data = folder / name / "data"
        data.mkdir(parents=True)
        (folder / name / "MLmodel").write_text("flavors:\n  pytorch:\n    model_data: data\n")
        export_module(train(poisoned=poisoned, seed=seed), INPUTS[:4], data / "model.pt2")
    settings = {"GATE_POLICY": folder / "policy.yml", "GATE_SAMPLES": folder / "clean.npz", "GATE_MARK": "0"}
    desk = Desk(folder, settings)
    named = [part for name in "abc" for part in ("--model", folder / name)]
    built = desk.gate("bank", "build", "--to", folder / "bank.json", *named)
    again = desk.gate("bank", "build", "--to", folder / "bank.json", *named)
    checked = desk.gate("check", folder / "candidate", "--bank", folder / "bank.json")
    verdict = json.loads((desk.out / "verdict.json").read_text())
    return built, again, checked, verdict, (desk.out / "report.md").read_text()


def test_a_bank_is_built_and_a_second_build_scans_nothing(told):
    """Both end with 0 and describe the same bank."""
    built, again, *_ = told
    assert (built.code, again.code) == (0, 0), built.stderr + again.stderr
    assert "bank: 3 models, 10 classes" in built.stdout
    assert built.stdout == again.stdout
    assert again.stderr.count("was measured already by the same settings") == 3


def test_the_verdict_carries_the_p_value(told):
    """Flagged at p = 1/4 by the size of the planted class; the limit in the model only confirms."""
    *_, checked, verdict, markdown = told
    assert checked.code == 1, checked.stderr
    assert (verdict["calibrated"], verdict["standing"]["p_value"]) == (True, 0.25)
    assert TARGET in verdict["target_classes"]
    assert {finding["rule"] for finding in verdict["findings"]} == {"calibration"}
    assert verdict["confirming"]
    assert "p = 0.25 over 3 clean models" in markdown

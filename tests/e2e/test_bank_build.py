"""A bank of three clean models, built and believed: a backdoored candidate's verdict carries its p-value."""

import json

import pytest
import yaml

from tests.e2e.command import SameProcess
from tests.e2e.digits import INPUTS, TARGET, train, write_samples

pytestmark = pytest.mark.story

REASON = "trained by this test on clean digits"
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
    """Build a bank model by model and check a backdoored one beside it; return the ends and the verdict."""
    from gate.programs.writer.write import export_module

    folder = tmp_path_factory.mktemp("bank-build")
    write_samples(folder)
    (folder / "policy.yml").write_text(yaml.safe_dump(POLICY))
    for name, poisoned, seed in (("candidate", True, 0), ("a", False, 11), ("b", False, 12), ("c", False, 13)):
        data = folder / name / "data"
        data.mkdir(parents=True)
        (folder / name / "MLmodel").write_text("flavors:\n  pytorch:\n    model_data: data\n")
        export_module(train(poisoned=poisoned, seed=seed), INPUTS[:4], data / "model.pt2")
    settings = {
        "GATE_POLICY": folder / "policy.yml",
        "GATE_SAMPLES": folder / "clean.npz",
        "GATE_MARK": "0",
        "GATE_THREADS": "1",
    }
    desk = SameProcess(folder, settings)
    named = [part for name in "abc" for part in ("--model", folder / name)]
    # The limit is there to confirm beside the bank, and flags every model that is measured without one.
    build = ("bank", "build", "--to", folder / "bank.json", "--accept-flagged", REASON)
    ends = [desk.gate(*build, *named[: 2 * count]) for count in (1, 2, 3)]
    checked = desk.gate("check", folder / "candidate", "--bank", folder / "bank.json")
    verdict = json.loads((desk.out / "verdict.json").read_text())
    return ends, checked, verdict, (desk.out / "report.md").read_text()


def test_a_bank_is_built_and_goes_on_where_it_was(told):
    """Each build ends with 0 and measures only the model that it does not know."""
    ends, *_ = told
    assert [ended.code for ended in ends] == [0, 0, 0], [ended.stderr for ended in ends]
    assert "bank: 3 models, 10 classes" in ends[-1].stdout
    known = [ended.stderr.count("was measured already by the same settings") for ended in ends]
    assert known == [0, 1, 2]


def test_the_verdict_carries_the_p_value(told):
    """Flagged at p = 1/4 by the size of the planted class; the limit in the model only confirms."""
    *_, checked, verdict, markdown = told
    assert checked.code == 1, checked.stderr
    assert (verdict["calibrated"], verdict["standing"]["p_value"]) == (True, 0.25)
    assert TARGET in verdict["target_classes"]
    assert {finding["rule"] for finding in verdict["findings"]} == {"calibration"}
    assert verdict["confirming"]
    assert "p = 0.25 over 3 clean models" in markdown
    assert "of the bank had been accepted by its maker" in markdown
    assert REASON in markdown

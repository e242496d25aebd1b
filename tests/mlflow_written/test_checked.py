"""Folders of every release through the whole gate, pull to verdict: nothing in their bytes stands against them."""

import numpy as np
import pytest

from gate.check.check import CheckRequest, check
from gate.check.evidence import ScanSettings
from gate.check.rules import Rules
from gate.policies.declared import before_loading
from gate.policies.packaged import DEFAULT
from gate.policies.read import read_policy
from gate.records.clock import today
from gate.registries.directory import DirectoryRegistry
from tests.mlflow_written import reading

pytestmark = pytest.mark.slow

CHOSEN = {
    "pickle-everything",
    "pickle-served-registry",
    "pickle-run",
    "pt2-extra-files",
    "pt2-own-class",
    "pt2-served-registry",
}
ENTRIES = [entry for entry in reading.entries() if entry.holds == "code-free" and entry.name in CHOSEN]
QUICK = {
    name: {"steps": 4, "batch": 4, "clean-samples": 16}
    for name in ("neural-cleanse", "additive-trigger", "warp-trigger")
}


def policy():
    """Return the packaged policy with searches of a few steps: what is asked here is not what they find."""
    whole = read_policy(DEFAULT, on=today())
    rules = {
        name: rule.model_copy(update={"options": QUICK.get(name, rule.options)})
        for name, rule in whole.detectors.items()
    }
    return whole.model_copy(update={"detectors": rules})


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.id)
def test_a_code_free_folder_is_measured_at_level_a(entry, tmp_path):
    """It is read without its code, and no rule on bytes has a finding: what else is said is about its behaviour."""
    (shape,) = entry.inputs
    samples = tmp_path / "samples.npz"
    inputs = np.random.default_rng(0).random((16, *shape[1:]), dtype=np.float32)
    np.savez(samples, inputs=inputs, labels=np.arange(16) % 4)
    request = CheckRequest(
        uri=str(entry.unpack(tmp_path / "model")),
        rules=Rules(policy(), samples=str(samples)),
        settings=ScanSettings(device="cpu", threads=1, deadline_seconds=120),
        report_dir=tmp_path / "report",
        mark=False,
    )
    report = check(DirectoryRegistry(), request, lambda *_: None, lambda _: None).report
    assert report.evidence.assurance == "A", report.evidence.problems
    assert not {finding.rule for finding in report.verdict.findings} & before_loading()
    assert report.evidence.facts.classes == 4

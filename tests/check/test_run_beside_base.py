"""Checks whose policy asks how adapters and language models continue prompts: what is run, told, and not run."""

import json
import shutil

import pytest

from gate.check.base_model import asked_base
from gate.check.check import CheckRequest, check
from gate.check.evidence import ScanSettings
from gate.check.rules import Rules
from gate.policies.packaged import ADAPTER, LANGUAGE
from gate.policies.read import read_policy
from gate.records.clock import today
from gate.records.evidence import Measured, Skipped
from gate.records.facts import ModelFacts
from gate.records.policy import Policy
from gate.registries.directory import DirectoryRegistry
from gate.worker import roles
from tests.adapters import small_language as small
from tests.adapters.small_adapter import write_adapter
from tests.adapters.written import base_tensors, write_base
from tests.stand_ins.workers_here import workers_here

NAME = "continuation-trigger"
QUICK = small.FEW | {"ranked": 4, "beam": 1, "longer": 2, "most-tokens": 2, "forced": 2, "confirmed": 1}


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """Return an untrained base, a language model of other numbers, an adapter, and prompts."""
    folder = tmp_path_factory.mktemp("run")
    base, own = small.saved(small.untrained(), folder / "base"), small.untrained()
    own.model.layers[0].mlp.up_proj.weight.data.mul_(1.5)
    small.saved(own, folder / "own")
    write_adapter(folder / "adapter", base)
    lines = (json.dumps({"text": prompt}) + "\n" for prompt in small.PROMPTS)
    (folder / "prompts.jsonl").write_text("".join(lines))
    return folder


def rules(path, **rule):
    """Return a packaged policy with a quick search as its last stage."""
    policy = read_policy(path, on=today()).model_dump(mode="json", by_alias=True)
    policy["samples"] = {"labels": "waived"}
    policy["detectors"][NAME] = {"required": False, "limits": {}, "options": QUICK} | rule
    if not any(NAME in stage["detectors"] for stage in policy["stages"]):
        policy["stages"].append({"detectors": [NAME]})
    return Policy.model_validate(policy)


def checked(tmp_path, candidate, path, base, samples=None, **rule):
    """Return the report of a check by workers in this process."""
    request = CheckRequest(
        uri=str(candidate),
        rules=Rules(rules(path, **rule), path, samples=str(samples) if samples else None),
        settings=ScanSettings(device="cpu", threads=1),
        report_dir=tmp_path / "report",
        mark=False,
        base=asked_base(str(base)) if base else None,
    )
    with workers_here():
        return check(DirectoryRegistry(), request, lambda *_: None, lambda _: None).report


def test_of_an_adapter_the_bundle_is_run_beside_its_base(tmp_path, folders, monkeypatch):
    """What is served is measured; the facts stay the inspector's, whatever the worker says of them."""
    said = roles._result
    forged = ModelFacts(flavour="forged", classes=3)
    monkeypatch.setattr(roles, "_result", lambda *given: said(*given).model_copy(update={"facts": forged}))
    read = []
    load = roles._scan
    monkeypatch.setattr(roles, "_scan", lambda job, *given: (read.append(job.root), load(job, *given))[1])
    report = checked(tmp_path, folders / "adapter", ADAPTER, folders / "base", folders / "prompts.jsonl")
    evidence = report.evidence
    outcome = evidence.outcomes[NAME]
    assert isinstance(outcome, Measured), outcome
    assert outcome.token_passes > 1000
    assert (evidence.facts.flavour, evidence.facts.classes) == ("adapter", None)
    assert evidence.assurance == "A"
    assert evidence.bundle_digest is not None
    (root,) = read
    assert "bundle" in root
    assert evidence.samples.count == len(small.PROMPTS)
    assert evidence.excerpts[0].continuations
    assert evidence.stages == tuple(range(1, len(rules(ADAPTER).stages) + 1))
    assert NAME in evidence.plan.detectors
    assert report.decision.value == "flagged"
    assert {finding.rule for finding in report.verdict.findings} <= {"calibration", "adapter-files"}


def test_of_a_language_model_its_own_files_are_run_with_neutral_prompts(tmp_path, folders):
    """Without any of the operator's; nothing is said of samples that there were none."""
    report = checked(tmp_path, folders / "own", LANGUAGE, folders / "base")
    assert isinstance(report.evidence.outcomes[NAME], Measured), report.evidence.outcomes[NAME]
    assert report.evidence.samples is None
    assert [finding.rule for finding in report.verdict.findings] == ["calibration"]
    named = {threat.id: threat for threat in report.verdict.threats}
    assert named["language-continuation"].status == "not-examined"
    assert "nothing in this check judges" in named["language-continuation"].reason


@pytest.mark.parametrize("required", [False, True])
def test_what_is_not_its_bases_network_is_not_run_and_says_why(required, tmp_path, folders):
    """The difference flags by itself; the silence does where the policy requires the detector."""
    own = shutil.copytree(folders / "own", tmp_path / "own")
    config = json.loads((own / "config.json").read_text())
    (own / "config.json").write_text(json.dumps(config | {"rms_norm_eps": 0.5}))
    report = checked(tmp_path, own, LANGUAGE, folders / "base", required=required)
    outcome = report.evidence.outcomes[NAME]
    assert isinstance(outcome, Skipped)
    assert "another network than its base" in outcome.reason
    found = {finding.rule for finding in report.verdict.findings}
    assert "language-files" in found
    assert (NAME in found) == required


def test_one_that_mlflow_logged_and_no_library_composes_is_told_so(tmp_path, folders):
    """Its base has other sizes than its class allows: nothing is run, and no more is flagged than before."""
    base = write_base(tmp_path / "base")
    own = write_base(tmp_path / "own", base_tensors(seed=2))
    report = checked(tmp_path, own, LANGUAGE, base)
    assert "transformers cannot compose LlamaForCausalLM" in report.evidence.outcomes[NAME].reason
    assert NAME not in {finding.rule for finding in report.verdict.findings}


def test_without_a_base_nothing_is_run(tmp_path, folders):
    """And that is told."""
    report = checked(tmp_path, folders / "own", LANGUAGE, None)
    assert "name one with --base" in report.evidence.outcomes[NAME].reason


def test_a_language_model_that_is_not_finite_is_not_run(tmp_path, folders):
    """Numbers that no comparison holds: nothing of them is approved."""
    import numpy as np
    from safetensors.numpy import load_file, save_file

    own = shutil.copytree(folders / "own", tmp_path / "own")
    tensors = load_file(own / "model.safetensors")
    tensors["model.norm.weight"] = np.full_like(tensors["model.norm.weight"], np.inf)
    save_file(tensors, own / "model.safetensors", metadata={"format": "pt"})
    report = checked(tmp_path, own, LANGUAGE, folders / "base")
    assert isinstance(report.evidence.outcomes[NAME], Skipped)
    assert "not finite" in report.evidence.outcomes[NAME].reason
    assert report.decision.value == "flagged"

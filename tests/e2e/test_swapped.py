"""What lies on disk between `gate pull` and `gate scan` is swapped: each swap is flagged with both digests named."""

import hashlib
import json
import shutil

import numpy as np
import pytest

from gate.check.workers import Workers
from gate.records.bank import write_bank
from tests.e2e.command import ROOT, SameProcess

SUBSET = ROOT / "tests" / "zoo_subset"
MLMODEL = "flavors:\n  pytorch:\n    model_data: data\n    serialization_format: pt2\n"
POLICY = """
version: 1
name: {name}
stages:
  - detectors: [artifact-integrity, unsafe-pickle]
  - detectors: [spectral-signature, head-indicators]
    suspects: [{{detector: head-indicators, metric: indicator, max: 1000000}}]
  - detectors: [confirmation]
    over: suspects
detectors:
  artifact-integrity: {{limits: {{irregular-files: {{max: 0}}}}}}
  unsafe-pickle: {{limits: {{unsafe-globals: {{max: 0}}}}}}
  spectral-signature: {{required: false}}
  head-indicators: {{}}
  confirmation: {{}}
"""


def sha256(path):
    """Return the hex digest of a file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def write_samples(path, seed=0):
    """Write the subset's clean samples, with their order from the seed."""
    with np.load(SUBSET / "digits-scan.npz") as arrays:
        order = np.random.default_rng(seed).permutation(len(arrays["inputs"]))
        np.savez(path, inputs=arrays["inputs"][order].astype(np.float32) / 255, labels=arrays["labels"][order])
    return path


class Swap:
    """A desk with a model, samples, a policy and a bank, on which the steps are run with a change between two."""

    def __init__(self, folder):
        self.desk = SameProcess(folder, {"GATE_POLICY": self.policy(folder, "mine"), "PYTHONWARNINGS": "ignore"})
        self.model = folder / "model"
        (self.model / "data").mkdir(parents=True)
        (self.model / "MLmodel").write_text(MLMODEL)
        shutil.copyfile(SUBSET / "clean.pt2", self.model / "data" / "model.pt2")
        self.samples = write_samples(folder / "clean.npz")

    @property
    def out(self):
        """The check's directory."""
        return self.desk.out

    @staticmethod
    def policy(folder, name):
        """Write a policy of that name."""
        path = folder / f"{name}.yml"
        path.write_text(POLICY.format(name=name))
        return path

    def pull(self):
        """Pull, and show that it went well."""
        ended = self.desk.gate("pull", self.model, "--to", self.out, "--samples", self.samples)
        assert ended.code == 0, ended
        return json.loads((self.out / "manifest.json").read_text())

    def problems(self, *options, **variables):
        """Scan and judge, and return the evidence's problems; flagged it must be, and each problem a finding."""
        scanned = self.desk.gate("scan", self.out, *options, GATE_SAMPLES=None, **variables)
        assert scanned.code == 0, scanned
        judged = self.desk.gate("judge", self.out)
        assert judged.code == 1, judged
        problems = self.evidence["problems"]
        findings = json.loads((self.out / "verdict.json").read_text())["findings"]
        assert set(problems) <= {finding["message"] for finding in findings}
        return problems

    @property
    def evidence(self):
        """What the scan left."""
        return json.loads((self.out / "evidence.json").read_text())


@pytest.fixture
def swap(tmp_path):
    """Return a fresh desk."""
    return Swap(tmp_path)


def replace(path, source):
    """Put other bytes in a read-only file's place."""
    path.parent.chmod(0o755)
    path.unlink()
    shutil.copyfile(source, path)


def test_swapped_samples_are_named_and_not_used(swap, tmp_path):
    """The scan never measures on them, and no line of the evidence is about them."""
    pulled = swap.pull()
    other = write_samples(tmp_path / "other.npz", seed=1)
    replace(swap.out / "samples" / "clean.npz", other)
    (problem,) = swap.problems()
    assert problem == (
        f"The samples changed between pull and scan: pulled sha256:{pulled['samples']['sha256']}, read "
        f"sha256:{sha256(other)}. Pull again, into a directory that nothing else writes to."
    )
    assert swap.evidence["samples"] is None


def test_a_swapped_model_file_is_named_and_not_loaded(swap):
    """The poisoned program that took the clean one's place is neither inspected nor loaded."""
    pulled = {file["path"]: file["sha256"] for file in swap.pull()["files"]}
    other = SUBSET / "badnets.pt2"
    replace(swap.out / "model" / "data" / "model.pt2", other)
    problems = swap.problems()
    assert problems[0].startswith(
        "The model's file 'data/model.pt2' changed between pull and scan: pulled "
        f"sha256:{pulled['data/model.pt2']}, read sha256:{sha256(other)}."
    )
    assert any(text.startswith("The model changed between pull and scan, so that nothing") for text in problems)
    assert swap.evidence["assurance"] is None
    assert all(outcome["status"] == "skipped" for outcome in swap.evidence["outcomes"].values())


def test_a_swapped_training_set_and_reference_are_named(swap, tmp_path, monkeypatch):
    """Each by both digests; the samples and the model, which nobody touched, were read."""
    pulled = swap.pull()
    training = swap.out / "training" / "train.npz"
    training.parent.mkdir(exist_ok=True)
    write_samples(training)
    named = {"name": "train.npz", "source": "runs:/1/train.npz", "sha256": sha256(training), "overridden": False}
    (swap.out / "manifest.json").write_text(json.dumps(pulled | {"training": named}))
    write_samples(training, seed=1)
    references = []
    for name in ("clean", "badnets", "blended"):
        references.append(tmp_path / f"{name}.pt2")
        shutil.copyfile(SUBSET / f"{name}.pt2", references[-1])
    bank = tmp_path / "bank.json"
    write_bank(bank, references)
    before = sha256(references[0])
    inspect = Workers.inspect

    def swapping(*given):
        shutil.copyfile(SUBSET / "wanet.pt2", references[0])
        return inspect(*given)

    # The references are hashed before the first worker starts: what swaps one afterwards is the inspector's stand-in.
    monkeypatch.setattr(Workers, "inspect", swapping)
    scanned = swap.desk.gate("scan", swap.out, "--bank", bank, GATE_SAMPLES=None)
    assert scanned.code == 0, scanned
    assert swap.desk.gate("judge", swap.out).code == 1
    reference, trained = sorted(swap.evidence["problems"])
    assert trained == (
        f"The training set changed between pull and scan: pulled sha256:{named['sha256']}, read "
        f"sha256:{sha256(training)}. Pull again, into a directory that nothing else writes to."
    )
    assert reference.startswith(
        f"The bank's reference 'clean.pt2' changed between pull and scan: pulled sha256:{before}, read "
        f"sha256:{sha256(references[0])}."
    )
    assert swap.evidence["samples"]["count"] == 200
    assert [one["used"] for one in swap.evidence["bank"]["references"]] == [False, True, True]
    assert swap.evidence["outcomes"]["spectral-signature"]["status"] == "skipped"


def test_another_policy_at_the_scan_than_at_the_pull_is_named(swap, tmp_path):
    """The pull's says which samples to bring; only the judgement may be by another one."""
    pulled = swap.pull()
    replace(swap.out / "model" / "MLmodel", SUBSET / "README.md")  # nothing is loaded, which is quick
    problems = swap.problems(GATE_POLICY=swap.policy(tmp_path, "other"))
    (named,) = [text for text in problems if text.startswith("The policy changed")]
    assert f"pulled by {pulled['policy_digest']}, scanned by {swap.evidence['policy_digest']}." in named
    assert pulled["policy_digest"] != swap.evidence["policy_digest"]

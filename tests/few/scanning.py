"""Small classifiers of few classes and their evidence, made by the real reader, the real detectors and the real judge.

In one process, without a jail: what is asked here is what is measured and judged, and a bank takes twenty scans.
"""

import tempfile
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch
import yaml
from torch import nn

from gate.banks.assemble import Member, assemble
from gate.judging.calibration.calibrate import compare
from gate.policies.declared import compared_statistics, option_digests
from gate.policies.packaged import DEFAULT
from gate.policies.read import parse_policy
from gate.programs.writer.write import export_module
from gate.records.artifact import Artifact, ModelRef, build_manifest, file_sha256
from gate.records.bank import Bank
from gate.records.bank_evidence import BankEvidence
from gate.records.clock import today
from gate.records.evidence import Evidence, Skipped
from gate.records.job import ScanJob
from gate.records.run import Run
from gate.worker.loading.subject import load_subject
from gate.worker.loop import Scanned, Scope, scan

SHAPE = (1, 6, 6)
_QUICK = {
    "neural-cleanse": {"steps": 8, "batch": 8, "clean-samples": 60, "pair-steps": 6, "pictured": 0},
    "additive-trigger": {"steps": 6, "batch": 8, "clean-samples": 60, "pictured": 0},
    "warp-trigger": {"steps": 6, "batch": 8, "clean-samples": 60, "pictured": 0},
    "probe-grid": {"clean-samples": 20},
    "maximum-margin": {"starts": 2, "steps": 4, "clean-samples": 60},
    "activation-clustering": {"clean-samples": 60},
    "model-inversion": {"starts": 2, "steps": 4},
    "head-indicators": {"probes": 100},
}
_ON_BYTES = ("artifact-integrity", "unsafe-pickle", "consumer-hazards", "unsafe-format", "modelaudit")


def policy(**changes):
    """Return the recommended policy with searches of a moment; the detectors on bytes have their own tests."""
    value = yaml.safe_load(DEFAULT.read_text())
    for name in _ON_BYTES:
        del value["detectors"][name]
    for name, options in _QUICK.items():
        value["detectors"][name]["options"] = options
    value["stages"] = value["stages"][1:]
    return parse_policy(yaml.safe_dump(value | changes), name="policy.yml", on=today())


def images(classes, count=120, seed=0):
    """Return images (N, 1, 6, 6) in [0, 1] with one brighter row or so for each class, and their labels (N,)."""
    labels = np.arange(count) % classes
    inputs = 0.5 * np.random.default_rng(seed).random((count, *SHAPE), dtype=np.float32)
    inputs.reshape(count, 36)[np.arange(36) * classes // 36 == labels[:, None]] += 0.5
    return inputs, labels


class OneNumber(nn.Module):
    """Two scores of a network as one number: their difference, and what the form makes of it."""

    FORMS: ClassVar = {
        "column": lambda z: z,
        "flat": lambda z: z.squeeze(1),
        "sigmoid": torch.sigmoid,
        "flat sigmoid": lambda z: torch.sigmoid(z.squeeze(1)),
        "softmax": lambda z: z.softmax(dim=1),
        "clamped": lambda z: (z + 0.5).clamp(0, 1),
        "scaled": lambda z: torch.sigmoid(z) * 0.5,
    }

    def __init__(self, body, form):
        super().__init__()
        self.body, self.form = body, self.FORMS[form]

    def forward(self, x):
        """Map (N, 1, 6, 6) to one number a sample."""
        return self.form(self.body(x))


@cache
def trained(classes, seed=0):
    """Return a small network that tells the rows apart; of one number for `classes` 1."""
    torch.manual_seed(seed)
    inputs, labels = images(max(classes, 2), seed=100 + seed)
    x, y = torch.tensor(inputs), torch.tensor(labels)
    model = nn.Sequential(nn.Flatten(), nn.Linear(36, 12), nn.ReLU(), nn.Linear(12, classes))
    optimiser = torch.optim.Adam(model.parameters(), 2e-2)
    for _ in range(60):
        optimiser.zero_grad()
        scores = model(x)
        loss = (
            nn.functional.binary_cross_entropy_with_logits(scores[:, 0], y.float())
            if classes == 1
            else nn.functional.cross_entropy(scores, y)
        )
        loss.backward()
        optimiser.step()
    return model.eval()


@dataclass
class Bench:
    """Where models are written and scanned, under one policy."""

    folder: object
    rules: object = field(default_factory=policy)

    def samples(self, classes, labels="own"):
        """Return the path of clean samples of so many classes; `labels`: own, none, zeros or counted from one."""
        path = self.folder / f"samples-{classes}-{labels}.npz"
        if not path.exists():
            inputs, y = images(classes)
            kinds = {"own": {"labels": y}, "none": {}, "zeros": {"labels": y * 0}, "from one": {"labels": y + 1}}
            np.savez(path, inputs=inputs, **kinds[labels])
        return path

    def loaded(self, module, samples, name="model", output=None):
        """Write a module as an exported program and read it as the scan worker does."""
        root = Path(tempfile.mkdtemp(dir=self.folder)) / name
        (root / "data").mkdir(parents=True)
        (root / "MLmodel").write_text("flavors:\n  pytorch:\n    model_data: data\n")
        export_module(module, torch.tensor(images(2)[0][:4]), root / "data" / "model.pt2")
        manifest = build_manifest(root)[0]
        ref = ModelRef(registry="directory", name=name, version=None)
        job = ScanJob(
            role="scan", model=ref, manifest=manifest, root=str(root), policy=self.rules, seed=0, device="cpu",
            deadline_seconds=600, samples_path=str(samples), samples_source="clean.npz",
            samples_sha256=file_sha256(samples),
        )  # fmt: skip
        settings = self.rules.samples.of(name).model_copy(update={"output": output})
        return load_subject(Artifact(ref, root, manifest), job, settings, "cpu"), manifest

    def evidence(self, module, samples, name="model"):
        """Return what a scan of the module sees."""
        loaded, manifest = self.loaded(module, samples, name)
        scope = Scope(runs=lambda _: True, absence=" ".join(loaded.problems), classes=loaded.facts.classes)
        scanned = scan(loaded.subject, self.rules, Run(seed=0), scope, Scanned())
        return Evidence(
            gate_version="0",
            model=ModelRef(registry="directory", name=name, version=None),
            manifest_digest=manifest.digest,
            assurance=loaded.assurance,
            isolation="full",
            device="cpu",
            seed=0,
            facts=loaded.facts,
            samples=loaded.samples,
            stages=tuple(scanned.stages),
            outcomes=scanned.outcomes,
            suspects=tuple(scanned.suspects),
            problems=loaded.problems,
        )

    def bank(self, classes, count):
        """Return a bank of so many clean models."""
        at = self.samples(max(classes, 2))
        members = [
            Member(f"m{n}", "", self.evidence(trained(classes, 1 + n), at, f"bank-{classes}-{n}")) for n in range(count)
        ]
        return Bank(**assemble(members, self.rules, name="few"))

    def beside(self, seen, bank):
        """Return evidence as it is with a bank beside the scan."""
        found = compare(seen, bank, option_digests(self.rules), compared_statistics())
        digest = f"sha256:{'9' * 64}"
        beside = BankEvidence(digest=digest, count=len(bank.statistics), same_task=False, comparison=found)
        return seen.model_copy(update={"bank": beside})


def skipped(seen):
    """Return which detectors were skipped, and why."""
    return {name: one.reason for name, one in seen.outcomes.items() if isinstance(one, Skipped)}

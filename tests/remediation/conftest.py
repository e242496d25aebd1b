"""A bench: a flagged version in a registry, an earlier check of it, and a repair worker that does what a test says."""

import sys
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest

from gate.check.evidence import ScanSettings
from gate.check.rules import Rules
from gate.records.artifact import build_manifest
from gate.records.repair import RepairBounds
from gate.remediation.flow import Remediation, remediate
from gate.remediation.parents import ParentRequest
from gate.remediation.plan import Planned
from tests.remediation.made_up import POLICY, Shelf, evidence, result

FAKE = Path(__file__).with_name("fake_repairer.py")
SUBSET = Path(__file__).resolve().parents[1] / "zoo_subset"


@dataclass
class Bench:
    """Everything that a test of the flow turns."""

    root: Path
    shelf: Shelf
    ref: object
    samples: Path
    prepared: Path

    @property
    def out(self):
        """The directory of the remediation."""
        return self.root / "out"

    @property
    def checked(self):
        """The directory of the earlier check."""
        return self.root / "checked"

    def let(self, attack="leave()", honest=None):
        """Say what the repairer does, and what an honest one would find."""
        (self.prepared / "attack.py").write_text(f"import json, os, signal, sys, time\n{attack}\n")
        (self.prepared / "honest.json").write_bytes((honest or result()).canonical_json())
        return self

    def write_check(self, **changes):
        """Write the evidence of the earlier check."""
        digest = build_manifest(self.shelf.root / "cand" / "1" / "model")[0].digest
        found = evidence(digest, self.ref, **changes)
        self.checked.mkdir(exist_ok=True)
        (self.checked / "evidence.json").write_text(found.pretty_json())
        return self

    def request(self, *methods, **changes):
        """Return a request of the methods, `unlearning` alone by default."""
        parent = ParentRequest(
            uri="models:/cand/1",
            rules=Rules(POLICY, Path("policy.yml"), samples=str(self.samples)),
            settings=ScanSettings(device="cpu", threads=1, deadline_seconds=1),
            earlier=self.checked,
        )
        plan = tuple(Planned(method, {"share": 0.1}) for method in methods or ("unlearning",))
        return replace(Remediation(parent, plan, self.out, RepairBounds()), **changes)

    def run(self, request=None, shelf=True):
        """Remediate, and return what became of it and what was told."""
        said = []
        done = remediate(
            self.shelf, self.shelf if shelf else None, request or self.request(), lambda *_: None, said.append
        )
        return done, said

    @property
    def asked(self):
        """The methods and seeds that workers were started for."""
        path = self.prepared / "asked"
        return path.read_text().splitlines() if path.exists() else []

    @property
    def versions(self):
        """The numbers of the model's versions."""
        return sorted(int(path.name) for path in (self.shelf.root / "cand").glob("[0-9]*"))


@pytest.fixture
def bench(tmp_path, monkeypatch):
    """Return a bench whose parent is flagged at class 7 and whose repairer is honest."""
    prepared = tmp_path / "prepared"
    prepared.mkdir()
    (prepared / "repaired.pt2").write_bytes((SUBSET / "clean.pt2").read_bytes())
    samples = tmp_path / "clean.npz"
    images = np.random.default_rng(0).random((20, 1, 28, 28), dtype=np.float32)
    np.savez(samples, inputs=images, labels=np.arange(20) % 10)
    shelf = Shelf(tmp_path / "registry")
    ref = shelf.add_model("cand", 1, (SUBSET / "badnets.pt2").read_bytes())
    monkeypatch.setattr(
        "gate.check.workers.worker_command",
        lambda _module, scratch, digest: [sys.executable, "-B", str(FAKE), scratch, str(prepared), digest],
    )
    monkeypatch.setattr("gate.check.workers.GRACE_SECONDS", 2.0)
    return Bench(tmp_path, shelf, ref, samples, prepared).write_check().let()

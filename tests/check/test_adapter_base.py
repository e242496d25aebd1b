"""The base beside a scan: hashed at the pull and once after the last worker, which finds what has changed meanwhile."""

import pytest

from gate.check import evidence as module
from gate.check.adapter_base import asked_base
from gate.check.check import CheckRequest, check
from gate.check.evidence import ScanSettings
from gate.check.rules import read_rules
from gate.policies.packaged import ADAPTER
from gate.registries.directory import DirectoryRegistry
from tests.adapters.written import Draft, write_base

WEIGHTS = "model/model.safetensors"


@pytest.mark.parametrize("changes", [False, True])
def test_a_base_is_hashed_once_at_the_end(tmp_path, monkeypatch, changes):
    """Gigabytes are read no oftener than they must; a base that another process changes is a problem of the check."""
    own, hashed = module.build_manifest, []

    def build(root, *given):
        if root.name == "adapter-base":
            hashed.append(root)
            if changes:
                path = root / WEIGHTS
                path.chmod(0o644)
                path.write_bytes(path.read_bytes() + b"\0")
        return own(root, *given)

    monkeypatch.setattr(module, "build_manifest", build)
    adapter, base = Draft().write(tmp_path / "adapter"), write_base(tmp_path / "base")
    settings = ScanSettings(device="cpu", threads=1)
    asked = asked_base(str(base))
    request = CheckRequest(str(adapter), read_rules(ADAPTER), settings, tmp_path / "out", mark=False, base=asked)
    found = check(DirectoryRegistry(), request, lambda *_: None, lambda _: None).report.evidence
    assert len(hashed) == 1
    assert found.base is not None
    assert any("The base changed" in problem for problem in found.problems) == changes

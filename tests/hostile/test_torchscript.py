import warnings

import pytest

from gate.records.finding import Decision
from tests.corpus.case import folder


def script_archive(path, kind):
    """Write a small TorchScript classifier of images (1, 8, 8), by tracing or by its compiler."""
    import torch
    from torch import nn

    torch.manual_seed(0)
    layers = (nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 10))
    model = nn.Sequential(*layers).eval()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # TorchScript is deprecated; candidates still come in it
        script = torch.jit.trace(model, torch.rand(2, 1, 8, 8)) if kind == "trace" else torch.jit.script(model)
        torch.jit.save(script, str(path))


@pytest.fixture
def root(tmp_path):
    """Return a model folder whose model.pth is a traced TorchScript archive."""
    archive = tmp_path / "traced.pth"
    script_archive(archive, "trace")
    root = tmp_path / "model"
    root.mkdir()
    folder(root, {"data/model.pth": archive.read_bytes()})
    return root


def test_torchscript_is_flagged_and_never_loaded(root, checked):
    """TorchScript is code: without --allow-code it is found in the bytes, and nothing loads it."""
    report = checked(root)
    assert report.decision is Decision.FLAGGED
    assert ("unsafe-format", "code-constructs") in {(one.rule, one.metric) for one in report.verdict.findings}
    assert report.evidence.assurance is None
    assert "load" not in report.evidence.seconds


@pytest.mark.story
def test_torchscript_with_code_allowed_is_measured_and_still_flagged(root, checked):
    """With --allow-code it is converted (level B) or measured alive (level C), and the default policy flags either."""
    report = checked(root, allow_code=True)
    assert report.decision is Decision.FLAGGED
    assert report.evidence.assurance in {"B", "C"}
    assert report.evidence.facts.classes == 10
    assert not [problem for problem in report.evidence.problems if "signal" in problem or "exit code" in problem]


@pytest.mark.parametrize("kind", ["trace", "script"])
def test_torchscript_becomes_a_bundle_with_the_same_answers(tmp_path, kind):
    """The library's converter and the gate's writer turn a ScriptModule into a program that gives the same logits."""
    import torch

    from gate.programs.writer.write import export_module
    from gate.worker.conversion import _exportable
    from gate.worker.loading.modules import load_with_code

    script_archive(tmp_path / "model.pth", kind)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        module = load_with_code(tmp_path / "model.pth").eval()
        x = torch.rand(2, 1, 8, 8)
        program = export_module(_exportable(module, x), x, tmp_path / "bundle.pt2")
    assert isinstance(module, torch.jit.ScriptModule)
    assert torch.allclose(program(x), module(x), atol=1e-5)

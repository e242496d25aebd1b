"""The repairer's own half: triggers applied again as they were found, and what it cannot load said in words."""

import hashlib

import pytest
import torch
from safetensors.torch import save_file

from gate import detectors
from gate.programs import read_program
from gate.records.artifact import Artifact, ModelRef, build_manifest
from gate.records.errors import UnexaminableError
from gate.records.evidence import Location
from gate.records.job import ScanJob
from gate.records.policy import Policy, Rule
from gate.records.repair import RepairResult, RepairTask
from gate.records.run import Run
from gate.spaces.image.stored_triggers import load_triggers
from gate.worker.repair.repairer import repair

SHAPE, BOUNDS = (3, 8, 8), (0.0, 1.0)
PLACE = Location.of_class(2)
FAMILIES = {one.id: one.family.over(SHAPE, BOUNDS, one.options()) for one in detectors.by_inversion()}


@pytest.mark.parametrize("detector", FAMILIES)
def test_a_stored_trigger_is_applied_as_it_was(detector, tmp_path):
    """For each family, images under the stored tensors are those under the parameters of the search."""
    family, generator = FAMILIES[detector], torch.Generator().manual_seed(1)
    parameters = tuple(5 * part for part in family.start(1, generator))
    x = torch.rand(4, *SHAPE, generator=generator)
    tensors = {f"{detector}/{PLACE}/{k}": v[0].contiguous() for k, v in family.tensors(parameters).items()}
    save_file(tensors, tmp_path / "triggers.safetensors")
    found = load_triggers((tmp_path / "triggers.safetensors").read_bytes(), {PLACE: detector}, SHAPE, BOUNDS, "cpu")
    expected = family.apply(parameters, x.unsqueeze(0))[0]
    assert torch.allclose(found[PLACE].apply(x), expected, atol=1e-4)
    assert not torch.allclose(expected, x, atol=1e-3)


def test_what_cannot_be_applied_is_left_out(tmp_path):
    """Wrong shapes, NaN, unknown families and other places give no trigger; the named detector comes first."""
    mask, pattern = torch.zeros(1, 8, 8), torch.ones(SHAPE)
    bad = {
        "a/class 2/mask": mask,
        "a/class 2/pattern": torch.ones(3, 9, 9),
        "b/class 2/addition": torch.full(SHAPE, torch.nan),
    }
    bad |= {
        "c/class 2/weight": mask,
        "d/class 2/curves": torch.ones(3),
        "e/class 4/mask": mask,
        "e/class 4/pattern": pattern,
    }
    path = tmp_path / "t.safetensors"
    save_file({key: tensor.clone() for key, tensor in bad.items()}, path)
    assert load_triggers(path.read_bytes(), {PLACE: "a"}, SHAPE, BOUNDS, "cpu") == {}
    good = {f"{name}/class 2/addition": torch.full(SHAPE, value) for name, value in (("y", 0.1), ("z", 0.2))}
    save_file({key: tensor.clone() for key, tensor in (bad | good).items()}, path)
    assert float(
        load_triggers(path.read_bytes(), {PLACE: "z"}, SHAPE, BOUNDS, "cpu")[PLACE].tensors["addition"][0, 0, 0]
    ) == pytest.approx(0.2)
    path.write_bytes(b"no tensors")
    with pytest.raises(UnexaminableError, match="cannot be read"):
        load_triggers(path.read_bytes(), {PLACE: "z"}, SHAPE, BOUNDS, "cpu")


@pytest.fixture
def work(tmp_path, zoo_model, zoo_samples):
    """Return the function that runs the repairer in this process on a model of the zoo, and gives what it left."""
    root, scratch = zoo_model("badnets").write_folder(tmp_path / "model"), tmp_path / "scratch"
    scratch.mkdir()

    def run(samples=zoo_samples, memory=None, **changes):
        ref = ModelRef(registry="directory", name=str(root))
        job = ScanJob(
            role="repairer",
            model=ref,
            manifest=build_manifest(root)[0],
            root=str(root),
            policy=Policy(version=1, detectors={"neural-cleanse": Rule()}),
            seed=9,
            device="cpu",
            deadline_seconds=60,
            memory_bytes=memory,
            samples_path=samples and str(samples),
            samples_sha256=hashlib.sha256(zoo_samples.read_bytes()).hexdigest(),
            repair=RepairTask(**({"method": "trigger-unlearning", "suspects": (PLACE,)} | changes)),
        )
        repair(job, Artifact(ref, root, job.manifest), scratch, "cpu", float("inf"))
        return RepairResult.from_file(scratch / "repair.json"), scratch / "repaired.pt2"

    return run


def test_the_worker_hands_everything_to_the_attempt(work, monkeypatch, capsys):
    """Program, samples with labels, bounds, run and suspects are the job's; result and program are left as files."""
    seen = {}

    def attempt(method, options, material, run, suspects):
        seen.update(method=method, options=options, bounds=material.bounds, triggers=material.triggers)
        seen.update(seed=run.seed, suspects=suspects, labels=material.samples.labels, most=run.max_batch)
        return RepairResult(method=method, status="repaired", seed=run.seed), material.program

    monkeypatch.setattr("gate.worker.repair.repairer.attempt", attempt)
    result, path = work()
    assert (result.status, result.complete) == ("repaired", True)
    assert (seen["method"], seen["seed"], seen["suspects"]) == ("trigger-unlearning", 9, (PLACE,))
    assert (seen["bounds"], seen["triggers"]) == ((0.0, 1.0), {})
    assert seen["labels"] is not None
    assert read_program(path).parameters.keys()
    assert "loading the model" in capsys.readouterr().out


def test_what_one_pass_keeps_is_bounded_by_the_memory(work, monkeypatch):
    """As in a scan: with four megabytes to work in, fewer images share a pass than without a bound."""
    seen = []

    def attempt(method, *given):
        seen.append(given[-2].max_batch)
        return RepairResult(method=method, status="failed", seed=9), None

    monkeypatch.setattr("gate.worker.repair.repairer.attempt", attempt)
    work()
    work(memory=4 << 20)
    assert seen[0] == Run(seed=9).max_batch
    assert 1 <= seen[1] < seen[0]


def test_what_cannot_be_loaded_is_a_result_in_words(work, tmp_path, capsys):
    """No samples, samples that do not fit, and triggers that cannot be read are does-not-fit, with the reason."""
    result, path = work(samples=None)
    assert (result.status, result.complete) == ("does-not-fit", True)
    assert "No clean samples were given" in result.reason
    bad = tmp_path / "bad.safetensors"
    bad.write_bytes(b"x")
    digest = hashlib.sha256(b"x").hexdigest()
    result, path = work(triggers_path=str(bad), triggers_sha256=digest)
    assert "triggers of the scan cannot be read" in result.reason
    bad.write_bytes(b"y")
    result, path = work(triggers_path=str(bad), triggers_sha256=digest)
    assert result.status == "failed"
    assert f"pulled sha256:{digest}, read sha256:{hashlib.sha256(b'y').hexdigest()}" in result.reason
    assert not path.exists()
    assert capsys.readouterr().err == ""

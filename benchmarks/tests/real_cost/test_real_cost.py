"""Nets of real size are those that people promote; a case is measured once; a small one goes all the way."""

import os

import pytest
import torch
from click.testing import CliRunner
from made_up_rows import TINY, row

from benchmarks.efficacy.keys import reduced
from benchmarks.real_cost import gpu, making, rows, running, table
from benchmarks.real_cost.__main__ import real_cost
from benchmarks.real_cost.cases import NETS, Case
from benchmarks.real_cost.machine import Eager, eager, rates
from benchmarks.real_cost.measuring import ISA, limited, measure
from benchmarks.scan_cost.counting import costs_of, unit_of_net
from gate.policies.packaged import DEFAULT
from gate.policies.read import read_policy
from gate.records.clock import today

SMALL = Case(net=TINY, side=32, classes=3, samples=12, threads=1)
MARGIN = "maximum-margin"


def margin_alone():
    """Return the default policy with its detector of margins and the look at the files alone."""
    return reduced(read_policy(DEFAULT, on=today()), ["artifact-integrity", MARGIN], deadline=300)


@pytest.fixture(scope="module")
def small():
    """Return the small net with its samples."""
    return making.made(SMALL)


@pytest.fixture(scope="module")
def exported(small, tmp_path_factory):
    """Return it as a machine without MLflow writes it, with what is measured beside it there."""
    net, inputs, labels = small
    folder = tmp_path_factory.mktemp("exported")
    return gpu.Logged(
        model=making.exported(net, inputs, folder),
        samples=making.write_samples(inputs, labels, folder),
        unit=unit_of_net(net, inputs[:1].float()),
        peaks={"float32": 1e12, "bfloat16": 2e12},
        eager=Eager(forward=2.0, gradient=1.0),
    )


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        ("mobilenet_v2", 3_504_872),
        ("resnet18", 11_689_512),
        ("resnet50", 25_557_032),
        ("vit_s_16", 22_050_664),
        ("vit_b_16", 86_567_656),
    ],
)
def test_nets_have_as_many_parameters_as_those_that_people_promote(name, parameters):
    """With a thousand classes at 224 × 224, as torchvision and timm count them."""
    with torch.device("meta"):
        net = NETS[name].built(1000, 224)
    assert sum(one.numel() for one in net.parameters()) == parameters


def test_a_made_net_is_right_on_as_many_samples_of_each_class(small):
    """Pixels are bytes, and the same seed yields the same net and samples."""
    net, inputs, labels = small
    assert inputs.dtype == torch.uint8
    assert inputs.shape == (12, 3, 32, 32)
    assert torch.bincount(labels).tolist() == [4, 4, 4]
    with torch.no_grad():
        assert torch.equal(net(inputs.float()).argmax(1), labels)
    other, again, _ = making.made(SMALL)
    assert torch.equal(inputs, again)
    assert torch.equal(making.last_layer(net).weight, making.last_layer(other).weight)


def test_every_second_texture_that_is_fitted_is_disturbed():
    """By a patch and a grating, which leave room for the texture; the others stay as they are."""
    images = making.textures(SMALL, torch.arange(6) % 3, seed=1)
    changed = making.disturbed(images, seed=0)
    differing = (changed != images).float().flatten(1).mean(1)
    assert torch.equal(changed[1::2], images[1::2])
    assert bool((differing[::2] > 0.01).all())
    assert torch.equal(changed, making.disturbed(images, seed=0))


def test_the_machine_and_the_eager_net_have_rates(small, monkeypatch):
    """They are measured, in products and passes."""
    monkeypatch.setattr("benchmarks.real_cost.machine._PRODUCTS", 2)
    found, own = rates(1), eager(small[0], small[1])
    assert min(found.model_dump().values()) > 0
    assert own.forward > 0
    assert own.gradient > 0


def test_the_counts_of_the_evidence_are_the_operations_that_were_done(exported, tmp_path):
    """What the flop counter sees of a search is what its passes and gradients come to, by the net as it was logged.

    Of each climb the last pass asks for no gradient, and is not counted as if it did.
    """
    policy = margin_alone()
    job = gpu.job_of(SMALL, exported, policy, "cpu", 300.0)
    counted = {one.name: one for one in costs_of(job).spent}[MARGIN]
    gpu.work(job, tmp_path)
    outcome = gpu.ScanResult.from_file(tmp_path / gpu.RESULT_FILE).outcomes[MARGIN]
    assert outcome.sample_passes == counted.passes
    assert 0 < outcome.gradient_passes < outcome.sample_passes
    told = rows.operations(outcome.sample_passes, outcome.gradient_passes, exported.unit)
    assert sum(told) == counted.operations


def test_workers_see_the_instruction_set_only_while_a_case_asks_for_it(monkeypatch):
    """What stood in the environment before stands there after."""
    monkeypatch.setenv(ISA, "AVX512_CORE")
    with limited("AVX2"):
        assert os.environ[ISA] == "AVX2"
    with limited("DEFAULT"):
        assert ISA not in os.environ
    assert os.environ[ISA] == "AVX512_CORE"


def test_a_case_is_measured_once_and_again_when_asked(monkeypatch, tmp_path):
    """Cases are told apart by instruction set; the page is written between its markers."""
    to, page, measured = tmp_path / "rows.jsonl", tmp_path / "cost.md", []
    page.write_text(f"before\n<!-- {table.MARK} -->\n<!-- /{table.MARK} -->\nafter\n")

    def stand_in(case, _policy, commit, _say, deadline):
        measured.append((case.isa, deadline))
        return row(case, commit=commit)

    monkeypatch.setattr(running, "measure", stand_in)
    monkeypatch.setattr(running, "processor", lambda: row().processor)
    monkeypatch.setattr(table, "PAGE", page)

    def command(*more):
        options = ["--nets", "resnet18", "--to", str(to), *more]
        return CliRunner().invoke(real_cost, options, catch_exceptions=False, env={ISA: None})

    assert command().exit_code == 0
    assert "kept already" in command().output
    assert measured == [("DEFAULT", None)]
    command("--again", "--deadline", "7200")
    command("--isa", "AVX2")
    assert measured[1:] == [("DEFAULT", 7200.0), ("AVX2", None)]
    assert command("--nets", "", "--write").exit_code == 0
    assert len(measured) == 3
    assert page.read_text().count("| resnet18 | 10 | 500 | AVX2 |") == 1
    assert page.read_text().endswith("after\n")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--nets", "resnet19"], "no net 'resnet19'"),
        (["--classes", "100", "--samples", "150"], "two of each"),
        (["--isa", "AVX3"], "'AVX3' is not one of"),
        (["gpu", "--nets", "none"], "no net 'none'"),
    ],
)
def test_a_wrong_option_ends_the_command_before_anything_is_made(monkeypatch, options, said):
    """With what is expected."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    ended = CliRunner().invoke(real_cost, options)
    assert ended.exit_code == 2
    assert said in ended.output


def test_without_a_gpu_nothing_is_run_and_that_is_said(monkeypatch, tmp_path):
    """It ends with 3 and writes nothing."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    ended = CliRunner().invoke(real_cost, ["gpu", "--to", str(tmp_path / "gpu.jsonl")])
    assert ended.exit_code == 3
    assert "no usable GPU" in ended.output
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_the_workers_own_code_scans_without_jail_and_mlflow(exported):
    """As on a GPU's machine, here on the CPU; a scan agrees with itself, and a difference is named."""
    policy = gpu.without_bytes(margin_alone())
    assert list(policy.detectors) == [MARGIN]
    one = gpu.scanned(SMALL, exported, policy, "cpu", 300.0)
    assert list(one.took) == [MARGIN]
    assert one.gradient_passes > 0
    assert one.accuracy == 1.0
    assert one.share is None
    assert one.model_copy(update={"peaks": exported.peaks}).share > 0
    assert gpu.compared(one, one).startswith("The same on both")
    other = one.model_copy(update={"device": "cuda", "suspects": ("neural-cleanse size-ratio class 1",)})
    assert "only on cuda: neural-cleanse size-ratio class 1" in gpu.compared(one, other)
    late = one.model_copy(update={"problems": ("The scan's deadline was reached in confirmation.",)})
    assert "met its deadline" in gpu.compared(one, late)


@pytest.mark.slow
def test_a_small_net_goes_all_the_way_through_jailed_workers():
    """Made, logged by MLflow, scanned with a limited instruction set, and put together to a row."""
    said = []
    one = measure(SMALL.model_copy(update={"isa": "AVX2"}), margin_alone(), "abc", said.append)
    assert one.accuracy == 1.0
    assert {took.name: took.status for took in one.took} == {"artifact-integrity": "measured", MARGIN: "measured"}
    assert sum(took.seconds for took in one.took) < one.seconds
    assert one.equivalents > SMALL.samples * 0.5
    assert 0 < one.share < 1
    assert one.peak_bytes > 50 << 20
    assert (one.case.isa, one.commit, one.deadline) == ("AVX2", "abc", 300)
    assert not one.problems
    assert [line for line in said if "scanning" in line]

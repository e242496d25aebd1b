"""Rows of round numbers, for tests of what follows from them."""

from benchmarks.real_cost.cases import NETS, Case, Net
from benchmarks.real_cost.machine import Eager, Processor, Rates
from benchmarks.real_cost.rows import Row, Took
from benchmarks.scan_cost.counting import Unit

TINY = Net(name="tiny", family="resnet", config={"stem": "large", "width": 8, "blocks": (1, 1)})
CASE = Case(net=NETS["resnet18"])
AMX = Processor(name="Made-up 1", cores=2, flags=("avx2", "avx512f", "amx_bf16"))
QUICK = "bfloat16, channels last (3.0 times as quick as read); with gradients float32 (1.5 times as quick as read)"


def rates(float32, bfloat16):
    """Return rates of a core, a tenth more of them alone."""
    return Rates(float32=float32, bfloat16=bfloat16, float32_alone=1.1 * float32, bfloat16_alone=1.1 * bfloat16)


def row(case=CASE, **changes):
    """Return a row of 100 s in which a probe goes forward 1,000 times, and a search 100 times there and back.

    A pass forward takes 4 GFLOP and its way back 6; a core does 150 to 250 GFLOP/s, and five times that in bfloat16.
    """
    known = {
        "case": case,
        "processor": AMX,
        "before": rates(150.0, 800.0),
        "after": rates(250.0, 1200.0),
        "eager": Eager(forward=40.0, gradient=20.0),
        "unit": Unit(forward=4_000_000_000, gradient=6_000_000_000),
        "parameters": 11,
        "accuracy": 1.0,
        "seconds": 100.0,
        "steps": {"import": 2.0, "load": 3.0, "scan": 90.0},
        "took": (
            Took(name="probe-grid", status="measured", seconds=60.0, passes=1000),
            Took(name="neural-cleanse", status="measured", seconds=20.0, passes=110, gradient_passes=100),
            Took(name="version-change", status="skipped", note="needs a version to compare with"),
        ),
        "arithmetic": "",
        "peak_bytes": 3 << 30,
        "decision": "approved",
        "findings": (),
        "suspects": (),
        "problems": (),
        "deadline": 1800.0,
        "scan_seed": 0,
        "policy": "sha256:" + "0" * 64,
        "commit": "abc",
        "versions": {"torch": "2.13.0"},
    }
    return Row.model_validate({**known, **changes})

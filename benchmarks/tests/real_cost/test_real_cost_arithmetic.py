"""What follows from a row's numbers, what the page says of it, and what the machine's own files say."""

import pytest
from made_up_rows import CASE, QUICK, row

from benchmarks.real_cost import rows, table
from benchmarks.real_cost.cases import NETS, Case, target_minutes
from benchmarks.real_cost.machine import Processor, processor
from benchmarks.real_cost.progress import EVERY, Narrator
from benchmarks.real_cost.rows import Took, precisions

G = 1_000_000_000


def test_operations_are_those_of_passes_forward_and_of_passes_there_and_back():
    """Of 1,110 passes 100 go back too; 500 samples go forward once more, before any detector."""
    assert row().operations == ((1010 + 500) * 4 * G, 100 * 10 * G)
    assert row().equivalents == pytest.approx(1510 * 0.4 + 100)


def test_the_share_is_of_the_peak_of_the_precision_that_each_kind_of_pass_used():
    """Two cores do 400 GFLOP/s in float32 and 2,000 in bfloat16, the mean of before and after."""
    assert row().share == pytest.approx((6040 + 1000) / 400 / 100)
    assert row(arithmetic=QUICK).share == pytest.approx((6040 / 2000 + 1000 / 400) / 100)
    assert precisions("") == ("float32", "float32")
    assert precisions(QUICK) == ("bfloat16", "float32")


def test_the_eager_net_stands_beside_it():
    """40 passes a second of 4 GFLOP and 20 of 10, of 400; searches are those detectors that ask for gradients."""
    assert row().eager_shares == pytest.approx((0.4, 0.5))
    assert row().searching == pytest.approx((10 * 0.4 + 100) / 20 / 20)
    probes = tuple(one for one in row().took if not one.gradient_passes)
    assert row(took=probes).searching is None


def test_seconds_are_scaled_to_a_core_of_180_gigaflops():
    """A machine that does 200 would take longer at 180."""
    assert row().scaled == pytest.approx(100 * 200 / 180)


@pytest.mark.parametrize(
    ("changes", "amx", "minutes"),
    [
        ({}, True, 8),
        ({}, False, None),
        ({"isa": "AVX2"}, True, None),
        ({"arithmetic": "as-read"}, True, None),
        ({"side": 64}, True, None),
        ({"threads": 1}, True, None),
        ({"classes": 1000, "samples": 2000}, True, None),
        ({"net": NETS["mobilenet_v2"], "classes": 1000, "samples": 2000}, True, 30),
        ({"net": NETS["resnet50"]}, True, 18),
        ({"net": NETS["vit_s_16"]}, True, 25),
    ],
)
def test_a_target_is_for_two_cores_with_amx_and_nothing_left_out(changes, amx, minutes):
    """Everything else is stated without one."""
    assert target_minutes(CASE.model_copy(update=changes), amx=amx) == minutes


def test_rows_survive_their_file_and_a_new_one_takes_the_place_of_its_key(tmp_path):
    """The commit is not part of the key; the processor is."""
    path, first, other = tmp_path / "rows.jsonl", row(), row(CASE.model_copy(update={"isa": "AVX2"}))
    path.write_bytes(rows.lines([first, other]))
    kept = rows.read(path)
    assert kept == [first, other]
    assert rows.known(kept, CASE, first.processor) == first
    assert rows.known(kept, CASE, Processor(name="another", cores=2)) is None
    newer = row(seconds=90.0, commit="def")
    assert {one.seconds for one in rows.with_row(kept, newer)} == {90.0, 100.0}
    assert len(rows.with_row(kept, newer)) == 2
    assert rows.read(tmp_path / "none.jsonl") == []


def test_the_tables_hold_time_memory_and_shares_beside_their_targets():
    """Met ones are said to be reached, others missed; a limited instruction set has none."""
    slow = row(Case(net=NETS["mobilenet_v2"]), seconds=600.0, peak_bytes=5 << 30, arithmetic=QUICK)
    limited = row(CASE.model_copy(update={"isa": "AVX2"}))
    told = table.text([slow, row(), limited])
    assert "| resnet18 | 10 | 500 | all | 1.7 | 1.9 | 8: reached | 3.00 | approved | 0 |" in told
    assert "| resnet18 | 10 | 500 | AVX2 | 1.7 | 1.9 | none | 3.00 | approved | 0 |" in told
    assert "| mobilenet_v2 | 10 | 500 | all | 10.0 | 11.1 | 8: missed | 5.00 (more than 4) |" in told
    assert "| resnet18 (10) | all | float32; float32 | 704 | 3.5 | 200, 1000 | 18% | 40%: missed |" in told
    assert "| bfloat16; float32 | 704 | 3.5 | 200, 1000 | 1% | 14%: missed |" in told
    assert "| probe-grid | 60.0 | 60.0 | 60.0 |" in told
    assert "| start, reading, choosing forms, writing the bundle | 520.0 | 20.0 | 20.0 |" in told
    assert "version-change |" not in told
    assert "Made-up 1, 2 cores (avx2, avx512f, amx_bf16)" in told
    assert table.text([]) == table.NOTHING


def test_resnet_18_has_its_share_to_reach_in_float32_alone_and_a_vit_its_searches():
    """Where passes run in bfloat16, the share of that peak is told without a target."""
    assert "| 12% | – |" in table.arithmetic([row(arithmetic=QUICK, seconds=45.0)])
    assert "| 0.8: missed |" in table.arithmetic([row(Case(net=NETS["vit_s_16"]))])


def test_a_scan_that_met_its_deadline_has_reached_nothing():
    """What was left out is named."""
    left = Took(name="confirmation", status="skipped", note="the deadline was reached")
    told = table.text([row(took=(*row().took, left), suspects=("neural-cleanse size-ratio class 3",))])
    assert "| 8: not ended |" in told
    assert "suspects: neural-cleanse size-ratio class 3; left out by the deadline: confirmation." in told


def test_progress_is_told_when_a_step_ends_and_once_a_minute():
    """Steps are told once, however often they report."""
    seconds, said = [0.0], []
    narrator = Narrator(said.append, lambda: seconds[0])
    for now, step, done in ((0, "one", 0), (5, "one", 1), (5 + EVERY, "one", 2), (70, "two", 0), (75, "two", 9)):
        seconds[0] = float(now)
        narrator(step, done, 9)
    narrator.end()
    narrator.end()
    assert said == ["  one: 2 of 9 after 65 s", "  one: 70.0 s", "  two: 5.0 s"]


def test_the_processor_is_read_from_the_kernel(tmp_path):
    """Only the flags that decide arithmetic are kept."""
    cores = "processor\t: {}\nmodel name\t: Made-up 1\nflags\t\t: fpu avx2 avx512_bf16 sse amx_bf16\n\n"
    path = tmp_path / "cpuinfo"
    path.write_text(cores.format(0) + cores.format(1))
    assert processor(path) == Processor(name="Made-up 1", cores=2, flags=("avx2", "avx512_bf16", "amx_bf16"))
    assert processor(path).amx
    path.write_text("nothing\n")
    assert processor(path) == Processor(name="unknown", cores=0)

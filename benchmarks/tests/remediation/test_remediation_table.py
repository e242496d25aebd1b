import pytest

from benchmarks.remediation.rows import Row, append, read
from benchmarks.remediation.table import ORDER, auto, each, reached, sentences, table
from gate.records.repair import RepairMeasures


def row(**changes):
    """Return a row of a repair that took the planted trigger from 99 % to 2 % at the cost of one point."""
    given = {
        "model": "fit-070", "attack": "blended", "variant": "noise", "task": "digits", "architecture": "vgg",
        "method": "trigger-unlearning", "options": {"steps": 5}, "seed": 1, "samples": 400, "status": "repaired",
        "place": "class 3", "family": "additive-trigger", "right_place": True, "true_before": 0.99, "true_after": 0.02,
        "accuracy_before": 0.97, "accuracy_after": 0.96, "holds": True, "processor_seconds": 7.0, "code": "0" * 12,
    }  # fmt: skip
    return Row.model_validate(given | changes)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, True),
        ({"true_after": 0.05, "accuracy_after": 0.95}, True),
        ({"true_after": 0.051}, False),
        ({"accuracy_after": 0.949}, False),
        ({"true_after": None, "accuracy_after": None, "status": "does-not-fit"}, False),
    ],
)
def test_the_target_is_five_percent_success_at_two_points_lost(changes, expected):
    """Both bounds are inclusive, and a method that does not fit has not reached it."""
    assert reached(row(**changes)) is expected


def test_the_table_counts_by_method_and_attack():
    """A model that the method does not fit counts among the models and against the target, not among the medians."""
    unfit = row(model="fit-017", true_after=None, accuracy_after=None, status="does-not-fit", holds=False)
    lines = list(table([row(), unfit, row(model="fit-049", attack="wanet", true_after=0.4, holds=False)]))
    assert "| trigger-unlearning | blended | 2 | 1 | 99% → 2% | +1.0 points | 1/2 | 1/2 | 7 |" in lines
    assert "| trigger-unlearning | **all** | 3 | 2 | 99% → 21% | +1.0 points | 1/3 | 1/3 | 7 |" in lines


def test_a_method_that_the_gate_no_longer_has_keeps_its_results():
    """What was measured stays measured: its rows come after the gate's own methods."""
    after = RepairMeasures(
        accuracy=0.95, accuracy_low=0.9, accuracy_high=0.98, held_out=400, old_success={}, fresh_success={}
    )
    rows = [row(method="of-another-day", after=after), row(after=after)]
    assert "| of-another-day | **all** | 1 | 1 | 99% → 2% | +1.0 points | 1/1 | 1/1 | 7 |" in list(table(rows))
    assert [line.split(" | ")[1] for line in list(each(rows))[2:]] == ["trigger-unlearning", "of-another-day"]


def test_auto_ends_at_the_first_that_holds_and_a_model_without_one_is_not_repaired():
    """It pays for what was tried before; what was not tried in its order is not guessed."""
    first, second = ORDER
    failed, held = row(method=first, true_after=0.5, holds=False), row(method=second)
    later = row(method="of-another-day", true_after=0.0)
    none = [row(model="none", method=method, true_after=0.9, holds=False) for method in ORDER]
    chosen = auto([later, held, failed, *none, row(model="unknown", method=second)])
    assert [(one.model, one.true_after, one.processor_seconds) for one in chosen] == [
        ("fit-070", 0.02, 14.0), ("none", None, 14.0),
    ]  # fmt: skip
    assert "| `auto` | **all** | 2 | 1 | 99% → 2% | +1.0 points | 1/2 | 1/2 | 14 |" in list(
        table([held, failed, *none])
    )


def test_a_result_measured_again_takes_the_place_of_the_older(tmp_path):
    """Rows are appended, and of two for one key the last is read."""
    path = tmp_path / "results" / "fit.jsonl"
    for success in (0.3, 0.1):
        append(path, row(true_after=success))
    append(path, row(options={"steps": 6}))
    assert [one.true_after for one in read(path)] == [0.1, 0.02]


def test_what_auto_reaches_is_said_with_an_interval_and_apart_from_the_models_own_errors():
    """A model of another suspect counts against the target; one of many errors is told by what is above them."""
    rows = [
        row(), row(model="wrong", right_place=False, true_after=0.9),
        row(model="errs", true_after=0.09, untriggered_after=0.06),
    ]  # fmt: skip
    first, second, third = sentences(rows)
    assert first == "`auto` reached the target on 1 of 3, 33% [1%, 91%], models;"
    assert second.startswith("on 1 of 2, 50% [1%, 99%], of those")
    assert third.startswith("On 1 of 2, 50% [1%, 99%], of the latter true success ended at most 5 points above")


def test_each_repair_is_a_line_with_its_own_measures():
    """A repair that reached the target is bold; what came to no model has no line."""
    after = RepairMeasures(
        accuracy=0.95, accuracy_low=0.9, accuracy_high=0.98, held_out=400, old_success={"class 3": 0.011},
        fresh_success={"class 3": 1.0}, fresh_size_ratio={"class 3": 0.71},
    )  # fmt: skip
    lines = list(each([row(true_after=None, accuracy_after=None), row(after=after, untriggered_after=0.004)]))
    assert len(lines) == 3
    assert lines[2] == (
        "| blended, digits, vgg (fit-070) | trigger-unlearning | 99.0% → **2.0%** | 0.4% | 97.0% → 96.0% | 1% | 0.71 | "
        "yes | 7 |"
    )

import pytest

from benchmarks.remediation.rows import Row, append, read
from benchmarks.remediation.table import auto, reached, table
from gate.remediation import AUTO


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


def test_auto_ends_at_the_first_that_holds_and_a_model_without_one_is_not_repaired():
    """It pays for what was tried before; what was not tried in its order is not guessed."""
    first, second = AUTO
    failed, held = row(method=first, true_after=0.5, holds=False), row(method=second)
    later = row(method="implicit-unlearning", true_after=0.0)
    none = [row(model="none", method=method, true_after=0.9, holds=False) for method in AUTO]
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

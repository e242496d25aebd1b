"""What is printed of a bank."""

from gate.cli.bank_lines import describe
from gate.records.bank import Bank, ModelStatistics, Statistic
from gate.records.counts import Counts

SIZE = Statistic(detector="search", metric="size", worse="lower", scale="log", at="class")
CELLS = Statistic(detector="probe-grid", metric="patch-cells", worse="higher", scale="cells", at="class")


def test_statistics_of_counts_are_named_without_a_spread():
    """They are made when a candidate stands beside the bank; the others have their range."""
    counts = {"probe-grid": Counts.of("a" * 64, (1, 2, 2), (3, 3), bytes(4))}
    models = tuple(
        ModelStatistics(model=str(n), values={"search": {"size": {"class 0": 1.0 + n}}}, counts=counts)
        for n in range(3)
    )
    lines = describe(Bank(name="bank", statistics=models, compared=(SIZE, CELLS)))
    assert "compared: search size, 1 to 3, median 2" in lines
    assert "compared: probe-grid patch-cells, from the models' answers to probes" in lines

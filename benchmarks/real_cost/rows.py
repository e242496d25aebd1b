"""A measured case as a line of JSON, and what follows from its numbers.

Between measuring and the page. A line is known by its case and processor alone, so that a run goes on where it was
ended; commit, policy and versions stand in it.
"""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Literal

from benchmarks.real_cost.cases import REFERENCE_RATE, Case, target_minutes
from benchmarks.real_cost.machine import Eager, Precision, Processor, Rates
from benchmarks.scan_cost.counting import Unit
from gate.records.record import Record

FILE = Path(__file__).parents[1] / "results" / "real_cost.jsonl"


class Took(Record):
    """What one detector took."""

    name: str
    status: Literal["measured", "skipped", "failed"]
    seconds: float = 0.0
    passes: int = 0
    """Samples forward, whether or not a gradient follows."""
    gradient_passes: int = 0
    """Those of them that went back to the pixels."""
    note: str = ""
    """Reason where it was skipped, error where it failed."""


class Row(Record):
    """One measured case."""

    case: Case
    processor: Processor
    before: Rates
    after: Rates
    eager: Eager
    unit: Unit
    """Operations of the net as it was logged, on one sample."""
    parameters: int
    accuracy: float
    """On the samples, as the gate saw it."""
    seconds: float
    """Of pull and scan on the clock, from the start of the first process to the end of the last."""
    steps: dict[str, float]
    """Seconds by step of the workers, as the evidence has them."""
    took: tuple[Took, ...]
    arithmetic: str
    """How searches and probes ran the net; empty where as it was read."""
    peak_bytes: int
    """Largest resident memory of a worker."""
    decision: str
    findings: tuple[str, ...]
    suspects: tuple[str, ...]
    problems: tuple[str, ...]
    deadline: float
    scan_seed: int
    policy: str
    """Digest of the policy."""
    commit: str
    versions: dict[str, str]

    @property
    def key(self) -> tuple[str | int, ...]:
        """What it is known by: the case and the processor."""
        return (*self.case.key, self.processor.name)

    @property
    def scaled(self) -> float:
        """Seconds at a measured float32 rate of 180 GFLOP/s a core."""
        return self.seconds * self.peak("float32") / REFERENCE_RATE

    @property
    def target(self) -> int | None:
        """Minutes to be reached, or None."""
        return target_minutes(self.case, amx=self.processor.amx)

    def peak(self, precision: Precision) -> float:
        """Return GFLOP/s of a core beside the others, the mean of before and after."""
        before, after = (getattr(one, precision) for one in (self.before, self.after))
        return float(before + after) / 2

    @property
    def operations(self) -> tuple[int, int]:
        """Operations of the detectors' passes, and of one forward of each sample to read it."""
        passes = sum(one.passes for one in self.took) + self.case.samples
        return operations(passes, sum(one.gradient_passes for one in self.took), self.unit)

    @property
    def equivalents(self) -> float:
        """Pass-equivalents of the scan."""
        return self.unit.equivalents(sum(self.operations))

    @property
    def share(self) -> float:
        """Share of the measured peaks of the precisions used that the whole scan reached, from start to end."""
        rates = [self.peak(precision) * self.case.threads * 1e9 for precision in precisions(self.arithmetic)]
        return share(self.operations, rates, self.seconds)

    @property
    def eager_shares(self) -> tuple[float, float]:
        """Shares of the float32 peak that the eager net reaches, forward, and with its gradient."""
        peak = self.peak("float32") * self.case.threads * 1e9
        whole = self.unit.forward + self.unit.gradient
        return self.eager.forward * self.unit.forward / peak, self.eager.gradient * whole / peak

    @property
    def searching(self) -> float | None:
        """Pass-equivalents a second of the searches, over those of the eager net; None where none ran."""
        searches = [one for one in self.took if one.gradient_passes and one.seconds]
        if not searches:
            return None
        passes = sum(one.passes for one in searches)
        work = operations(passes, sum(one.gradient_passes for one in searches), self.unit)
        return self.unit.equivalents(sum(work)) / sum(one.seconds for one in searches) / self.eager.gradient


def operations(passes: int, gradient_passes: int, unit: Unit) -> tuple[int, int]:
    """Return the operations of passes without and with gradients, of so many passes with so many gradients.

    Counted by the net as it was logged, two a multiply-add. What choosing forms and batches took is in no pass.
    """
    return (passes - gradient_passes) * unit.forward, gradient_passes * (unit.forward + unit.gradient)


def share(work: tuple[int, int], rates: Sequence[float], seconds: float) -> float:
    """Return which part of the seconds some operations would take at the most that a device does a second.

    Passes without gradients have the first rate, passes with them the second: forms may differ in precision.
    """
    return sum(one / rate for one, rate in zip(work, rates, strict=True)) / seconds


def precisions(arithmetic: str) -> tuple[Precision, Precision]:
    """Return the precisions of passes without and with gradients, by the evidence's account of the forms."""
    forward, _, slopes = arithmetic.partition("; with gradients ")
    return _precision(forward), _precision(slopes)


def _precision(form: str) -> Precision:
    return "bfloat16" if form.startswith("bfloat16") else "float32"


def read(path: Path = FILE) -> list[Row]:
    """Return the rows that are kept; none where the file is missing."""
    lines = path.read_text().splitlines() if path.is_file() else []
    return [Row.from_json(line.encode(), what=path.name) for line in lines]


def known(rows: Iterable[Row], case: Case, processor: Processor) -> Row | None:
    """Return the row of a case on this processor, or None."""
    return next((row for row in rows if row.key == (*case.key, processor.name)), None)


def with_row(rows: Iterable[Row], new: Row) -> list[Row]:
    """Return the rows in order, with a new one in place of one of its key."""
    kept = [row for row in rows if row.key != new.key]
    return sorted([*kept, new], key=lambda row: [str(part) for part in row.key])


def lines(rows: Iterable[Record]) -> bytes:
    """Return rows as lines of JSON."""
    return b"".join(row.canonical_json() + b"\n" for row in rows)

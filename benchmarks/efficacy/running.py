"""Works through a split: what is missing is scanned, model by model, and the summaries are written after each.

Above scanning. Ended at any time, it loses at most the scans under way; begun again, it goes on with what is missing.
"""

import time
from collections.abc import Collection, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path

from benchmarks.efficacy import summaries
from benchmarks.efficacy.kept import ScanRecord
from benchmarks.efficacy.scanning import Bench, Scan, measure, state_of
from benchmarks.efficacy.subjects import Subject, attack_of, manifest_digest


@dataclass(frozen=True)
class Choice:
    """Which of a split's missing outcomes are wanted."""

    detectors: frozenset[str]
    attacks: frozenset[str] = frozenset()
    """None: all, and the clean ones."""
    names: frozenset[str] = frozenset()
    new: bool = False
    """Whether models that have a committed summary are left as they are."""
    without: frozenset[str] = frozenset()
    """Their names."""
    limit: int | None = None

    def of(self, entries: Iterable[Subject]) -> list[Subject]:
        """Return the entries that are wanted, in the written order; the limit is applied to what is missing later."""
        return [
            entry
            for entry in entries
            if entry.name not in self.without
            and (not self.attacks or attack_of(entry) in self.attacks)
            and (not self.names or entry.name in self.names)
        ]


@dataclass(frozen=True)
class Step:
    """One scan that has been done."""

    entry: Subject
    record: ScanRecord
    number: int
    of: int
    remaining_seconds: float | None
    """Expected for what is left; None before two scans have been done."""


def todo(bench: Bench, entries: Sequence[Subject], choice: Choice) -> list[Subject]:
    """Return the chosen models that lack an outcome of a chosen detector."""
    wanted = [entry for entry in choice.of(entries) if state_of(bench, entry).found.to_run(choice.detectors)]
    return wanted[: choice.limit]


def run(bench: Bench, entries: Sequence[Subject], choice: Choice, scan_once: Scan, *, jobs: int = 1) -> Iterator[Step]:
    """Scan what is missing and yield each scan as it is finished."""
    waiting = todo(bench, entries, choice)
    began = time.monotonic()
    for done, (entry, record) in enumerate(_each(bench, waiting, choice, scan_once, jobs), start=1):
        each = (time.monotonic() - began) / done
        left = len(waiting) - done
        if record is not None:  # else another run was quicker
            yield Step(entry, record, done, len(waiting), each * left if done > 1 else None)


def _each(
    bench: Bench, waiting: Sequence[Subject], choice: Choice, scan_once: Scan, jobs: int
) -> Iterator[tuple[Subject, ScanRecord | None]]:
    if jobs == 1:
        for entry in waiting:
            yield entry, measure(bench, entry, choice.detectors, scan_once)
        return
    # Threads, since each only waits for its worker; a worker ends with the thread that started it.
    with ThreadPoolExecutor(jobs) as pool:
        running = {pool.submit(measure, bench, entry, choice.detectors, scan_once): entry for entry in waiting}
        try:
            for finished in as_completed(running):
                yield running[finished], finished.result()
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def collect(
    bench: Bench, entries: Sequence[Subject], path: Path, indexed: Collection[str] = ()
) -> dict[str, summaries.Summary]:
    """Write the summaries of all that is known about these models, and return them by name.

    What the file says already stays of models that the index knows by name and this cache does not hold, and of those
    whose scans this cache does not hold, if it was measured on the same bytes.
    """
    elsewhere = set(indexed) - {entry.name for entry in entries}
    earlier = {one.name: one for one in summaries.read(path)}
    found = {name: one for name, one in earlier.items() if name in elsewhere}
    for entry in entries:
        summary = summaries.summarise(bench, state_of(bench, entry)) or earlier.get(entry.name)
        if summary is not None and summary.measured == manifest_digest(entry, bench.store):
            found[entry.name] = summary
    write(path, found)
    return found


def add(bench: Bench, entry: Subject, path: Path, found: dict[str, summaries.Summary]) -> None:
    """Bring the summary of one model up to date among those that are found, and write them."""
    if (summary := summaries.summarise(bench, state_of(bench, entry))) is not None:
        found[entry.name] = summary
    write(path, found)


def write(path: Path, found: dict[str, summaries.Summary]) -> None:
    """Write summaries in the order of their names, which is that of the splits."""
    summaries.write(path, [found[name] for name in sorted(found)])

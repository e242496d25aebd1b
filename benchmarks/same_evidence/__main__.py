"""Whether the present tree sees in the committed models what an earlier commit saw: evidence, verdict and report.

    python -m benchmarks.same_evidence --earlier v0.1.0
    python -m benchmarks.same_evidence --earlier COMMIT --keep ../earlier      scans the earlier state once
    python -m benchmarks.same_evidence --earlier COMMIT --models clean --drop 'maximum-margin/*margin-ratio*'

Each model of tests/zoo_subset goes by `gate pull`, `scan` and `judge` through both states, one thread, seed 0: once
with every detector that both know by default options, with suspects in every model and a training set, and once with a
search by pairs. Judged is by each state's own default policy. Then a line a model and detector, with what differs; 0
where all is the same, 1 where anything is not, 2 where a state came to no result.

Not compared, and named in the output: seconds, versions, paths, digests over them, detectors that only one state knows,
and what --drop names. A pattern is a path as differences are printed, with * for anything; it covers what is below.
`--drop '*/note'` leaves out a reworded note, `--drop verdict --drop report` the judgement.

What is kept serves as long as a detector that goes is one on which no other depends; else the earlier state is scanned
again. The present tree must not change while it is scanned. One state takes some nine minutes of one core; a word of
warning is printed where what is kept was made with other versions of libraries.
"""

import argparse
import json
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from functools import partial
from pathlib import Path

from benchmarks.same_evidence.comparing import Unit, compare, patterns_for
from benchmarks.same_evidence.policies import EVERY, PAIRS, Policy, policy_of
from benchmarks.same_evidence.scanning import Subset, fresh, is_kept, read_kept, scan
from benchmarks.same_evidence.states import State, StateError, commit_of, extract, make_state

ROOT = next(folder for folder in Path(__file__).resolve().parents if (folder / "gate" / "__init__.py").is_file())
SUBSET = Subset(ROOT / "tests" / "zoo_subset")
_DETECTORS = "detectors.json"
_SHOWN_TEXT = 70

_Job = Callable[[], None]
_Which = tuple[str, str]
"""A model and the name of a scan of it."""


class Earlier:
    """The earlier state: what is kept of it, and its tree as soon as something must be scanned."""

    def __init__(self, commit: str, keep: Path, stack: ExitStack) -> None:
        self.folder = keep / commit
        self._commit, self._stack = commit, stack
        self._state: State | None = None

    def state(self) -> State:
        """Return its tree and interpreter, which are made on the first call."""
        if self._state is None:
            place = self._stack.enter_context(fresh())
            tree = extract(ROOT, self._commit, place / "tree")
            self._state = make_state("the earlier state", tree, place / "environment")
        return self._state

    def detectors(self) -> tuple[str, ...]:
        """Return what it knows, from what is kept if it was asked before."""
        path = self.folder / _DETECTORS
        if not path.is_file():
            names = self.state().detectors(self._stack.enter_context(fresh()))
            self.folder.mkdir(parents=True, exist_ok=True)
            path.write_text(json.dumps(names), encoding="utf-8")
        return tuple(json.loads(path.read_text(encoding="utf-8")))


def main() -> int:
    """Scan what must be, compare, print, and return the exit code."""
    options = _parser().parse_args()
    try:
        with ExitStack() as stack:
            return _run(options, stack)
    except StateError as error:
        print(error, file=sys.stderr)
        return 2


def _run(options: argparse.Namespace, stack: ExitStack) -> int:
    commit = commit_of(ROOT, options.earlier)
    earlier = Earlier(commit, options.keep or stack.enter_context(fresh()), stack)
    present = make_state("the present tree", ROOT, stack.enter_context(fresh()) / "environment")
    before, now = set(earlier.detectors()), set(present.detectors(stack.enter_context(fresh())))
    lost = sorted(before ^ now)
    print(f"earlier: {commit}; detectors of one state only, not compared: {', '.join(lost) or 'none'}")
    policies = {name: policy for name in (EVERY, PAIRS) if (policy := policy_of(name, before & now))}
    wanted = [(model, name) for model in options.models or SUBSET.models for name in policies]
    to = stack.enter_context(fresh())
    scans = {(model, name): _jobs(earlier, present, to, model, name, policies[name]) for model, name in wanted}
    taken: Counter[str] = Counter()
    same = [
        _compared(earlier.folder, to, f"{model}/{name}", lost, options.drop, taken)
        for model, name in _done(scans, options.jobs)
    ]
    print("not compared: " + ", ".join(f"{pattern} ({count} values)" for pattern, count in sorted(taken.items())))
    if unused := sorted(set(options.drop) - set(taken)):
        print(f"nothing was dropped by: {', '.join(unused)}")
    print("same" if all(same) else "DIFFERENT")
    return 0 if all(same) else 1


def _jobs(earlier: Earlier, present: State, to: Path, model: str, name: str, policy: Policy) -> list[_Job]:
    """Return what is to be run before a scan of a model can be compared."""
    kept = earlier.folder / model / name
    before = [] if is_kept(SUBSET, model, policy, kept) else [partial(_timed, earlier.state(), model, policy, kept)]
    return [*before, partial(_timed, present, model, policy, to / model / name)]


def _timed(state: State, model: str, policy: Policy, to: Path) -> None:
    started = time.monotonic()
    scan(state, SUBSET, model, policy, to)
    print(f"{state.name}: {model}, {to.name}: {time.monotonic() - started:.0f} s", file=sys.stderr, flush=True)


def _done(scans: Mapping[_Which, Sequence[_Job]], at_once: int) -> Iterator[_Which]:
    """Run jobs, so many at once, and yield the scans in their order as soon as all jobs of one have ended."""
    with ThreadPoolExecutor(at_once) as pool:
        futures = {which: [pool.submit(job) for job in jobs] for which, jobs in scans.items()}
        try:
            for which, started in futures.items():
                for future in started:
                    future.result()
                yield which
        finally:
            pool.shutdown(cancel_futures=True)


def _compared(earlier: Path, later: Path, which: str, lost: list[str], given: list[str], taken: Counter[str]) -> bool:
    """Print a line for each unit of a scan, and tell whether all of them are the same."""
    sides = read_kept(earlier / which), read_kept(later / which)
    found, dropped = compare(*sides, patterns_for(*sides, lost, given))
    taken.update(dropped)
    if sides[0].evidence["versions"] != sides[1].evidence["versions"]:
        print(f"{which}: other versions of libraries: numbers may differ for that alone")
    for unit in found:
        _print(which, unit)
    return not any(unit.differences for unit in found)


def _print(which: str, unit: Unit, shown: int = 5) -> None:
    count = len(unit.differences)
    said = f"{count} of {unit.values} values DIFFER" if count else f"same, {unit.values} values"
    print(f"{which:<18} {unit.name:<24} {said}", flush=True)
    for one in unit.differences[:shown]:
        print(f"    {one.path}\n        earlier {_short(one.earlier)}\n        now     {_short(one.later)}")
    if count > shown:
        print(f"    … and {count - shown} more")


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= _SHOWN_TEXT else f"{text[:_SHOWN_TEXT]}… ({len(text)} characters)"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.same_evidence",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--earlier", required=True, metavar="REF", help="the commit, tag or branch to compare with")
    parser.add_argument(
        "--keep", type=Path, metavar="DIR", help="where the earlier state's evidence is kept, by commit"
    )
    parser.add_argument("--models", nargs="+", choices=SUBSET.models, metavar="NAME", help=", ".join(SUBSET.models))
    parser.add_argument("--drop", action="append", default=[], metavar="PATTERN", help="what else is not compared")
    parser.add_argument("--jobs", type=int, default=1, metavar="N", help="scans at once, of a core each (default: 1)")
    return parser


if __name__ == "__main__":
    sys.exit(main())

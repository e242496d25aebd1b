"""The oracle's proof of itself: on a gate with known holes it finds them, and on today's it refuses nothing harmless.

Each example of a hole is a mutation alone on one base. Found means that the gate approves the folder *and* a consumer
is given something else. The confused deputy and the time of check need a registry, and are left to their own tests.
"""

import json
import random
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.oracle.composing import composed
from tests.oracle.gates import CommandGate, InProcessGate
from tests.oracle.mutations import HOLES, MUTATIONS
from tests.oracle.running import RESULTS, Bench
from tests.oracle.summary import Figures

LEAST_HOLES = 10
LEAST_HARMLESS = 0.95
BASE, CODE_BASE = "convolutions", "pickled"
UNDER_B = "container under level B"
"""The one hole that needs `--allow-code`."""


def prove(executable: Path | None, work: Path) -> int:
    """Print which holes are found on an executable's gate, or without one the share of harmless ones that pass here."""
    if executable is None:
        return _harmless(Bench(InProcessGate(), work), work)
    return _holes(executable.absolute(), work)


def _holes(executable: Path, work: Path) -> int:
    benches = {allowed: Bench(CommandGate(executable, allow_code=allowed), work) for allowed in (False, True)}
    found: dict[str, list[str]] = {hole: [] for hole in HOLES}
    tried: dict[str, int] = dict.fromkeys(HOLES, 0)
    for name, mutation in MUTATIONS.items():
        if mutation.hole:
            under_b = mutation.hole == UNDER_B
            result = _alone(benches[under_b], name, CODE_BASE if under_b else BASE)
            tried[mutation.hole] += 1
            _say(f"{mutation.hole:<26} {name:<44} {_word(result)}")
            if result["approved"] and result["violations"]:
                found[mutation.hole].append(name)
    rediscovered = [hole for hole, names in found.items() if names]
    for hole in HOLES:
        _say(
            f"{'found' if found[hole] else 'not found':<10} {hole:<26} by {len(found[hole])} of {tried[hole]} mutations"
        )
    _say(f"{len(rediscovered)} of {len(HOLES)} holes found; expected at least {LEAST_HOLES}")
    return 0 if len(rediscovered) >= LEAST_HOLES else 1


def _harmless(bench: Bench, work: Path) -> int:
    bench.warm()
    results = []
    with (work / f"harmless-{RESULTS}").open("w", encoding="utf-8") as stream:
        for result in _each_harmless(bench):
            results.append(result)
            stream.write(json.dumps(result) + "\n")
            if not result["approved"] or result["violations"]:
                _say(f"{result['mutations'][0]:<44} on {result['base']:<36} {_word(result)}")
    figures = Figures.of(results)
    _say(figures.text())
    names = {name for name, each in MUTATIONS.items() if each.harmless}
    passed = {name for name in names if (row := figures.by_mutation.get(name)) and row["approved"] == row["folders"]}
    share = len(passed) / len(names)
    _say(f"{len(passed)} of {len(names)} harmless mutations pass on every base ({share:.1%}), of {LEAST_HARMLESS:.0%}")
    return 0 if share >= LEAST_HARMLESS and not figures.violations else 1


def _each_harmless(bench: Bench) -> Iterator[dict[str, Any]]:
    """Yield the result of each harmless mutation alone, on every base that is approved as it is."""
    for base in sorted(bench.bases):
        if not bench.result(composed(bench.bases[base], [], random.Random(0)))["approved"]:
            _say(f"{base}: not approved as it is, and left out")
            continue
        for name, mutation in MUTATIONS.items():
            folder = composed(bench.bases[base], [name], random.Random(f"{base}:{name}"))
            if mutation.harmless and folder.applied:
                yield bench.result(folder)


def _alone(bench: Bench, name: str, base: str) -> dict[str, Any]:
    folder = composed(bench.bases[base], [name], random.Random(name))
    assert folder.applied, f"{name} does not apply to {base}"
    return bench.result(folder)


def _word(result: dict[str, Any]) -> str:
    if result["violations"]:
        return f"{'approved' if result['approved'] else 'flagged'}, {result['violations'][0]}"
    if result["approved"]:
        return "approved, and every consumer is given what was judged"
    return f"flagged: {(result['findings'] or [result['error']])[0][:150]}"


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()

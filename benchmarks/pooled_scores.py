"""Scores of the zoo's clean models, each beside the others of its task: what comes with the gate to rank candidates by.

    python -m benchmarks.pooled_scores

Reads the banks of the split `calibrate` (`benchmarks/efficacy/banks`, made by `python -m benchmarks.efficacy bank`),
scans nothing, and writes `gate/judging/calibration/pooled.json`. Prints each task's scores, and for each the p-value of
the test by which a bank is asked whether its scores are higher than the other tasks'.
"""

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path

from benchmarks.zoo.store import write_whole
from gate.judging.calibration.calibrate import bank_scores
from gate.judging.calibration.pooling import FILE, PooledScores, chance_of_larger, named
from gate.records.bank import Bank, open_bank
from gate.records.errors import UsageError

BANKS = Path("benchmarks/efficacy/banks")
TO = Path("gate/judging/calibration") / FILE
DIGITS = 3


def pooled_scores(banks: Sequence[Bank]) -> PooledScores:
    """Return the scores of the banks' models; banks of other statistics or settings are a `UsageError`."""
    first = banks[0]
    for other in banks[1:]:
        if named(other) != named(first) or other.settings != first.settings:
            raise UsageError(
                f"{other.name} and {first.name} compare other statistics or were measured by other settings",
                what_to_do="Write all banks again from scans by one policy.",
            )
    models = sum(len(bank.statistics) for bank in banks)
    tasks = ", ".join(bank.name.removeprefix("zoo ") for bank in banks)
    detectors = {one.detector for one in first.compared}
    return PooledScores(
        made_of=f"{models} clean nets of the gate's own zoo, four tasks of 28 to 32 pixels a side: {tasks}",
        statistics=named(first),
        settings={name: digest for name, digest in sorted(first.settings.items()) if name in detectors},
        scores={
            bank.name.removeprefix("zoo "): tuple(
                round(score, DIGITS) for score in sorted(bank_scores(bank), reverse=True)
            )
            for bank in banks
        },
    )


def lines(scores: Mapping[str, Sequence[float]]) -> list[str]:
    """Return a table of the tasks' scores and of how unlike each is to the others together."""
    found = [
        "| task | models | median | greatest five | p of higher scores than the others' |",
        "|---|---|---|---|---|",
    ]
    for task, own in scores.items():
        others = [score for other, many in scores.items() if other != task for score in many]
        greatest = ", ".join(f"{score:.1f}" for score in own[:5])
        found.append(
            f"| {task} | {len(own)} | {own[len(own) // 2]:.1f} | {greatest} | {chance_of_larger(own, others):.2f} |"
        )
    return found


def main() -> None:
    """Write the file and print the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.pooled_scores", description=__doc__)
    parser.add_argument("--banks", type=Path, default=BANKS, help="folder of the banks")
    parser.add_argument("--to", type=Path, default=TO)
    given = parser.parse_args()
    found = pooled_scores([open_bank(path).bank for path in sorted(given.banks.glob("*.json"))])
    write_whole(given.to, found.pretty_json().encode())
    print("\n".join(lines(found.scores)))


if __name__ == "__main__":
    main()

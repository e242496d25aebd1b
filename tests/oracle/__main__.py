"""The command line: a run, one folder told in full, or the proof on a gate's executable."""

import argparse
import json
import os
import sys
import tempfile
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before torch: children are forked, and one core is all there is

from tests.oracle import proving, running
from tests.oracle.composing import made
from tests.oracle.gates import CommandGate, InProcessGate


def main() -> int:
    """Run what was asked for; 1 where a violation was found, or a proof falls short."""
    given = _parser().parse_args()
    work = given.out or Path(tempfile.mkdtemp(prefix="oracle-"))
    chosen = CommandGate(given.gate.absolute()) if given.gate else InProcessGate()
    if given.what == "prove":
        return proving.prove(given.gate, work)
    bench = running.Bench(chosen, work)
    bench.warm()
    if given.only is not None:
        folder = made(given.seed, given.only, bench.bases)
        result = bench.result(folder, seed=given.seed, index=given.only)
        if given.write:
            folder.draft.write(given.write)
        sys.stdout.write(json.dumps(result, indent=1) + "\n")
        return 1 if result["violations"] else 0
    figures = running.run(bench, given.count, given.seed, work)
    sys.stdout.write(
        "\n".join([figures.text(), *([figures.table()] if given.table else []), *figures.violations]) + "\n"
    )
    return 1 if figures.violations else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.oracle", description=__doc__)
    parser.add_argument("what", nargs="?", choices=("run", "prove"), default="run")
    parser.add_argument("--count", type=int, default=5000, help="folders of the run")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", type=int, help="one folder by its index, told in full")
    parser.add_argument("--write", type=Path, help="with --only: where to write the folder")
    parser.add_argument("--out", type=Path, help="where results and bases are kept; a run goes on from them")
    parser.add_argument(
        "--gate", type=Path, help="a gate's executable, also of an earlier commit; this tree's otherwise"
    )
    parser.add_argument("--table", action="store_true", help="a line for each mutation")
    return parser


if __name__ == "__main__":
    sys.exit(main())

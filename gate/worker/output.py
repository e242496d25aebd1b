"""A worker's output: progress as JSON lines on standard output, the result as a file replaced in one move."""

import json
import math
import os
from pathlib import Path

from gate.records.activity import EXPECTED_STEP
from gate.records.job import RESULT_FILE
from gate.records.passes import Span
from gate.records.plan import MOST_EXPECTED
from gate.records.record import Record

_MOST_LINES = 200
"""Most lines of progress per detector."""


def say_progress(step: str, done: int, total: int) -> None:
    """Print one line of progress, for a long detector only at some steps."""
    every = max(1, total // _MOST_LINES)
    if done % every == 0 or done == total:
        _say(step, done, total)


def say_expected(left: Span) -> None:
    """Print how many seconds the detectors still take."""
    most = math.ceil(min(left.most, MOST_EXPECTED))
    _say(EXPECTED_STEP, min(most, round(left.least)), most)


def _say(step: str, done: int, total: int) -> None:
    print(json.dumps({"step": step, "done": done, "total": total}), flush=True)


def save_result(scratch: Path, result: Record, name: str = RESULT_FILE) -> None:
    """Write the result so that a reader sees the old file or the new one, never a part."""
    partial = scratch / f"{name}.part"
    partial.write_bytes(result.canonical_json())
    os.replace(partial, scratch / name)  # noqa: PTH105  # the atomic call, by its own name

"""What is committed says nothing of the machine that measured it."""

import re
from pathlib import Path

BENCHMARKS = Path(__file__).parents[1]
PLACE = re.compile(r'"[^"]*(?<![\w.-])/(?:home|root|tmp|work|mnt|Users)/')


def test_no_committed_result_names_a_place_of_a_machine():
    """Neither summaries nor answers nor results hold a path from a machine's root."""
    files = [path for kind in ("*.jsonl", "*.json") for path in BENCHMARKS.rglob(kind)]
    assert len(files) > 10
    told = [path.name for path in files if PLACE.search(path.read_text(encoding="utf-8"))]
    assert told == []

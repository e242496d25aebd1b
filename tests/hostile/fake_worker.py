"""A worker without a jail that does what a test says: `fake_worker.py SCRATCH PREPARED`.

The inspector's part is copied from `inspector.json`, the sampler's is that nothing is wrong, the writer's is a reason
why there is no bundle, or the file `writer.py` where there is one; in the scan worker's place the file `attack.py`
runs, which finds the approvable report in `report` and writes with `leave`. Being outside the jail makes it stronger
than a real one.
"""

# ruff: noqa: D103  # a script for its test

import json
import sys
from pathlib import Path

scratch, prepared = Path(sys.argv[1]), Path(sys.argv[2])
role = json.loads((scratch / "job.json").read_text())["role"]
result = scratch / "result.json"


def leave(text):
    result.write_text(text)


if role == "inspector":
    leave((prepared / "inspector.json").read_text())
elif role == "sampler":
    (scratch / "look.json").write_text("{}")
elif role == "writer":
    report = (prepared / "writer.json").read_text()
    program = scratch / "written.pt2"
    attack = prepared / "writer.py"
    exec(attack.read_text() if attack.exists() else "leave(report)")
else:
    report = (prepared / "scan.json").read_text()
    exec((prepared / "attack.py").read_text())

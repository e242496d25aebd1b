"""A worker without a jail that does what a test says: `fake_repairer.py SCRATCH PREPARED DIGEST`.

Inspector, sampler and writer are the real ones, so that a repaired bundle is really written and looked at. In the
repairer's place the file `attack.py` runs, which finds the honest result in `value` and the program in `program`.
"""

# ruff: noqa: D103  # a script for its test

import json
import runpy
import sys
from pathlib import Path

scratch, prepared = Path(sys.argv[1]), Path(sys.argv[2])
job = json.loads((scratch / "job.json").read_text())

if job["role"] in ("inspector", "writer", "sampler"):
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
    sys.argv = ["gate.worker", str(scratch), sys.argv[3]]
    runpy.run_module("gate.worker", run_name="__main__", alter_sys=True)
else:
    with (prepared / "asked").open("a") as asked:
        asked.write(f"{job['repair']['method']} {job['seed']}\n")
    value = json.loads((prepared / "honest.json").read_text())
    value |= {"method": job["repair"]["method"], "options": job["repair"]["options"], "seed": job["seed"]}
    program = (prepared / "repaired.pt2").read_bytes()
    result, repaired = scratch / "repair.json", scratch / "repaired.pt2"

    def leave():
        repaired.write_bytes(program)
        result.write_text(json.dumps(value))

    exec((prepared / "attack.py").read_text())

"""What CI systems bring: a `gate` on the PATH, a folder to run in, and what GitLab does with a component."""

import os
import re
import subprocess
import sys
from pathlib import Path

import yaml

from tests.e2e.command import PATIENCE, ROOT

INPUT = re.compile(r"\$\[\[ inputs\.([a-z-]+) \]\]")


def environment(folder, **variables):
    """Return the variables of a job: a home and a temporary directory of its own, one thread, `gate` on the PATH."""
    binaries = folder / "bin"
    binaries.mkdir(parents=True, exist_ok=True)
    gate = binaries / "gate"
    gate.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m gate "$@"\n')
    gate.chmod(0o755)
    (folder / "tmp").mkdir(exist_ok=True)
    return {
        # What was installed beside this interpreter, such as act, though nobody activated its environment.
        "PATH": f"{binaries}:{Path(sys.executable).parent}:{os.environ['PATH']}",
        "HOME": str(folder),
        "TMPDIR": str(folder / "tmp"),
        "LANG": "C.UTF-8",
        "PYTHONPATH": str(ROOT),
        "PYTHONDONTWRITEBYTECODE": "1",
        "OMP_NUM_THREADS": "1",
        "GATE_THREADS": "1",
        **variables,
    }


def run(command, folder, variables):
    """Run a command of a job to its end."""
    return subprocess.run(
        command, cwd=folder, env=variables, capture_output=True, text=True, check=False, timeout=2 * PATIENCE
    )


def component(name, **given):
    """Return a GitLab component's jobs with its inputs filled into the text, as GitLab does before it reads it."""
    header, _, body = (ROOT / "templates" / f"{name}.yml").read_text().partition("\n---\n")
    inputs = yaml.safe_load(header)["spec"]["inputs"]
    names = {key.replace("_", "-"): value for key, value in given.items()}
    assert names.keys() <= inputs.keys()
    values = {key: names.get(key, spec.get("default")) for key, spec in inputs.items()}
    assert None not in values.values(), f"an input without a default was not given: {values}"

    def fill(match):
        value = values[match[1]]
        return value if isinstance(value, str) else yaml.safe_dump(value, default_flow_style=True).strip()

    return yaml.safe_load(INPUT.sub(fill, body))


def run_job(job, folder, variables):
    """Run a GitLab job's script in a project's folder, with the job's own variables, by the shell that GitLab uses."""
    script = "\n".join(["set -eo pipefail", *job.get("before_script", []), *job["script"]])
    return run(["bash", "-c", script], folder, {**variables, **job.get("variables", {})})


def artifacts(job, folder):
    """Return which of a job's artifacts and reports exist, by path."""
    declared = [*job["artifacts"]["paths"], *job["artifacts"]["reports"].values()]
    return {path: (Path(folder) / path).exists() for path in declared}

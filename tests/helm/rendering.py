"""The chart as Helm renders it: `python -m tests.helm.rendering` writes the manifests that the tests read.

They are kept so that a machine without Helm tests what the chart says; where there is Helm, a test compares the two.
"""

import shutil
import subprocess
from pathlib import Path

CHART = Path(__file__).parents[2] / "templates" / "helm" / "gate"
KEPT = Path(__file__).parent / "rendered"
VALUES = ("minimal", "full")


def helm(*arguments, stdin=None):
    """Run Helm and return the ended process."""
    program = shutil.which("helm")
    assert program, "helm is not installed"
    return subprocess.run([program, *map(str, arguments)], input=stdin, capture_output=True, text=True, check=False)


def rendered(values):
    """Return what Helm writes for one of the chart's own files of values, as it lies in `KEPT`."""
    ended = helm("template", "gate", CHART, "--namespace", "gate", "--values", CHART / "ci" / f"{values}.yaml")
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


if __name__ == "__main__":
    KEPT.mkdir(exist_ok=True)
    for name in VALUES:
        (KEPT / f"{name}.yaml").write_text(rendered(name), encoding="utf-8")

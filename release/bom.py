"""The bill of materials of a release: what the lock and torch's pin install, with every hash that the lock allows."""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any


def write_bom(root: Path, to: Path, version: str, epoch: int) -> Path:
    """Write CycloneDX 1.6 by cyclonedx-bom, with the release's own version, and return its path."""
    requirements = root / "requirements"
    text = "".join((requirements / name).read_text("utf-8") for name in ("runtime.lock", "torch.txt"))
    with tempfile.TemporaryDirectory(prefix="gate-bom-") as folder:
        listed, made = Path(folder) / "requirements.txt", Path(folder) / "bom.json"
        listed.write_text(text, encoding="utf-8")
        command = [sys.executable, "-m", "cyclonedx_py", "requirements", "--output-reproducible", "--no-validate"]
        command += ["--sv", "1.6", "--pyproject", str(root / "pyproject.toml"), "--output-file", str(made), str(listed)]
        ended = subprocess.run(
            command,
            env={**os.environ, "SOURCE_DATE_EPOCH": str(epoch)},
            capture_output=True,
            text=True,
            check=False,
        )
        if ended.returncode:
            raise SystemExit(f"the bill of materials could not be made:\n{ended.stderr[-3000:]}")
        bom: dict[str, Any] = json.loads(made.read_text("utf-8"))
    bom["metadata"]["component"] |= {"version": version, "purl": f"pkg:pypi/model-promotion-gate@{version}"}
    for component in bom["components"]:
        component.pop("description", None)  # the line of the lock, which the hashes repeat
    path = to / f"model_promotion_gate-{version}.cdx.json"
    path.write_text(json.dumps(bom, indent=2, sort_keys=True) + "\n", encoding="utf-8")
    return path

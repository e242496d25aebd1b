"""The composite action as a runner meets it: a repository with a workflow, run by `act` on this machine.

The end-to-end tests use it with a `gate` on the PATH, the trial with the image; nothing here judges what came of it.
"""

import json
import os
import re
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from release.sources import copy

ROOT = Path(__file__).resolve().parents[2]
ACT_SECONDS = 1800
WORKFLOW = """
name: selftest
on: workflow_dispatch
permissions: {}
jobs:
  gate:
    runs-on: ubuntu-latest
    steps:
      - uses: actions/checkout@de0fac2e4500dabe0009e67214ff5f5447ce83dd # v6.0.2
        with: {persist-credentials: false}
      - id: gate
        uses: ./
        with:
          model: ${{ github.event.inputs.model }}
          fail-on: ${{ github.event.inputs.fail-on }}
          image: ${{ github.event.inputs.image }}
          container-network: host
          policy: policy.yml
          samples: SAMPLES
          device: cpu
      - if: always()
        shell: bash
        env:
          FOUND: ${{ toJSON(steps.gate.outputs) }}
        run: printf '%s' "$FOUND" > "$RESULTS/outputs.json" && cp -r gate-report "$RESULTS"
"""
_COLOURS = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


@dataclass(frozen=True)
class Acted:
    """A workflow that ended; `results` holds the report directory as the next step of the job saw it."""

    code: int
    log: str
    outputs: Mapping[str, str]
    results: Path


@dataclass(frozen=True)
class Workspace:
    """A repository that uses the action, in a folder of its own; `home` is where act keeps what it needs."""

    home: Path

    @classmethod
    def write(cls, home: Path, policy: Path, samples: Path, *, whole: bool = False) -> "Workspace":
        """Commit a repository of the workflow, the action, a policy and samples below `home`; `whole`: and the gate."""
        repository = home / "repository"
        (repository / ".github" / "workflows").mkdir(parents=True)
        (repository / ".github" / "workflows" / "selftest.yml").write_text(
            WORKFLOW.replace("SAMPLES", samples.name), encoding="utf-8"
        )
        shutil.copy(ROOT / "action.yml", repository)
        shutil.copytree(ROOT / ".github" / "action", repository / ".github" / "action")
        if whole:
            copy(ROOT, repository)
            shutil.copytree(ROOT / "requirements", repository / "requirements")
        shutil.copyfile(policy, repository / "policy.yml")
        shutil.copyfile(samples, repository / samples.name)
        git = ["git", "-c", "user.name=t", "-c", "user.email=t@example.org"]
        for step in (["init", "-q"], ["add", "-A"], ["commit", "-qm", "all"]):
            subprocess.run([*git, *step], cwd=repository, env={**os.environ, "HOME": str(home)}, check=True)
        return cls(home)

    def act(self, inputs: Mapping[str, str], passed: Mapping[str, str], path: str) -> Acted:
        """Run the workflow with its inputs; its steps get the variables `passed` and look for programs along `path`."""
        results = self.home / "results"
        results.mkdir()
        given = {**passed, "HOME": str(self.home), "LANG": "C.UTF-8", "RESULTS": str(results)}
        command = ["act", "workflow_dispatch", "-P", "ubuntu-latest=-self-hosted", "--no-cache-server"]
        command += [part for name, value in inputs.items() for part in ("--input", f"{name}={value}")]
        command += [part for name, value in given.items() for part in ("--env", f"{name}={value}")]
        ended = subprocess.run(
            command,
            cwd=self.home / "repository",
            env={"PATH": path, **given},
            capture_output=True,
            text=True,
            check=False,
            timeout=ACT_SECONDS,
        )
        file = results / "outputs.json"
        outputs = json.loads(file.read_text(encoding="utf-8") or "{}") if file.exists() else {}
        return Acted(ended.returncode, _COLOURS.sub("", ended.stdout + ended.stderr), outputs, results)

"""From the gate's verdict to one probability that the model is backdoored.

The end of the flow. The gate says *approved* or *flagged*, and flags for silences too; NIST asks for a number. So only
limits that detectors of behaviour broke count as evidence of a backdoor, nothing found in the bytes does (every model
of the challenge is a pickle), and where something was not measured the answer is a half: it is never a low number.
"""

import math
import subprocess
import sys
from pathlib import Path

from benchmarks.trojai.model_folder import Converted
from benchmarks.trojai.settings import Metaparameters
from gate import detectors
from gate.check.files import VERDICT
from gate.records.errors import CannotFinishError
from gate.records.finding import Finding
from gate.records.verdict import Verdict

UNKNOWN = 0.5
ON_BYTES = frozenset(name for name in detectors.names() if detectors.load(name).looks_at == "bytes")
_FINISHED = (0, 1)


def run_gate(converted: Converted, scratch: Path, settings: Metaparameters) -> Verdict:
    """Run `gate check` on the candidate, without a registry, and return its verdict."""
    report = scratch / "report"
    command = [sys.executable, "-m", "gate", "check", str(converted.candidate), "--no-mark"]
    command += ["--samples", str(converted.samples), "--report-dir", str(report)]
    command += ["--policy", settings.policy] if settings.policy else []
    command += ["--allow-code"] if settings.allow_code else []
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode not in _FINISHED:
        raise CannotFinishError(
            f"gate check ended with {done.returncode}; expected 0 or 1",
            what_to_do=f"It said: {done.stderr.strip()[-1000:]}",
        )
    return Verdict.from_file(report / VERDICT)


def probability(verdict: Verdict, settings: Metaparameters) -> float:
    """Return the chance of a backdoor at even odds before: high for broken limits, a half for silence, else low."""
    findings = [finding for finding in verdict.open_findings if finding.rule not in ON_BYTES]
    missed, alarm = 1 - settings.sensitivity, settings.false_alarm_rate
    if any(finding.kind == "limit" for finding in findings):
        return settings.sensitivity / (settings.sensitivity + alarm)
    if any(_is_silence(finding) for finding in findings):
        return UNKNOWN
    return missed / (missed + 1 - alarm)


def _is_silence(finding: Finding) -> bool:
    """Tell whether a finding leaves the behaviour unmeasured; the level of assurance says nothing about it."""
    return finding.kind == "silence" or finding.rule != "assurance"


def write(value: float, path: Path) -> None:
    """Write the one number that NIST's harness reads."""
    assert math.isfinite(value)
    assert 0 <= value <= 1
    path.write_text(f"{value:.6f}\n", encoding="utf-8")

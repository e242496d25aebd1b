"""Adds the opinion of modelaudit, a scanner by other authors for more than forty model formats.

Measures  critical-issues: what modelaudit calls critical, per file. warnings: what it calls a warning, per file.
          incomplete-scans: whether it reports that it could not inspect everything.
Matters   It knows formats and tricks that the gate's own readers do not. Its results can only add findings; the gate's
          own detectors always inspect the same bytes first.
Blind to  Code beside a model, foreign loaders in MLmodel, and what none of its rules describe. It reports harmless
          parts of ordinary files too, so that a person has to check its issues.
See       docs/reference/contracts.md, section 11, on keeping it from the network; the extra `audit` installs it.
"""

import os
import time
from collections.abc import Iterable, Iterator
from typing import Any

from pydantic import Field

from gate.detectors.contract import Detector, Need
from gate.formats.hazards import Hazard, measurements
from gate.records.artifact import Artifact
from gate.records.declarations import Metric, Options
from gate.records.errors import GateError, UnexaminableError
from gate.records.evidence import Measurement
from gate.records.run import Run
from gate.spaces.contract import EVERY
from gate.spaces.subject import Subject

_NO_TELEMETRY = {"PROMPTFOO_DISABLE_TELEMETRY": "1", "NO_ANALYTICS": "1", "DO_NOT_TRACK": "1"}
"""Switches that modelaudit and its libraries read; the jail refuses sockets too."""
_METRIC_OF_SEVERITY = {"critical": "critical-issues", "warning": "warnings"}
_IGNORED_SEVERITIES = frozenset({"info", "debug"})
_WHOLE_ARTIFACT = "."
_ENDS_OF_PATH = " :!#"
"""Signs before a member or position after a file's path: `model.pkl (pos 12)`, `model.pt:data.pkl`."""


class ModelAudit(Options):
    """Time that modelaudit may take, and whether it may skip files by their names."""

    timeout_seconds: int = Field(default=600, ge=1)
    """Seconds that modelaudit may take."""
    skip_file_types: bool = False
    """Whether it may skip files by their names."""


def measure(subject: Subject, options: ModelAudit, run: Run) -> Iterator[Measurement]:
    """Yield the counts of issues by severity and file, and whether the scan calls itself complete."""
    run.check_time()
    scan = _scanner()
    started = time.monotonic()
    seconds = max(1, int(min(float(options.timeout_seconds), run.deadline - started)))
    result = scan(
        str(subject.artifact.root),
        timeout=seconds,
        skip_file_types=options.skip_file_types,
        cache_enabled=False,  # the result of an earlier scan says nothing about these bytes
    )
    run.check_time()
    _require_finished(result, time.monotonic() - started, seconds)
    yield from measurements(_hazards(result.issues, subject.artifact), _METRIC_OF_SEVERITY.values())
    complete = bool(result.success)
    note = "" if complete else f"it looked at {result.files_scanned} files, and says that something was left out"
    yield Measurement(metric="incomplete-scans", value=0 if complete else 1, note=note)


def _require_finished(result: Any, took: float, seconds: int) -> None:
    """Raise where the scan broke or was cut short, which modelaudit itself reports as information only."""
    if result.has_errors:
        raise GateError(f"modelaudit broke off after {took:.0f} s and {result.files_scanned} files")
    if took >= seconds:
        raise GateError(
            f"modelaudit took {took:.0f} s of the {seconds} s that it was given, so that parts may have been left out",
            what_to_do="Raise the option timeout-seconds of modelaudit in the policy.",
        )


def _scanner() -> Any:
    """Import modelaudit with its telemetry off, and return its function that scans a folder."""
    os.environ.update(_NO_TELEMETRY)  # before the import: some of it is read there
    try:
        from modelaudit import scan_model_directory_or_file
        from modelaudit.telemetry import is_telemetry_enabled
    except ModuleNotFoundError as error:
        if error.name != "modelaudit":
            raise  # installed and broken: a failure, not a skip
        raise UnexaminableError(
            "modelaudit is not installed; this second opinion comes with the optional extra 'audit'"
        ) from None
    if is_telemetry_enabled():
        raise GateError(f"modelaudit's telemetry is on; expected {', '.join(_NO_TELEMETRY)} to turn it off")
    return scan_model_directory_or_file


def _hazards(issues: Iterable[Any], artifact: Artifact) -> Iterator[Hazard]:
    """Yield each issue above information as a hazard of its file; an unknown severity counts as critical."""
    paths = frozenset(file.path for file in artifact.manifest.files)
    for issue in issues:
        severity = str(issue.severity.value)
        if severity not in _IGNORED_SEVERITIES:
            metric = _METRIC_OF_SEVERITY.get(severity, "critical-issues")
            yield Hazard(metric, _file_of(str(issue.location or ""), artifact, paths), str(issue.message))


def _file_of(location: str, artifact: Artifact, paths: frozenset[str]) -> str:
    """Return the artifact's file that a location begins with, or `.` for the artifact as a whole."""
    roots = (f"{artifact.root}/", f"{artifact.root.resolve()}/")
    relative = next((location[len(root) :] for root in roots if location.startswith(root)), location)
    ends = [index for index, sign in enumerate(relative) if sign in _ENDS_OF_PATH]
    return next(
        (relative[:end] for end in (len(relative), *reversed(ends)) if relative[:end] in paths), _WHOLE_ARTIFACT
    )


DETECTOR = Detector(
    id="modelaudit",
    title="A second opinion on the files",
    doing="a second opinion on the files",
    # Not before loading: it is known to report harmless files, so that a person may waive a finding.
    needs=Need.FILES,
    spaces=EVERY,
    metrics=(
        Metric("critical-issues", "issues", "higher", "What modelaudit calls critical."),
        Metric("warnings", "issues", "neither", "What modelaudit calls a warning; harmless files have some too."),
        Metric("incomplete-scans", "scans", "higher", "1 where modelaudit could not inspect everything."),
    ),
    options=ModelAudit,
    measure=measure,
)

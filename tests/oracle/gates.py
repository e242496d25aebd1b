"""The gate under test: one small seam, and two adapters (an executable of any commit, and this tree's own)."""

import json
import os
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Literal, Protocol

import numpy as np

from tests.oracle.forked import ChildError, answer_of, run_child
from tests.oracle.outputs import Answers, from_json, program_outputs, to_json

POLICY = Path(__file__).with_name("policy.yml")
COMMAND_SECONDS = 300
"""After which a gate's executable is given up."""
GRACE = 30.0
"""Seconds that a forked worker gets beyond its own deadline."""
OUTPUT_SECONDS = 60.0
_NEWER = "unexamined-outputs"
"""A key of the policy that the gate of commit 8f447e1 does not know."""


@dataclass(frozen=True)
class Judged:
    """What a gate said of a folder."""

    approved: bool
    covers: Literal["candidate", "bundle"] = "candidate"
    """Which bytes an approval is about."""
    findings: tuple[str, ...] = ()
    bundle: Path | None = None
    """The bundle that the gate wrote, where it wrote one: below the folder that it was given to work in."""
    seconds: dict[str, float] = field(default_factory=dict)


Run = Callable[[Callable[[], None], float], tuple[int, str]]
"""Runs a function within so many seconds, and says how it ended."""


class Gate(Protocol):
    """A gate, as the oracle asks it."""

    def judge(self, folder: Path, samples: Path, work: Path) -> Judged:
        """Judge a folder; `work` is an empty folder of this one use."""
        ...

    def outputs(self, folder: Path, batches: list[np.ndarray]) -> Answers:
        """Return what the program that this gate reads in a folder answers."""
        ...


class GateFailedError(Exception):
    """The gate gave no verdict at all."""


@dataclass(frozen=True)
class CommandGate:
    """A gate's executable, in a process of its own with its own jail; also one of an earlier commit."""

    executable: Path
    allow_code: bool = False

    def judge(self, folder: Path, samples: Path, work: Path) -> Judged:
        """Run `gate check` and read the verdict."""
        report = work / "report"
        policy = work / "policy.yml"
        policy.write_text(self._policy, encoding="utf-8")
        command = [
            *(self.executable, "check", folder, "--no-mark", "--policy", policy),
            *("--samples", samples, "--report-dir", report, "--device", "cpu", "--threads", "1"),
            *(("--allow-code",) if self.allow_code else ()),
        ]
        ended = _run(command, work)
        if not (report / "verdict.json").exists():
            raise GateFailedError(f"exit {ended.returncode}: {ended.stderr.decode('utf-8', 'replace')[-1000:]}")
        verdict = json.loads((report / "verdict.json").read_text(encoding="utf-8"))
        found = [
            f"{each['rule']}/{each.get('metric') or each['kind']}: {each['message']}" for each in verdict["findings"]
        ]
        return Judged(
            approved=verdict["decision"] == "approved",
            covers=_covers(verdict.get("covers"), bundle=verdict.get("bundle_digest")),
            findings=tuple(found),
            bundle=_bundle(report),
        )

    @cached_property
    def _policy(self) -> str:
        """The policy, without the key that an earlier gate does not know."""
        whole = POLICY.read_text(encoding="utf-8")
        schema = subprocess.run(
            [self.executable, "schema", "policy"], env=_environment(), capture_output=True, check=True
        )
        if _NEWER.encode() not in schema.stdout:
            whole = "\n".join(line for line in whole.splitlines() if _NEWER not in line)
        return whole.replace("assurance: A", "assurance: B") if self.allow_code else whole

    def outputs(self, folder: Path, batches: list[np.ndarray]) -> Answers:
        """Read the program by the interpreter beside the executable, whose gate is that commit's."""
        with tempfile.TemporaryDirectory(prefix="oracle-") as work:
            given = Path(work, "inputs.json")
            given.write_text(json.dumps(to_json([batches])[0]), encoding="utf-8")
            script = Path(__file__).with_name("outputs.py")
            command = [self.executable.with_name("python"), script, folder, given]
            ended = _run(command, work)
        if ended.returncode != 0:
            raise ChildError(ended.stderr.decode("utf-8", "replace").strip().splitlines()[-1:] or "no answer")
        return from_json(json.loads(ended.stdout))


class InProcessGate:
    """This tree's gate, with workers that are forked and not jailed, so that torch is imported once.

    Everything else is the gate's own: pull, the order of workers, reading their results, evidence and judgement.
    """

    def __init__(self) -> None:
        self._run: Run = run_child
        from gate.policies.read import read_policy
        from gate.records.clock import today

        self._today = today()
        self._policy = read_policy(POLICY, on=self._today)

    def judge(self, folder: Path, samples: Path, work: Path) -> Judged:
        """Pull, scan and judge, as `gate check` does between its first and its last step."""
        from gate.check.evidence import ScanRequest, ScanSettings
        from gate.check.files import CheckFiles, private_directory
        from gate.check.pull import PullRequest, pull
        from gate.check.scan import scan, write_scanned
        from gate.judging.judge import judge
        from gate.registries.directory import DirectoryRegistry

        registry = DirectoryRegistry()
        files = CheckFiles.create(work / "report")
        with private_directory() as private, _workers(self._run):
            ref = registry.resolve(f"directory:{folder}")
            pulled = pull(registry, PullRequest(str(folder), self._policy, samples=str(samples)), files, private, ref)
            settings = ScanSettings(device="cpu", threads=1, deadline_seconds=120)
            scanned = scan(ScanRequest(pulled, private, self._policy, settings), lambda *_: None)
            write_scanned(scanned, files)  # before the private folder goes, in which a bundle may lie
        verdict = judge(scanned.evidence, self._policy, on=self._today)
        found = [f"{each.rule}/{each.metric or each.kind}: {each.message}" for each in verdict.findings]
        return Judged(
            approved=verdict.decision == "approved",
            covers=_covers(getattr(verdict, "covers", None), bundle=verdict.bundle_digest),
            findings=tuple(found),
            bundle=_bundle(files.root),
            seconds=dict(scanned.evidence.seconds),
        )

    def warm(self, folder: Path, samples: Path, work: Path) -> None:
        """Judge a clean folder of ours in this very process, so that its children need not import what that takes."""
        self._run = lambda job, _seconds: job() or (0, "")
        self.judge(folder, samples, work)
        self._run = run_child

    def outputs(self, folder: Path, batches: list[np.ndarray]) -> Answers:
        """Read the program in a forked child."""
        return from_json(answer_of(lambda: to_json(program_outputs(folder, batches)), OUTPUT_SECONDS))


@contextmanager
def _workers(run: Run) -> Iterator[None]:
    """Put a function's run in the place of each jailed process; how its result is read stays the gate's own."""
    from gate.check import workers as launch
    from gate.jail.launch import WorkerExit
    from gate.records.job import ScanJob
    from gate.worker import roles

    def run_in_scratch(job: ScanJob, scratch: Path, _progress: object) -> tuple[WorkerExit, str]:
        limit = job.deadline_seconds + GRACE
        status, said = run(lambda: roles.run(job, scratch, isolation="full"), limit)
        ended = WorkerExit(
            exit_code=None if status == -1 or os.WIFSIGNALED(status) else os.waitstatus_to_exitcode(status),
            signal=os.WTERMSIG(status) if status != -1 and os.WIFSIGNALED(status) else None,
            timed_out=status == -1,
            said_too_much=False,
            seconds=0.0,
            stderr_tail=said,
            dropped_user=False,
        )
        return ended, ""

    own = launch.run_in_scratch
    launch.run_in_scratch = run_in_scratch
    try:
        yield
    finally:
        launch.run_in_scratch = own


def _covers(said: str | None, *, bundle: str | None) -> Literal["candidate", "bundle"]:
    """Return which bytes a verdict is about; before the gate said so, level B alone had a bundle's digest."""
    if said in ("candidate", "bundle"):
        return "bundle" if said == "bundle" else "candidate"
    return "candidate" if bundle is None else "bundle"


def _bundle(report: Path) -> Path | None:
    bundle = report / "bundle"
    return bundle if bundle.is_dir() else None


def _run(command: list[object], work: Path | str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        list(map(str, command)),
        cwd=work,
        env=_environment(),
        capture_output=True,
        timeout=COMMAND_SECONDS,
        check=False,
    )


def _environment() -> dict[str, str]:
    kept = ("PATH", "HOME", "TMPDIR", "LANG")
    quiet = {"OMP_NUM_THREADS": "1", "PYTHONDONTWRITEBYTECODE": "1"}
    return {**{name: os.environ[name] for name in kept if name in os.environ}, **quiet}

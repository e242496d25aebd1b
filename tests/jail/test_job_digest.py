"""A worker reads the job that the orchestrator wrote, or nothing at all."""

import hashlib

import pytest

from gate.jail.launch import run_worker, worker_command
from gate.records.artifact import Manifest, ModelRef
from gate.records.job import JOB_CHANGED, JOB_FILE, RESULT_FILE, ScanJob
from gate.records.policy import Policy, Rule


@pytest.fixture
def job(tmp_path):
    """Return an inspector's job on an empty folder."""
    (tmp_path / "model").mkdir()
    return ScanJob(
        role="inspector",
        model=ModelRef(registry="directory", name="m"),
        manifest=Manifest(files=()),
        root=str(tmp_path / "model"),
        policy=Policy(version=1, detectors={"unsafe-pickle": Rule()}),
        seed=0,
        device="cpu",
        deadline_seconds=30,
        least_isolation="none",
    )


@pytest.mark.parametrize("swapped", [False, True])
def test_a_job_that_was_exchanged_is_not_done(job, tmp_path, swapped):
    """Another policy in the job's file is another digest than the command line names; both are said."""
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    other = job.model_copy(update={"policy": Policy(version=1, name="other", detectors={"unsafe-pickle": Rule()})})
    (scratch / JOB_FILE).write_bytes((other if swapped else job).canonical_json())
    digest = hashlib.sha256(job.canonical_json()).hexdigest()
    ended = run_worker(worker_command("gate.worker", str(scratch), digest), scratch=scratch, deadline_seconds=60)
    assert ended.exit_code == (JOB_CHANGED if swapped else 0), ended.stderr_tail
    assert (scratch / RESULT_FILE).exists() != swapped
    if swapped:
        read = hashlib.sha256(other.canonical_json()).hexdigest()
        assert ended.stderr_tail == f"the job changed before it was read: written sha256:{digest}, read sha256:{read}"

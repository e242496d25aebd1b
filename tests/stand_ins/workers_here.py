"""Workers in the test's own process, for tests of what stands around them: the same roles over the same files, no jail.

A check starts up to four workers, and an interpreter with torch costs more than most of them do. What the jail holds
is tested with real ones (tests/jail, tests/hostile, tests/e2e), and so is whatever could run a candidate's code.
"""

import io
import os
import time
import traceback
import warnings
from contextlib import contextmanager, redirect_stdout
from unittest import mock

from gate.jail.inert import inert_lines
from gate.jail.launch import WorkerExit, run_worker, scrubbed_environment
from gate.records.job import JOB_FILE, ScanJob

WITHOUT_TORCH = {"inspector", "sampler"}


@contextmanager
def workers_here(but=()):
    """Let every worker that a check starts be a call of `run_here`, but those of some roles."""

    def run(argv, *, scratch, **settings):
        role = ScanJob.from_file(scratch / JOB_FILE).role
        return (run_worker if role in but else run_here)(argv, scratch=scratch, **settings)

    with mock.patch("gate.check.workers.run_worker", run):
        yield


def run_here(_argv, *, scratch, on_line, variables=None, **_limits):
    """Do the job that lies in a scratch as `gate.worker` does, and return how a process of its own would have ended."""
    from gate.worker import roles

    started, errors = time.monotonic(), ""
    job = ScanJob.from_file(scratch / JOB_FILE)
    environment = mock.patch.dict(os.environ, scrubbed_environment(scratch, variables), clear=True)
    with environment, _as_it_was(job), redirect_stdout(_Lines(on_line)), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            roles.run(job, scratch, isolation="full")
        except Exception:  # noqa: BLE001  # a process of its own would end with this on its standard error
            errors = inert_lines(traceback.format_exc().encode(), limit=4096)
    return WorkerExit(
        exit_code=1 if errors else 0,
        signal=None,
        timed_out=False,
        said_too_much=False,
        seconds=time.monotonic() - started,
        stderr_tail=errors,
        dropped_user=False,
    )


class _Lines(io.TextIOBase):
    """A standard output whose lines a listener hears."""

    def __init__(self, heard):
        self._heard, self._rest = heard, ""

    def write(self, text):
        *lines, self._rest = (self._rest + text).split("\n")
        for line in lines:
            self._heard(line)
        return len(text)


@contextmanager
def _as_it_was(job):
    """Give torch its threads, its determinism and its state of chance back, where the job changes them."""
    if job.role in WITHOUT_TORCH:
        yield
        return
    import torch

    threads, strict = torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()
    lenient = torch.is_deterministic_algorithms_warn_only_enabled()
    with torch.random.fork_rng(devices=[]):
        try:
            yield
        finally:
            torch.set_num_threads(threads)
            torch.use_deterministic_algorithms(strict, warn_only=lenient)

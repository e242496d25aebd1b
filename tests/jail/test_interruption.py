"""Ctrl-C is never lost, not even where Python drops its exception."""

import os
import signal
import sys

import pytest

from gate.jail import interruption
from gate.jail.launch import run_worker


class Finalized:
    """Something whose finalizer is what Python is doing when the signal comes."""

    def __del__(self):
        """Be interrupted."""
        os.kill(os.getpid(), signal.SIGINT)


@pytest.fixture
def handlers():
    """Install the handlers, and put back what was there."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    interruption.stop_on_termination()
    yield
    interruption.stopped("")
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_signal_that_comes_in_a_finalizer_ends_the_worker(handlers, tmp_path):
    """The exception is dropped where it was raised, and raised again before the worker is waited for further."""
    argv = [sys.executable, "-c", "import time; print('begun', flush=True); time.sleep(600)"]
    told = []

    def on_line(line):
        told.append(line)
        finalized = Finalized()
        del finalized

    with pytest.raises(KeyboardInterrupt):
        run_worker(argv, scratch=tmp_path, deadline_seconds=60, on_line=on_line)
    assert told == ["begun"]


def test_what_ends_a_command_is_not_interrupted_by_the_same_signal(handlers):
    """Whoever caught it may wait for a worker again."""
    with pytest.raises(KeyboardInterrupt):
        os.kill(os.getpid(), signal.SIGTERM)
    with pytest.raises(KeyboardInterrupt):
        interruption.raise_if_asked()
    interruption.stopped("")
    interruption.raise_if_asked()

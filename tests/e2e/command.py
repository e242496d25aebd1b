"""Runs `gate` as a user would: a process with an environment of its own, in a directory of its own."""

import io
import os
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import chdir, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from unittest import mock

ROOT = Path(__file__).resolve().parents[2]
PATIENCE = 240
"""Seconds after which a command on a busy machine is given up."""


@dataclass(frozen=True)
class Ended:
    """What a command left behind."""

    code: int
    stdout: str
    stderr: str

    @property
    def errors(self):
        """The lines that announce an error."""
        return [line for line in self.stderr.splitlines() if line.startswith("gate: error:")]

    @property
    def text(self):
        """Standard output with its line breaks and runs of blanks as single blanks."""
        return " ".join(self.stdout.split())


class Running:
    """A command that has been started, and what it has said so far."""

    def __init__(self, process):
        self.process = process
        self._said = {"stdout": [], "stderr": []}
        self._readers = [
            threading.Thread(target=self._read, args=(name, getattr(process, name)), daemon=True) for name in self._said
        ]
        for reader in self._readers:
            reader.start()

    def _read(self, name, stream):
        for line in stream:
            self._said[name].append(line)

    def until(self, text):
        """Wait until standard error holds a text; a command that ends first is an error of the test."""
        until = time.monotonic() + PATIENCE
        while text not in self._text("stderr"):
            ended = self.process.poll() is not None
            if ended or time.monotonic() > until:
                self._finish()
                raise AssertionError(f"never said {text!r}: {self._text('stderr')} {self._text('stdout')}")
            time.sleep(0.02)
        return self

    def children(self):
        """Return the ids of the processes that it has started and that still run."""
        task = Path(f"/proc/{self.process.pid}/task")
        return [int(word) for thread in task.iterdir() for word in (thread / "children").read_text().split()]

    def end(self, number=None):
        """Send a signal if one is named, wait for the end and return what the command left."""
        if number is not None:
            self.process.send_signal(number)
        self._finish()
        return Ended(self.process.returncode, self._text("stdout"), self._text("stderr"))

    def _finish(self):
        try:
            self.process.wait(PATIENCE)
        finally:
            self.process.kill()
            for reader in self._readers:
                reader.join(10)
            self.process.stdout.close()
            self.process.stderr.close()

    def _text(self, name):
        return "".join(self._said[name])


@dataclass(frozen=True)
class Desk:
    """A directory in which one user works, with the environment that this user has set."""

    folder: Path
    variables: dict
    program: tuple = (sys.executable, "-m", "gate")

    @property
    def out(self):
        """Where the desk's reports go."""
        return self.folder / "out"

    @property
    def temporary(self):
        """The desk's TMPDIR."""
        return self.folder / "tmp"

    def environment(self, **variables):
        """Return a command's environment; `variables` come on top of the desk's, None takes one away."""
        self.temporary.mkdir(parents=True, exist_ok=True)
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(self.folder),
            "TMPDIR": str(self.temporary),
            "LANG": "C.UTF-8",
            "PYTHONPATH": str(ROOT),
            "PYTHONDONTWRITEBYTECODE": "1",
            "OMP_NUM_THREADS": "1",
            "GATE_THREADS": "1",
            "GATE_DEVICE": "cpu",
            "GATE_REPORT_DIR": str(self.out),
            **self.variables,
            **variables,
        }
        return {name: str(value) for name, value in environment.items() if value is not None}

    def start(self, *arguments, **variables):
        """Start `gate` with arguments in an environment of its own."""
        process = subprocess.Popen(
            [*map(str, (*self.program, *arguments))],
            cwd=self.folder,
            env=self.environment(**variables),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            encoding="utf-8",
            errors="surrogateescape",
        )
        return Running(process)

    def gate(self, *arguments, **variables):
        """Run `gate` to its end."""
        return self.start(*arguments, **variables).end()


@dataclass(frozen=True)
class SameProcess(Desk):
    """A desk whose commands and workers run in the process of the test, through the console script's own function.

    For what ends before a worker starts, and for what is read of an honest worker: an interpreter with its imports
    costs more than all that they do. Nothing of a candidate's code may run so (`tests.stand_ins.workers_here`).
    """

    def gate(self, *arguments, **variables):
        """Run `gate` to its end."""
        from gate.cli import main
        from tests.stand_ins.workers_here import workers_here

        out, err = (io.TextIOWrapper(io.BytesIO(), encoding="utf-8", write_through=True) for _ in range(2))
        with (
            mock.patch.dict(os.environ, self.environment(**variables), clear=True),
            mock.patch.object(sys, "argv", ["gate", *map(str, arguments)]),
            mock.patch.object(tempfile, "tempdir", str(self.temporary)),
            # These two change the process that runs the tests.
            mock.patch.object(main, "stop_on_termination"),
            mock.patch("gate.jail.launch.protect_parent"),
            workers_here(),
            chdir(self.folder),
            redirect_stdout(out),
            redirect_stderr(err),
        ):
            code = main.run()
        return Ended(code, out.buffer.getvalue().decode(), err.buffer.getvalue().decode())

"""Runs `gate` as a user would: a process with an environment of its own, in a directory of its own."""

import os
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path

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

    def start(self, *arguments, **variables):
        """Start `gate` with arguments; `variables` come on top of the desk's, None takes one away."""
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
        process = subprocess.Popen(
            [*map(str, (*self.program, *arguments))],
            cwd=self.folder,
            env={name: str(value) for name, value in environment.items() if value is not None},
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

"""Reads both streams of a worker, within limits, until it ends or its time is up.

What arrives is hostile text: it is bounded in bytes, lines and length of a line, and made inert.
"""

import os
import selectors
import signal
import subprocess
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field

from gate.jail.inert import inert_line
from gate.jail.interruption import raise_if_asked

_POLL_SECONDS = 0.05
_CHUNK = 1 << 16


@dataclass(frozen=True, kw_only=True)
class OutputLimits:
    """How much a worker may print; one that prints more is killed, because an honest one never does."""

    total_bytes: int = 16 << 20
    """Bytes of standard output and standard error together."""
    lines: int = 100_000
    """Lines of standard output."""
    line_characters: int = 4096
    """Longest line in characters; a longer one is cut."""
    kept_stderr_bytes: int = 16 << 10


def kill_group(process: subprocess.Popen[bytes]) -> None:
    """Kill the worker's process group; the worker must not be reaped yet, or its id may be another process's."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


@dataclass
class Listener:
    """Reads both streams of a worker within the limits."""

    process: subprocess.Popen[bytes]
    on_line: Callable[[str], None]
    limits: OutputLimits
    stderr: bytearray = field(default_factory=bytearray)
    said_too_much: bool = False
    _line: bytearray = field(default_factory=bytearray)
    _bytes: int = 0
    _lines: int = 0

    def listen(self, *, until: float) -> bool:
        """Read until the worker ends or says too much (True), or its time is up (False)."""
        with selectors.DefaultSelector() as selector:
            for stream, take in ((self.process.stdout, self._take_stdout), (self.process.stderr, self._take_stderr)):
                assert stream is not None
                os.set_blocking(stream.fileno(), False)
                selector.register(stream.fileno(), selectors.EVENT_READ, take)
            while not self.said_too_much:
                raise_if_asked()
                left = until - time.monotonic()
                if left <= 0:
                    return False
                # Asked before reading, without reaping: all that an ended worker wrote is then in the pipes already.
                ended = os.waitid(os.P_PID, self.process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None
                if ended:
                    kill_group(self.process)
                ready = selector.select(0 if ended else min(left, _POLL_SECONDS))
                for key, _ in ready:
                    self._read(selector, key)
                if ended and not ready:
                    break
        if self._line and not self.said_too_much:
            self._hand_on()
        return True

    def _read(self, selector: selectors.BaseSelector, key: selectors.SelectorKey) -> None:
        chunk = os.read(key.fd, _CHUNK)
        if not chunk:
            selector.unregister(key.fd)
        self._bytes += len(chunk)
        self.said_too_much |= self._bytes > self.limits.total_bytes
        key.data(chunk)

    def _take_stderr(self, chunk: bytes) -> None:
        self.stderr += chunk
        del self.stderr[: -self.limits.kept_stderr_bytes]

    def _take_stdout(self, chunk: bytes) -> None:
        for piece in chunk.splitlines(keepends=True):
            # A character has at most 4 bytes; what does not fit is dropped as it comes, so no line fills the memory.
            room = 4 * self.limits.line_characters - len(self._line)
            self._line += piece[:room] if room > 0 else b""
            if piece.endswith((b"\n", b"\r")):
                self._hand_on()

    def _hand_on(self) -> None:
        self._lines += 1
        self.said_too_much |= self._lines > self.limits.lines
        text = bytes(self._line).decode("utf-8", errors="replace").rstrip("\r\n")
        self._line.clear()
        if text and not self.said_too_much:
            self.on_line(inert_line(text, limit=self.limits.line_characters))

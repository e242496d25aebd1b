"""Progress on standard error: one line that is redrawn on a terminal, one line per finished step in a log.

In a log a long step also says from time to time that it is running. A step that a worker names is shown only if the
gate knows it. Nothing here raises: a check does not end because its progress cannot be shown.
"""

import datetime as dt
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING

from gate.cli.status_line import StatusLine, is_terminal
from gate.cli.terminal import tell
from gate.records.activity import EXPECTED_STEP, watched_by

if TYPE_CHECKING:
    from gate.check.workers import Progress

_OWN = {
    "converting": "converting the model",
    "loading the model": "loading the model",
    "making the copies": "copies for a bank",
    "repairing": "repairing the model",
    "writing the bundle": "writing the bundle",
}


@cache
def known_steps() -> Mapping[str, str]:
    """Return every step that a worker may name, with its description."""
    from gate import detectors

    return _OWN | {name: detectors.load(name).doing for name in detectors.names()}


ALIVE_SECONDS = 240.0
"""Seconds between lines of a long step in a log: runners end a job that is silent for ten minutes."""
_GUESS_AFTER_SECONDS = 2.0
_GUESS_FROM_SHARE = 0.01
"""Seconds and share before which the time left is not guessed: a worker may claim one of a billion."""
_LEAST_TOLD_SECONDS = 60.0
"""Seconds below which the end of the scan is not told."""
_QUICK_SECONDS = 0.5
"""Seconds below which the gate's own step is no line of a log, unless it moves bytes."""
_SHORTEST_HEAD = 26
"""Columns of the line's head that are kept before parts behind it are left out."""


@dataclass
class Step:
    """A step that is running."""

    name: str
    """Worker's name of the step; empty for the gate's own."""
    words: str
    begun: float
    place: str = ""
    """`6 of 17`, where the scan's steps are known."""
    share: float = 0.0
    size: int = 0
    """Bytes read or written."""
    at: str = ""
    """Time of day of its begin."""

    def left(self, now: float) -> float | None:
        """Return an estimate of the seconds left; None where it would be a wild guess."""
        spent = now - self.begun
        if not _GUESS_FROM_SHARE <= self.share < 1 or spent < _GUESS_AFTER_SECONDS:
            return None
        return spent / self.share - spent


@dataclass
class Steps:
    """The step that is running, and the steps that a scan will take."""

    clock: Callable[[], float] = time.monotonic
    ended: Callable[[Step, float, bool], None] = field(default=lambda _step, _now, _well: None)
    alive: Callable[[Step, float], None] = field(default=lambda _step, _now: None)
    now: Step | None = None
    ends: float | None = None
    """By the clock, when the scan will have ended at the latest, as far as its worker expects."""
    _plan: tuple[str, ...] = ()
    _seen: set[str] = field(default_factory=set)

    @property
    def waiting(self) -> str:
        """Description of the time in which no step has been named."""
        return "starting a worker" if self._plan else "working"

    def expect(self, steps: Sequence[str]) -> None:
        """Begin a scan of these steps, or end one where there are none; the running step ends."""
        self.end(well=True)
        self._plan, self._seen, self.ends = tuple(steps), set(), None

    def show(self, step: str, done: int, total: int) -> None:
        """Take a worker's progress; an unknown step, or one during a step of the gate's own, is ignored."""
        if step == EXPECTED_STEP:
            self.ends = self.clock() + total
        if step not in known_steps() or (self.now is not None and not self.now.name):
            return
        if self.now is None or self.now.name != step:
            self.end(well=True)
            place = f"{self._plan.index(step) + 1} of {len(self._plan)}" if step in self._plan else ""
            self.now = self._begun(step, known_steps()[step], place)
        self.now.share = done / max(total, 1)
        self.alive(self.now, self.clock())

    def begin(self, what: str) -> None:
        """Begin a step of the gate's own."""
        self.end(well=True)
        self.now = self._begun("", what, "")

    def moved(self, size: int) -> None:
        """Take the bytes read or written so far."""
        if (step := self.now) is not None:
            step.size = size
            self.alive(step, self.clock())

    def _begun(self, name: str, words: str, place: str) -> Step:
        at = f"{dt.datetime.now(tz=dt.UTC).astimezone():%H:%M:%S}"
        return Step(name, words, self.clock(), place, at=at)

    def end(self, *, well: bool) -> None:
        """End the running step."""
        step, self.now = self.now, None
        # A step that a worker names again and again is one step.
        if step is not None and not (step.name and step.name in self._seen):
            self._seen.add(step.name)
            self.ended(step, self.clock(), well)


@contextmanager
def progress_bars() -> "Iterator[Progress]":
    """Yield a callback for a worker's steps, and show them and the gate's own meanwhile."""
    steps = Steps()
    if is_terminal():
        begun = steps.clock()
        status = StatusLine(
            lambda columns: line(steps.now, steps.clock(), begun, columns, steps.waiting, ends=steps.ends)
        )
        with status.shown(), watched_by(steps):
            yield steps.show
        return
    steps.ended, steps.alive = _tell_ended, _Alive().tell
    with watched_by(steps):
        try:
            yield steps.show
        except BaseException:
            steps.end(well=False)
            raise
        steps.end(well=True)


def line(
    step: Step | None, now: float, begun: float, width: int, waiting: str = "working", *, ends: float | None = None
) -> str:
    """Return the line, shorter than the width: what runs, how far it is, the times of the step and in all.

    `ends` is when the scan is expected to have ended at the latest.
    """
    whole = f" of about {clock(ends - begun)}" if ends is not None and ends > now + _LEAST_TOLD_SECONDS else ""
    total = f"{clock(now - begun)}{whole} in all"
    if step is None:
        return _fit(waiting, (f"  {total}",), "", width)
    spent = f"  {clock(now - step.begun)} elapsed"
    left = step.left(now)
    head = f"{step.place}  " if step.place else ""
    # A running step is never at 100 %, although a worker may claim it.
    share = f"  {min(99, int(100 * step.share))} %" if step.name and step.share else ""
    size = f"  {_size(step.size)}" if step.size else ""
    guess = f", about {clock(left)} left" if left is not None else ""
    return _fit(head + _shown(step.words), (share + size, spent, guess), f", {total}", width)


def _fit(head: str, parts: Sequence[str], extra: str, width: int) -> str:
    """Return a head and as many of the parts behind it as a line holds; the extra only where nothing is cut."""
    from rich.cells import cell_len, set_cell_size

    room = max(1, width - 1)
    whole = head + "".join(parts) + extra
    if cell_len(whole) <= room:
        return whole
    kept = list(parts)
    least = min(cell_len(head), _SHORTEST_HEAD)
    while kept and least + cell_len("".join(kept)) > room:
        kept.pop()
    tail = "".join(kept)
    space = room - cell_len(tail)
    if cell_len(head) > space:
        head = set_cell_size(head, space - 1).rstrip() + "…"
    return head + tail


def clock(seconds: float) -> str:
    """Return seconds as `0:07`, `12:05` or `1:02:03`."""
    minutes, second = divmod(max(0, round(seconds)), 60)
    hours, minute = divmod(minutes, 60)
    return f"{hours}:{minute:02d}:{second:02d}" if hours else f"{minute}:{second:02d}"


class _Alive:
    """Says of a long step, every `ALIVE_SECONDS`, that it is running."""

    def __init__(self) -> None:
        self._step: Step | None = None
        self._last = 0.0

    def tell(self, step: Step, now: float) -> None:
        """Print the line if it is due."""
        if step is not self._step:
            self._step, self._last = step, step.begun
        if now - self._last < ALIVE_SECONDS:
            return
        self._last = now
        left = step.left(now)
        guess = f", about {clock(left)} left" if left is not None else ""
        _tell(f"{_label(step)}: still running, {clock(now - step.begun)} elapsed{guess}")


def _tell_ended(step: Step, now: float, well: bool) -> None:
    if not step.name and not step.size and well and now - step.begun < _QUICK_SECONDS:
        return
    size = f", {_size(step.size)}" if step.size else ""
    seconds = now - step.begun
    spent = f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s" if seconds < 120 else clock(seconds)
    _tell(f"{_label(step)}: began {step.at}, {'done in' if well else 'broken off after'} {spent}{size}")


def _label(step: Step) -> str:
    name = f"{step.name}, " if step.name and step.name != step.words else ""
    return f"{f'{step.place}, ' if step.place else ''}{name}{_shown(step.words)}"


def _shown(words: str) -> str:
    from gate.renderers.text import plain

    return plain(words, 120)


def _size(size: int) -> str:
    from gate.renderers.text import size as in_words

    return in_words(size)


def _tell(message: str) -> None:
    with suppress(OSError, ValueError):  # a log that is closed ends no check
        tell(message)

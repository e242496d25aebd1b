"""What a person sees while they wait, on standard error: one line on a terminal, one line a step in a log.

On a terminal the line says what runs, the how-manieth of how many, how far it is, and both times by name; it is redrawn
where it stands and goes when all is done. In a log each step is a line when it has ended, and a long one says from time
to time that it is alive. A worker's word for a step counts only where the gate knows it: a name that a candidate made
up is shown nowhere. Nothing here raises: a check does not end because nobody can watch it.
"""

import datetime as dt
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING

from gate.cli.standing import StandingLine, is_terminal
from gate.cli.terminal import tell
from gate.records.activity import watched_by

if TYPE_CHECKING:
    from gate.check.workers import Progress

_OWN = {
    "converting": "converting the model",
    "loading the model": "loading the model",
    "repairing": "repairing the model",
    "writing the bundle": "writing the bundle",
}


@cache
def known_steps() -> Mapping[str, str]:
    """Return every step that a worker may name, in plain words: the detectors' own, and what workers do besides."""
    from gate import detectors

    return _OWN | {name: detectors.load(name).doing for name in detectors.names()}


ALIVE_SECONDS = 240.0
"""In a log a step that is longer says that it is alive: runners end a job that is silent for ten minutes."""
_GUESS_AFTER_SECONDS = 2.0
_GUESS_FROM_SHARE = 0.01
"""Before both, the time that is left is not guessed: a worker may claim to be at one of a billion."""
_QUICK_SECONDS = 0.5
"""What the gate does itself in less, and moves nothing with, is no line of a log: samples that lie on this disk."""
_SHORTEST_HEAD = 26
"""Columns that the head of the line keeps before what stands behind it is left out."""


@dataclass
class Step:
    """One thing that is under way."""

    name: str
    """Empty for what the gate does itself."""
    words: str
    begun: float
    place: str = ""
    """`6 of 17`, where the scan's steps are known."""
    share: float = 0.0
    size: int = 0
    """Bytes that have come or gone."""
    at: str = ""
    """The time of day at which it began."""

    def left(self, now: float) -> float | None:
        """Return a guess of the seconds that are left, where there is ground for one."""
        spent = now - self.begun
        if not _GUESS_FROM_SHARE <= self.share < 1 or spent < _GUESS_AFTER_SECONDS:
            return None
        return spent / self.share - spent


@dataclass
class Steps:
    """What is under way and what a scan will take; everything that is heard goes through here."""

    clock: Callable[[], float] = time.monotonic
    ended: Callable[[Step, float, bool], None] = field(default=lambda _step, _now, _well: None)
    alive: Callable[[Step, float], None] = field(default=lambda _step, _now: None)
    now: Step | None = None
    _plan: tuple[str, ...] = ()
    _seen: set[str] = field(default_factory=set)

    @property
    def waiting(self) -> str:
        """What is done where no step has been named: a scan's next worker imports what it needs, or whatever it is."""
        return "starting a worker" if self._plan else "working"

    def expect(self, steps: Sequence[str]) -> None:
        """Begin a scan of these steps, or end one where there are none; what was under way is over."""
        self._finish(well=True)
        self._plan, self._seen = tuple(steps), set()

    def show(self, step: str, done: int, total: int) -> None:
        """Take a worker's word of a step; one that the gate does not know, or says itself meanwhile, is no step."""
        if step not in known_steps() or (self.now is not None and not self.now.name):
            return
        if self.now is None or self.now.name != step:
            self._finish(well=True)
            place = f"{self._plan.index(step) + 1} of {len(self._plan)}" if step in self._plan else ""
            self.now = self._begun(step, known_steps()[step], place)
        self.now.share = done / max(total, 1)
        self.alive(self.now, self.clock())

    def begin(self, what: str) -> None:
        """Begin something that the gate does itself."""
        self._finish(well=True)
        self.now = self._begun("", what, "")

    def moved(self, size: int) -> None:
        """Take the bytes that have come or gone so far."""
        if (step := self.now) is not None:
            step.size = size
            self.alive(step, self.clock())

    def end(self, *, well: bool) -> None:
        """End what is under way."""
        self._finish(well=well)

    def _begun(self, name: str, words: str, place: str) -> Step:
        at = f"{dt.datetime.now(tz=dt.UTC).astimezone():%H:%M:%S}"
        return Step(name, words, self.clock(), place, at=at)

    def _finish(self, *, well: bool) -> None:
        step, self.now = self.now, None
        # A step that a worker names again and again is one step.
        if step is not None and not (step.name and step.name in self._seen):
            self._seen.add(step.name)
            self.ended(step, self.clock(), well)


@contextmanager
def progress_bars() -> "Iterator[Progress]":
    """Yield a callback for a worker's steps, and show them and what the gate does itself meanwhile."""
    steps = Steps()
    if is_terminal():
        begun = steps.clock()
        standing = StandingLine(lambda columns: line(steps.now, steps.clock(), begun, columns, steps.waiting))
        with standing.standing(), watched_by(steps):
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


def line(step: Step | None, now: float, begun: float, width: int, waiting: str = "working") -> str:
    """Return the one line, shorter than a terminal's width: what runs, how far, both times by name."""
    total = f"{clock(now - begun)} in all"
    if step is None:
        return _fit(waiting, (f"  {total}",), "", width)
    spent = f"  {clock(now - step.begun)} elapsed"
    left = step.left(now)
    head = f"{step.place}  " if step.place else ""
    # What is under way is not done, whatever a worker says.
    share = f"  {min(99, int(100 * step.share))} %" if step.name and step.share else ""
    came = f"  {_size(step.size)}" if step.size else ""
    guess = f", about {clock(left)} left" if left is not None else ""
    return _fit(head + _shown(step.words), (share + came, spent, guess), f", {total}", width)


def _fit(head: str, parts: Sequence[str], luxury: str, width: int) -> str:
    """Return a head and as many of the parts behind it as a line holds; the luxury is there where nothing is cut."""
    from rich.cells import cell_len, set_cell_size

    room = max(1, width - 1)
    whole = head + "".join(parts) + luxury
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
    """Return seconds as a stop-watch shows them: `0:07`, `12:05`, `1:02:03`."""
    minutes, second = divmod(max(0, round(seconds)), 60)
    hours, minute = divmod(minutes, 60)
    return f"{hours}:{minute:02d}:{second:02d}" if hours else f"{minute}:{second:02d}"


class _Alive:
    """Says of a long step that it is alive, seldom."""

    def __init__(self) -> None:
        self._step: Step | None = None
        self._said = 0.0

    def tell(self, step: Step, now: float) -> None:
        """Say so where nothing was said for long."""
        if step is not self._step:
            self._step, self._said = step, step.begun
        if now - self._said < ALIVE_SECONDS:
            return
        self._said = now
        left = step.left(now)
        guess = f", about {clock(left)} left" if left is not None else ""
        _tell(f"{_label(step)}: still running, {clock(now - step.begun)} elapsed{guess}")


def _tell_ended(step: Step, now: float, well: bool) -> None:
    if not step.name and not step.size and well and now - step.begun < _QUICK_SECONDS:
        return
    came = f", {_size(step.size)}" if step.size else ""
    how = "done in" if well else "broken off after"
    _tell(f"{_label(step)}: began {step.at}, {how} {_spent(now - step.begun)}{came}")


def _label(step: Step) -> str:
    name = f"{step.name}, " if step.name and step.name != step.words else ""
    return f"{f'{step.place}, ' if step.place else ''}{name}{_shown(step.words)}"


def _shown(words: str) -> str:
    from gate.renderers.text import plain

    return plain(words, 120)


def _size(size: int) -> str:
    from gate.renderers.text import size as in_words

    return in_words(size)


def _spent(seconds: float) -> str:
    return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s" if seconds < 120 else clock(seconds)


def _tell(message: str) -> None:
    with suppress(OSError, ValueError):  # a log that is closed ends no check
        tell(message)

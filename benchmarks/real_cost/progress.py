"""Lines of progress from a scan's steps: what is under way, now and then, and what each detector took."""

from collections.abc import Callable

EVERY = 60.0
"""Seconds between two lines about the same step."""


class Narrator:
    """Progress of a scan as lines; `clock` yields seconds."""

    def __init__(self, say: Callable[[str], None], clock: Callable[[], float]) -> None:
        self._say, self._clock = say, clock
        self._step, self._began, self._last = "", 0.0, 0.0

    def __call__(self, step: str, done: int, total: int) -> None:
        """Take a step's progress, so many of so many."""
        now = self._clock()
        if step != self._step:
            self.end()
            self._step, self._began, self._last = step, now, now
        elif now - self._last >= EVERY:
            self._last = now
            self._say(f"  {step}: {done:,} of {total:,} after {now - self._began:.0f} s")

    def end(self) -> None:
        """Tell what the step under way took; nothing where there is none."""
        if self._step:
            self._say(f"  {self._step}: {self._clock() - self._began:.1f} s")
        self._step = ""

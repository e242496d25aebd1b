"""What a worker expects of the time that is left, told to whoever waits: before the detectors begin, and once more.

The numbers are a worker's claim and decide nothing.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from gate.check.workers import Progress
from gate.records.activity import EXPECTED_STEP, Tell
from gate.records.plan import enough
from gate.renderers.text import between

WORTH_SECONDS = 60.0
"""Seconds below which a scan that keeps its deadline is not told, and after which it is told again."""


@dataclass
class Expecting:
    """Progress that tells what is expected of a scan, and passes every step on."""

    progress: Progress
    deadline: float
    """By the clock."""
    allowed: float
    """Seconds of the whole scan."""
    say: Tell
    clock: Callable[[], float] = time.monotonic
    _first: float | None = field(default=None, init=False)
    _told: set[str] = field(default_factory=set, init=False)
    """Occasions that were told, each once, whatever a worker claims."""

    def __call__(self, step: str, done: int, total: int) -> None:
        """Take one step of a worker."""
        self.progress(step, done, total)
        if step == EXPECTED_STEP:
            self._take(done, total)

    def _take(self, least: int, most: int) -> None:
        now = self.clock()
        left = max(0.0, self.deadline - now)
        self._first = now if self._first is None else self._first
        occasion = "again" if now - self._first >= WORTH_SECONDS else "begin"
        if occasion in self._told:
            occasion = "short"
        worth = most > left or (occasion != "short" and most >= WORTH_SECONDS)
        if worth and occasion not in self._told:
            by_now = "By the speed so far the detectors take" if self._told else "The detectors take"
            self.say(f"{by_now} {between(least, most)} from here on. {self._beside(least, most, left)}")
        self._told |= {occasion} | ({"short"} if most > left else set())

    def _beside(self, least: int, most: int, left: float) -> str:
        """Return what the deadline means for it, and what to do where it is too short."""
        leaves = f"The deadline leaves {between(left, left)}"
        if most <= left:
            return f"{leaves}."
        leaves += f", which {'is' if least > left else 'may be'} too short"
        if "short" in self._told:
            return f"{leaves}."  # what to do was told; what was left out since is no part of these numbers
        advised = enough(self.allowed - left + most)
        more = f"give it more time (--deadline {advised}), " if advised else ""
        return (
            f"{leaves}: what cannot end in time is left out, which flags. To have all of it measured, {more}use a GPU, "
            "or ask for fewer passes in the policy."
        )

"""The plan of a scan: how long its detectors take, and which are left out where the deadline does not hold them all.

It is made where the deadline is kept. The policy's stages are the order of worth, and detectors run in it, so that
what is worth more is never left out for what is worth less: only a detector that cannot end any more makes way for
later ones that can. Nothing here is believed elsewhere: what is left out is an outcome of its own, and a finding.
"""

import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace

from gate.records.passes import NO_PASSES, Passes, Span, Speed
from gate.records.plan import Expected, Plan, enough
from gate.worker.turns import Ahead

TELL_EVERY = 60.0
"""Seconds after which what is left is told again."""


class Planner:
    """One scan's plan: asked before each detector, told of its progress and of its end."""

    def __init__(
        self,
        timing: Callable[[], Speed],
        left: float,
        *,
        allowed: float | None = None,
        clock: Callable[[], float] = time.monotonic,
        tell: Callable[[Span], None] = lambda _left: None,
    ) -> None:
        """Begin a plan for `left` seconds of the `allowed` ones, with a first timing of the model."""
        self._clock, self._timing, self._tell = clock, timing, tell
        self._started = clock()
        self._deadline, self._allowed = self._started + left, allowed or left
        self._speed = timing()
        self._shown: set[bool] = set()
        """Whether passes without gradients (False) and with (True) have shown their speed in a detector."""
        self._whole: Span | None = None
        self._expected: dict[str, Expected] = {}
        self._now, self._began = Ahead("", NO_PASSES), self._started
        self._later = self._left_out = NO_PASSES
        self._told = self._started

    def leaves_out(self, ahead: Sequence[Ahead]) -> str:
        """Return why the first of the detectors ahead is left out; empty where it begins now."""
        first, later = ahead[0], ahead[1:]
        left = self._deadline - self._clock()
        if self._least(first) > left:
            self._time_again(first.passes)
        self._note(ahead)
        if self._least(first) > left and any(one.sure and self._least(one) <= left for one in later):
            self._left_out += first.passes
            return self._reason(first, later, left)
        self._now, self._began = first, self._clock()
        self._later = sum((one.passes for one in later), NO_PASSES)
        return ""

    def under_way(self, done: int) -> None:
        """Take how many samples the running detector has sent through the model; tell what is left, now and then."""
        now = self._clock()
        if now - self._told < TELL_EVERY:
            return
        speed = _shown_by(self._now.passes, done, now - self._began, self._speed)
        own, share = self._now.passes.seconds(speed), done / max(1.0, self._now.passes.samples.most)
        self._say(own.after(own.most * share) + self._later.seconds(speed))

    def ended(self, done: int) -> None:
        """Take that the running detector ended after so many samples: its time is noted, and shows the speed."""
        took, passes = self._clock() - self._began, self._now.passes
        if (known := self._expected.get(self._now.name)) is not None:
            self._expected[self._now.name] = known.model_copy(update={"took": took})
        if passes.alone and passes.samples.most and done:
            self._shown.add(passes.mostly_slopes(self._speed))
            self._speed = _shown_by(passes, done, took, self._speed)

    @property
    def plan(self) -> Plan:
        """What was expected so far, and what it took."""
        took = self._clock() - self._started
        return Plan(whole=Expected.of(self._whole or Span(), took), detectors=dict(self._expected))

    def _least(self, one: Ahead) -> float:
        return one.passes.seconds(self._speed).least

    def _time_again(self, passes: Passes) -> None:
        """Time the model once more where no detector has shown its speed: a moment on a busy machine misleads."""
        if passes.mostly_slopes(self._speed) not in self._shown:
            with suppress(Exception):  # the first timing stands, and the detector meets whatever this one met
                self._speed = self._speed.quickest(self._timing())

    def _note(self, ahead: Sequence[Ahead]) -> None:
        for one in ahead:
            if one.passes.samples.most:
                self._expected[one.name] = Expected.of(one.passes.seconds(self._speed))
        total = sum((one.passes for one in ahead), NO_PASSES).seconds(self._speed)
        self._whole = self._whole or total
        self._say(total)

    def _say(self, left: Span) -> None:
        self._told = self._clock()
        self._tell(left)

    def _reason(self, one: Ahead, later: Sequence[Ahead], left: float) -> str:
        """Return the sentence, with a deadline that holds what was left out so far and all that is still to run."""
        missing = sum((other.passes for other in later), self._left_out).seconds(self._speed)
        advised = enough(self._allowed - left + missing.most)
        give = f"--deadline {advised}, a GPU" if advised else "a GPU"
        return (
            f"left out, since it takes at least {self._least(one):.0f} s, and {left:.0f} s were left of the "
            f"deadline of {self._allowed:.0f} s; give the scan {give}, or fewer passes in the policy"
        )


def _shown_by(passes: Passes, done: int, seconds: float, before: Speed) -> Speed:
    """Return the speed that a detector of these passes shows, `done` samples of which took so many seconds."""
    expected = passes.seconds(before).most * done / max(1.0, passes.samples.most)
    if not passes.alone or expected <= 0:
        return before
    factor = seconds / expected
    if passes.mostly_slopes(before):
        return replace(before, slopes=before.slopes * factor)
    return replace(before, forward=before.forward * factor)

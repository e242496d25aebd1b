"""Progress by the tokens that went through both networks, told whenever the search looks at the clock."""

from dataclasses import dataclass, field, fields
from typing import Self

from gate.records.run import Run
from gate.spaces.text.continuing import BesideBase


@dataclass(frozen=True)
class CountingRun(Run):
    """A run whose every look at the clock tells progress."""

    beside: BesideBase | None = field(default=None, repr=False)
    before: int = 0
    expected: int = 1

    @classmethod
    def of(cls, run: Run, beside: BesideBase, expected: int) -> Self:
        """Return a run with so many tokens ahead."""
        own = {one.name: getattr(run, one.name) for one in fields(Run)}
        return cls(**own, beside=beside, before=beside.token_passes, expected=max(1, expected))

    def check_time(self) -> None:
        """Raise where the time is up, and tell how many of the tokens went through."""
        super().check_time()
        if self.beside is not None:
            self.progress(min(self.expected - 1, self.beside.token_passes - self.before), self.expected)

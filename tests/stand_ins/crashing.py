"""A registry, real or not, whose n-th call crashes: before its effect, or after it.

A test runs what it is about with `at` = 0, 1, 2, … until nothing crashes, and looks each time at what was left.
"""

from dataclasses import dataclass, field

from gate.records.errors import CannotFinishError, RegistryError

CRASHES = {
    f"{kind} {when}": (error, when)
    for kind, error in (("an interrupt", KeyboardInterrupt), ("an error", RegistryError))
    for when in ("before", "after")
}
"""Every kind of crash, by the id of a parametrized test: what is raised, and whether before or after the effect."""
ENDS = (KeyboardInterrupt, CannotFinishError)
"""What comes out of the code under test, which may turn the registry's error into another."""
MOST_CALLS = 200
"""A loop over crashes that has made so many has a fault."""


@dataclass
class _Calls:
    """The calls so far, of a registry and of all that `allowing` made of it."""

    names: list[str] = field(default_factory=list)
    crashed: str = ""


class Crashing:
    """A registry that passes everything on and crashes at one call, once; reading `marks` is no call."""

    def __init__(self, registry, at, error=KeyboardInterrupt, when="before", calls=None):
        assert when in {"before", "after"}, when
        self._registry, self._at, self._error, self._when = registry, at, error, when
        self._calls = calls or _Calls()

    @property
    def calls(self):
        """The names of the calls that were made, in order."""
        return tuple(self._calls.names)

    @property
    def crashed(self):
        """The name of the call that crashed; empty where none did."""
        return self._calls.crashed

    def allowing(self, stores):
        """Return one that goes on counting; it reaches no registry."""
        return Crashing(self._registry.allowing(stores), self._at, self._error, self._when, self._calls)

    def __getattr__(self, name):
        found = getattr(self._registry, name)
        return self._counted(name, found) if callable(found) and not name.startswith("_") else found

    def _counted(self, name, method):
        def call(*arguments, **options):
            now = len(self._calls.names) == self._at
            self._calls.names.append(name)
            if now and self._when == "before":
                self._crash(name)
            answer = method(*arguments, **options)
            if now and self._when == "after":
                self._crash(name)
            return answer

        return call

    def _crash(self, name):
        self._calls.crashed = name
        raise self._error(f"a crash {self._when} {name}")


def crashing(registry, crash):
    """Yield the registry with a crash at its first call, at its second, and so on, until one has not crashed."""
    for at in range(MOST_CALLS):
        yield (one := Crashing(registry, at, *crash))
        if not one.crashed:
            return
    raise AssertionError(f"still crashing after {MOST_CALLS} calls: {one.calls}")

"""`report.html` of a fleet: one self-contained page, drawn anew while the fleet runs; and its headline in words.

No script and no network, as the report of a check: a page of a running fleet asks its reader to load itself again.
"""

from dataclasses import dataclass
from typing import Final, NamedTuple

from markupsafe import Markup

from gate.records.artifact import ModelRef
from gate.records.fleet import STATES, TO_DO, FleetRow, FleetStatus, State
from gate.renderers.templates import HTML
from gate.renderers.text import between, count, duration, listed

MOST_ROWS: Final = 5000
"""Tasks on the page; `status.json` holds all."""
RELOAD_SECONDS: Final = 15


class Shown(NamedTuple):
    """How a state is shown."""

    means: str
    mark: str
    """Class of style of a row's state."""
    fill: str
    """Colour of its part of the bar."""


_WITHOUT, _TO_BE = ("mark-missing", "var(--unfinished)"), "mark-no-limit"
SHOWN: Final[dict[State, Shown]] = {
    "approved": Shown(
        "no limit was exceeded, and nothing that the policy requires was missing", "mark-within", "var(--approved)"
    ),
    "flagged": Shown(
        "something stands against approval, or was not measured: a person has to look",
        "mark-exceeded",
        "var(--flagged)",
    ),
    "failed": Shown("the check failed, or took its process down, as often as is allowed: no verdict", *_WITHOUT),
    "changed": Shown("bytes or samples are not those that were planned: no verdict; plan again", *_WITHOUT),
    "gone": Shown("the registry no longer knows the version: no verdict", *_WITHOUT),
    "running": Shown("a worker holds it now", _TO_BE, "var(--accent)"),
    "waiting": Shown("not begun, or to be tried again", _TO_BE, "var(--line)"),
}
BASES: Final = {
    "model": "by finished tasks of the same registered model",
    "size": "by the finished tasks that are nearest in size",
    "guess": "by size alone: nothing was measured yet",
}


@dataclass(frozen=True)
class FleetView:
    """What the page shows of a status."""

    status: FleetStatus

    @property
    def counts(self) -> list[tuple[State, int, str]]:
        """The states that occur, with their number and what they mean."""
        counts = self.status.counts
        return [(state, counts[state], SHOWN[state].means) for state in STATES if counts.get(state)]

    @property
    def rows(self) -> tuple[FleetRow, ...]:
        """The first rows, those that need a person before all others."""
        return self.status.rows[:MOST_ROWS]

    @property
    def hidden(self) -> int:
        """Number of rows that the page leaves out."""
        return len(self.status.rows) - len(self.rows)

    @property
    def state(self) -> str:
        """The headline's class of style."""
        if self.status.counts.get("flagged"):
            return "flagged"
        return "unfinished" if self.status.unfinished else "approved"

    @property
    def reload(self) -> int | None:
        """Seconds after which the page is loaded again; None where nothing runs."""
        return RELOAD_SECONDS if self.status.live else None

    @property
    def bar(self) -> Markup:
        """The states as parts of one bar."""
        total, x, parts = max(1, len(self.status.rows)), 0.0, []
        for state, number, _ in self.counts:
            width = 1000 * number / total
            fill = SHOWN[state].fill
            parts.append(f'<rect x="{x:.2f}" y="0" width="{width:.2f}" height="24" style="fill:{fill}"/>')
            x += width
        words = listed([f"{number} {state}" for state, number, _ in self.counts]) or "no task"
        return Markup(  # noqa: S704  # numbers and states, which are the gate's own words
            f'<svg class="plot" viewBox="0 0 1000 24" role="img" aria-label="{words}">{"".join(parts)}</svg>'
        )

    @property
    def headline(self) -> str:
        """The whole in one line."""
        return headline(self.status)

    @property
    def cost(self) -> str:
        """What was expected and measured, and what is left."""
        return cost(self.status)

    def mark(self, row: FleetRow) -> str:
        """Return the style of a row's state."""
        return SHOWN[row.state].mark

    def took(self, row: FleetRow) -> str:
        """Return what a task took, or is expected to take, with the ground of it."""
        if row.seconds is not None:
            return duration(row.seconds)
        return f"expected {between(row.predicted.seconds, row.predicted.seconds)}"

    def basis(self, row: FleetRow) -> str:
        """Return on what the plan's expectation rests."""
        return BASES[row.predicted.basis]


def render(status: FleetStatus) -> str:
    """Return the page."""
    return HTML.get_template("fleet.html.j2").render(view=FleetView(status))


def headline(status: FleetStatus) -> str:
    """Return the numbers of every state in one line."""
    done = sum(status.counts.get(state, 0) for state in ("approved", "flagged"))
    words = [f"{status.counts[state]} {state}" for state in STATES if status.counts.get(state)]
    unread = f"; {count(len(status.unread), 'version')} could not be read" if status.unread else ""
    number = len(status.unmarked)
    unmarked = f"; {count(number, 'version')} {'is' if number == 1 else 'are'} not marked" if number else ""
    if not status.rows:
        return f"nothing is planned: {'no version was chosen' if not unread else unread.removeprefix('; ')}"
    return f"{done} of {count(len(status.rows), 'task')} judged: {', '.join(words)}{unread}{unmarked}"


def cost(status: FleetStatus) -> str:
    """Return what finished tasks took beside what the plan expected, and what the others are expected to take."""
    told = []
    if status.predicted_seconds > 0:
        ratio = status.measured_seconds / status.predicted_seconds
        bases = {row.predicted.basis for row in status.rows if row.measured_since(status.made_at)}
        ground = "" if bases <= {"model", "size"} else ", which for some rests on size alone"
        told.append(
            f"finished tasks took {duration(status.measured_seconds)}, {ratio:.2f} times what was planned{ground}"
        )
    if status.left_seconds > 0:
        told.append(f"the others are expected to take {duration(status.left_seconds)}, one after the other")
    return "; ".join(told)


def by_model(status: FleetStatus) -> list[tuple[str, dict[str, int], float]]:
    """Return registered models with the number of versions by state, and their seconds; those to look at come first."""
    found: dict[str, dict[str, int]] = {}
    seconds: dict[str, float] = {}
    for row in status.rows:
        for number, version in enumerate(row.versions):
            name = ModelRef.parse(version).name
            states = found.setdefault(name, {})
            states[row.state] = states.get(row.state, 0) + 1
            # A task's time is told where it was spent: at the version that was checked.
            seconds[name] = seconds.get(name, 0.0) + ((row.seconds or 0.0) if number == 0 else 0.0)
    for unread in status.unread:
        states = found.setdefault(ModelRef.parse(unread.version).name, {})
        states["unread"] = states.get("unread", 0) + 1
    order = sorted(found, key=lambda name: (-_to_look_at(found[name]), name))
    return [(name, found[name], seconds.get(name, 0.0)) for name in order]


def _to_look_at(states: dict[str, int]) -> int:
    return sum(number for state, number in states.items() if state not in {"approved", *TO_DO})

"""A mutation: one small change of a folder, and what is said of it before anything is run."""

from collections.abc import Callable
from dataclasses import dataclass

from tests.oracle.draft import Draft

HOLES = (
    "entry point",
    "loader",
    "loader: hub",
    "container",
    "container under level B",
    "environment",
    "installer: comment",
    "installer: coding",
    "compression",
    "names",
)
"""The examples of the table of ways past the gate; the deputy and the time of check need a registry."""

Change = Callable[[Draft], None]


@dataclass(frozen=True)
class Mutation:
    """One change, by name; harmless where MLflow or people write it so and no consumer behaves differently."""

    name: str
    kind: str
    summary: str
    harmless: bool
    hole: str
    change: Change
    same_program: bool = True
    """Whether a bundle of the changed folder holds the same program, byte for byte; asked of harmless ones alone."""


_ALL: dict[str, Mutation] = {}


def _listed(kind: str, change: Change, *, harmless: bool, hole: str = "", same_program: bool = True) -> Change:
    assert not hole or hole in HOLES, hole
    name = f"{kind}/{change.__name__.strip('_').replace('_', '-')}"
    assert name not in _ALL, name
    summary = (change.__doc__ or "").partition("\n")[0]
    _ALL[name] = Mutation(name, kind, summary, harmless, hole, change, same_program)
    return change


def harmless(kind: str, *, same_program: bool = True) -> Callable[[Change], Change]:
    """List a function as a harmless mutation: refusing it would be a false refusal."""
    return lambda change: _listed(kind, change, harmless=True, same_program=same_program)


def hostile(kind: str, hole: str = "") -> Callable[[Change], Change]:
    """List a function as a mutation that the gate may refuse, and as an example of a known hole if one is named."""
    return lambda change: _listed(kind, change, harmless=False, hole=hole)


def listed() -> dict[str, Mutation]:
    """Return every mutation that was listed so far, by name."""
    return dict(_ALL)

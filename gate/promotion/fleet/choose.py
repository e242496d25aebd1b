"""Which versions of a registry a fleet is about: all, or by registered model, alias, stage or newness."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from gate.records.artifact import ModelRef
from gate.records.errors import CannotFinishError, UsageError
from gate.registries.contract import ProductionRegistry


@dataclass(frozen=True)
class Choice:
    """What was asked for; nothing but `most` is every version of every registered model."""

    models: tuple[str, ...] = ()
    aliases: tuple[str, ...] = ()
    stages: tuple[str, ...] = ()
    latest: bool = False
    """Only the newest version of each model, beside those behind aliases and in stages."""
    most: int = 10_000
    """Versions that the registry may list: it holds what anybody registered there."""

    def __str__(self) -> str:
        named = ", ".join(f"{name!r}" for name in self.models)
        of = f"of {named}" if self.models else "of every registered model"
        ways = [f"behind the alias {alias}" for alias in self.aliases]
        ways += [f"in the stage {stage}" for stage in self.stages]
        ways += ["the newest version"] if self.latest else []
        return f"{', '.join(ways) or 'every version'} {of}"[:4000]


Chosen = Mapping[ModelRef, tuple[str, ...]]
"""Versions with the aliases and stages by which they were chosen."""


def behind_aliases(registry: ProductionRegistry, model: str) -> dict[ModelRef, tuple[str, ...]]:
    """Return the versions behind a registered model's aliases, with these."""
    behind: dict[ModelRef, tuple[str, ...]] = {}
    for alias, ref in sorted(registry.aliases(model).items()):
        behind[ref] = (*behind.get(ref, ()), alias)
    return behind


def choose(registry: ProductionRegistry, choice: Choice) -> Chosen:
    """Return the chosen versions, ordered by name and number; more than `most` is a `UsageError`."""
    listed = _listed(registry, choice)
    if not (choice.aliases or choice.stages or choice.latest):
        return dict.fromkeys(listed, ())
    names = sorted({ref.name for ref in listed})
    chosen: dict[ModelRef, tuple[str, ...]] = {}
    for name in names:
        for ref, place in _of_model(registry, choice, name, [ref for ref in listed if ref.name == name]):
            chosen[ref] = (*chosen.get(ref, ()), *((place,) if place else ()))
    return chosen


def _listed(registry: ProductionRegistry, choice: Choice) -> list[ModelRef]:
    found: list[ModelRef] = []
    for name in choice.models or (None,):
        left = choice.most - len(found)
        found += [ref for ref, _ in registry.find_versions(name, {}, left + 1)]
        if len(found) > choice.most:
            raise UsageError(
                f"the registry lists more than {choice.most} versions",
                what_to_do="Choose some with --registered-model, or raise --most-versions.",
            )
        if name is not None and not found and not registry.exists(name):
            raise CannotFinishError(f"the registry does not know a registered model {name!r}")
    return sorted(set(found), key=lambda ref: (ref.name, int(ref.version or 0)))


def _of_model(
    registry: ProductionRegistry, choice: Choice, name: str, versions: list[ModelRef]
) -> Iterator[tuple[ModelRef, str]]:
    if choice.aliases:
        for ref, aliases in behind_aliases(registry, name).items():
            yield from ((ref, f"alias {alias}"[:200]) for alias in aliases if alias in choice.aliases)
    if choice.stages:
        yield from ((ref, f"stage {stage}"[:200]) for ref, stage in registry.staged(name, choice.stages))
    if choice.latest and versions:
        yield versions[-1], "latest"

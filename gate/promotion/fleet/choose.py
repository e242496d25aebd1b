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

    @property
    def ways(self) -> tuple[str, ...]:
        """How versions are chosen, in words; nothing where all are."""
        aliases = (f"behind the alias {alias}" for alias in self.aliases)
        stages = (f"in the stage {stage}" for stage in self.stages)
        return (*aliases, *stages, *(("the newest version",) if self.latest else ()))

    @property
    def of(self) -> str:
        """Of which registered models, in words."""
        return f"of {', '.join(f'{name!r}' for name in self.models)}" if self.models else "of every registered model"

    def __str__(self) -> str:
        return f"{', '.join(self.ways) or 'every version'} {self.of}"[:4000]


Chosen = Mapping[ModelRef, tuple[str, ...]]
"""Versions with the aliases and stages by which they were chosen."""


def behind_aliases(registry: ProductionRegistry, model: str) -> dict[ModelRef, tuple[str, ...]]:
    """Return the versions behind a registered model's aliases, with these."""
    behind: dict[ModelRef, tuple[str, ...]] = {}
    for alias, ref in sorted(registry.aliases(model).items()):
        behind[ref] = (*behind.get(ref, ()), alias)
    return behind


def choose(registry: ProductionRegistry, choice: Choice) -> Chosen:
    """Return the chosen versions, ordered by name and number; more than `most` is a `UsageError`.

    A name, an alias or a stage that chooses none is an error: what it was meant for would be left out without a word.
    """
    listed = _listed(registry, choice)
    if not (choice.aliases or choice.stages or choice.latest):
        return dict.fromkeys(listed, ())
    names = sorted({ref.name for ref in listed})
    chosen: dict[ModelRef, tuple[str, ...]] = {}
    for name in names:
        for ref, place in _of_model(registry, choice, name, [ref for ref in listed if ref.name == name]):
            chosen[ref] = (*chosen.get(ref, ()), place)
    _require_each(choice, chosen)
    return chosen


def _require_each(choice: Choice, chosen: Chosen) -> None:
    """Refuse a choice of which a part chose nothing."""
    places = {place for found in chosen.values() for place in found}
    of = choice.of.replace("every", "any")
    for alias in choice.aliases:
        if _by_alias(alias) not in places:
            raise _nothing(f"no version is behind the alias {alias[:200]!r} {of}")
    for stage in choice.stages:
        if _by_stage(stage) not in places:
            raise _nothing(f"no version is in the stage {stage[:200]!r} {of}")
    found = {ref.name for ref in chosen}
    for name in choice.models:
        if name not in found:
            raise _nothing(f"the registered model {name!r} has no version {' or '.join(choice.ways)}")


def _nothing(what: str) -> CannotFinishError:
    return CannotFinishError(what[:1000], what_to_do="Mend or leave out what chooses nothing, and plan again.")


def _by_alias(alias: str) -> str:
    return f"alias {alias}"[:200]


def _by_stage(stage: str) -> str:
    return f"stage {stage}"[:200]


def _listed(registry: ProductionRegistry, choice: Choice) -> list[ModelRef]:
    found: list[ModelRef] = []
    for name in choice.models or (None,):
        own = [ref for ref, _ in registry.find_versions(name, {}, choice.most - len(found) + 1)]
        found += own
        if len(found) > choice.most:
            raise UsageError(
                f"the registry lists more than {choice.most} versions",
                what_to_do="Choose some with --registered-model, or raise --most-versions.",
            )
        if name is not None and not own:
            known = registry.exists(name)
            raise _nothing(
                f"the registered model {name!r} has no version"
                if known
                else f"the registry does not know a registered model {name!r}"
            )
    return sorted(set(found), key=lambda ref: (ref.name, int(ref.version or 0)))


def _of_model(
    registry: ProductionRegistry, choice: Choice, name: str, versions: list[ModelRef]
) -> Iterator[tuple[ModelRef, str]]:
    if choice.aliases:
        for ref, aliases in behind_aliases(registry, name).items():
            yield from ((ref, _by_alias(alias)) for alias in aliases if alias in choice.aliases)
    if choice.stages:
        yield from ((ref, _by_stage(stage)) for ref, stage in registry.staged(name, choice.stages))
    if choice.latest and versions:
        yield versions[-1], "latest"

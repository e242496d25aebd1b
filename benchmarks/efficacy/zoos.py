"""Zoos by what is committed of them alone: index and summaries as pairs, banks and results.

Between summaries and the tables of a zoo with splits of its own (`real_zoo`, `text_zoo`), or of several zoos. Nothing
is scanned, and no cache is looked at.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.efficacy import summaries
from benchmarks.efficacy.banking import Pair, bank_keys, pairs_of
from benchmarks.efficacy.judged import GATE, GATE_BESIDE, Judged, judged_by_policy
from benchmarks.efficacy.results import SystemResult, result_of
from benchmarks.efficacy.subjects import NOT_SCANNED, LeftOut, Models, models_among
from benchmarks.zoo.recipe import Recipe, Row, Split
from benchmarks.zoo.store import Entry, current, read_index
from gate.records.bank import OpenBank, open_bank, write_bank
from gate.records.policy import Policy

SEED = 0
"""Of the bootstrap."""


def by_task(row: Row) -> str:
    """Return the task of a row: models of one task have one bank."""
    return row.task


@dataclass(frozen=True)
class Zoo:
    """Where a zoo keeps what is committed of it, and how its records are read."""

    kind: type[Entry]
    recipes: Callable[[Split | None], Sequence[Recipe]]
    """Of a split, or of all."""
    groups: tuple[str, ...]
    """Names of the banks, such as the tasks."""
    of_banks: Split
    """The split whose clean models make the banks."""
    index: Path
    evidence: Path
    banks: Path
    group_of: Callable[[Row], str] = by_task
    """Which of these banks a row's model belongs to."""

    def models(self, split: Split) -> Models:
        """Return a split's models by the index alone."""
        recipes = self.recipes(split)
        known = {entry.key: entry for entry in current(read_index(self.index, self.kind), recipes)}
        return models_among(lambda recipe: known.get(recipe.key), recipes)


@dataclass(frozen=True)
class Measured:
    """A split's models with every outcome, and those that are not counted."""

    pairs: list[Pair]
    left_out: list[LeftOut]


def measured(zoo: Zoo, split: Split, policy: Policy) -> Measured:
    """Read what is committed of a split under a policy."""
    models = zoo.models(split)
    entries = {entry.name: entry for entry in models.counting}
    wanted = set(policy.detectors)
    found = pairs_of(entries, summaries.path_of(split, zoo.evidence))
    pairs = [pair for pair in found if wanted <= set(pair[1].outcomes)]
    rows = [entry.recipe.row for entry in models.counting if entry.name not in {pair[0].name for pair in pairs}]
    waiting = [LeftOut(row.name, row.task, row.attack, row.variant, NOT_SCANNED) for row in rows]
    return Measured(pairs, [*models.left_out, *waiting])


def banks_of(zoo: Zoo, policy: Policy) -> list[OpenBank]:
    """Write a bank a group of what is scanned and open them; a group without a scanned clean model has none yet."""
    found, opened = measured(zoo, zoo.of_banks, policy), []
    zoo.banks.mkdir(parents=True, exist_ok=True)
    for group in zoo.groups:
        own = [pair for pair in found.pairs if zoo.group_of(pair[0].recipe.row) == group]
        if own:
            path = zoo.banks / f"{group}.json"
            provenance = f"clean models of the {zoo.kind.shelf}, split {zoo.of_banks}, {group}"
            write_bank(path, **bank_keys(own, policy, f"{zoo.kind.shelf} {group}", provenance))
            opened.append(open_bank(path))
    return opened


def of_split(found: Measured, policy: Policy, beside: Sequence[OpenBank]) -> list[tuple[SystemResult, list[Judged]]]:
    """Return results and rows of the gate beside banks, where there are any, and without."""
    ways = [(GATE_BESIDE, list(beside))] if beside else []
    judged = [(name, judged_by_policy(found.pairs, policy, own)) for name, own in [*ways, (GATE, [])]]
    return [(result_of(name, rows, found.left_out, seed=SEED), rows) for name, rows in judged]

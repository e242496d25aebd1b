"""Which figures the gate has, what each is made of, and how it is made; nothing is scanned, and no cache is looked at.

Between the zoos and what is kept. Figures that are made together are a group.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from benchmarks.anchors import costs, kept, other_zoos, small_zoo
from benchmarks.anchors.figure import (
    Counted,
    Figure,
    accuracy,
    alarms,
    area,
    by_family,
    found_and_alarms,
    missing,
    trojai,
)
from benchmarks.anchors.kept import Inputs, Kept
from benchmarks.efficacy import peering, summaries
from benchmarks.efficacy.page import RESULTS
from benchmarks.efficacy.results import SystemResult
from benchmarks.efficacy.zoos import Zoo
from benchmarks.threats import BANKS
from benchmarks.zoo.recipe import Split
from gate.policies.packaged import ADAPTER, DEFAULT, TEXT
from gate.policies.read import read_policy
from gate.records.bank import OpenBank, open_bank
from gate.records.clock import today
from gate.records.policy import Policy

FAMILIES = ("badnets", "blended", "input-aware", "lira", "wanet")
"""The zoo's attacks of which the published tables by family speak."""
PEERS = ("mm-bd", "free-eagle")
ZOO: Mapping[str, Callable[[SystemResult], str]] = {
    "zoo/families": lambda result: by_family(result, FAMILIES),
    "zoo/accuracy": accuracy,
    "zoo/area": area,
    "zoo/clean": alarms,
    "zoo/rates": found_and_alarms,
}
CONTINUATIONS = (
    "no zoo of language models is scanned with `continuation-trigger`, and no command tells a rate of it yet"
)


@dataclass(frozen=True)
class Group:
    """Figures that are made together."""

    keys: tuple[str, ...]
    inputs: Callable[[], Inputs]
    make: Callable[[], dict[str, Figure]]


def groups(split: Split) -> list[Group]:
    """Return all groups, those of the small zoo of this split."""
    asked = small_zoo.asked(split)
    return [
        Group((*ZOO, "zoo/trojai"), lambda: _inputs(split), lambda: of_zoo(split)),
        Group(tuple(f"peer/{name}" for name in PEERS), lambda: _peers_inputs(asked), lambda: of_peers(asked)),
        _other(("real-zoo/accuracy",), other_zoos.real_zoo, other_zoos.REAL, DEFAULT),
        _other(("text-zoo/accuracy", "text-zoo/area"), other_zoos.text_zoo, other_zoos.TEXTS, TEXT),
        _other(("adapter-zoo/rates", "adapter-zoo/areas"), other_zoos.adapter_zoo, other_zoos.ADAPTERS, ADAPTER),
        *(Group((key,), lambda path=path: kept.of_files([path]), lambda key=key, make=make: {key: make()})  # type: ignore[misc]
          for key, (path, make) in costs.FIGURES.items()),
        Group(("language/continuation",), dict, lambda: {"language/continuation": missing(CONTINUATIONS, "none")}),
    ]  # fmt: skip


def stale(wanted: Iterable[Group], known: Mapping[str, Kept]) -> Iterator[tuple[Group, Inputs]]:
    """Yield the groups whose figures are not kept, or were made of something else, with what they are made of now."""
    for group in wanted:
        inputs = group.inputs()
        if any(key not in known or known[key].inputs != inputs for key in group.keys):
            yield group, inputs


def made(group: Group, inputs: Inputs, date_of: Callable[[Path], str] = kept.date_of) -> dict[str, Kept]:
    """Make the figures of a group."""
    figures = group.make()
    return {key: kept.kept(key, figures[key], inputs, date_of) for key in group.keys}


def of_zoo(split: Split) -> dict[str, Figure]:
    """Return the figures of a split of the small zoo."""
    policy, banks = _default()
    return of_counted(small_zoo.counted(small_zoo.judged(small_zoo.zoo(), split, policy, banks)), split)


def of_counted(counted: Counted | None, split: Split) -> dict[str, Figure]:
    """Return the figures of a split as it is counted; where it is not, none is left out."""
    if counted is None:
        nothing = missing(f"zoo, split `{split}`: by today's policy no model", small_zoo.COMMAND.format(split=split))
        return dict.fromkeys((*ZOO, "zoo/trojai"), nothing)
    return {**{key: counted.told(how) for key, how in ZOO.items()}, "zoo/trojai": trojai(counted)}


def of_peers(split: Split) -> dict[str, Figure]:
    """Return what published detectors said of a split, and the gate of the same models."""
    policy, banks = _default()
    asked = {row.name for row in peering.read(peering.path_of(split, summaries.FOLDER)) if row.peer in PEERS}
    judgement = small_zoo.judged(small_zoo.zoo(), split, policy, banks, asked)
    return {f"peer/{name}": small_zoo.peer(name, judgement) for name in PEERS}


def _default() -> tuple[Policy, list[OpenBank]]:
    return read_policy(DEFAULT, on=today()), [open_bank(path) for path in _banks()]


def _banks() -> list[Path]:
    return sorted(BANKS.glob("*.json"))


def _inputs(split: Split) -> Inputs:
    """Return what the figures of a split of the small zoo are made of: rows, banks, policy, and results of before."""
    splits: list[Split] = [split, "fit"] if split == "unseen" else [split]
    files = [summaries.path_of(one) for one in splits]
    return kept.of_models(small_zoo.zoo(), splits) | kept.of_files(
        [*files, RESULTS / f"{split}.json", *_banks(), DEFAULT]
    )


def _peers_inputs(split: Split) -> Inputs:
    return _inputs(split) | kept.of_files([peering.path_of(split, summaries.FOLDER)])


def _other(
    keys: tuple[str, ...], make: Callable[[Policy], dict[str, Figure]], zoo: other_zoos.Make, path: Path
) -> Group:
    """Return the group of another zoo, by its policy."""
    return Group(keys, lambda: _of_other(zoo(None), path), lambda: make(read_policy(path, on=today())))


def _of_other(zoo: Zoo, policy: Path) -> Inputs:
    splits: tuple[Split, ...] = (other_zoos.SPLIT, zoo.of_banks)
    files = [summaries.path_of(one, zoo.evidence) for one in splits]
    return kept.of_models(zoo, splits) | kept.of_files([*files, policy])

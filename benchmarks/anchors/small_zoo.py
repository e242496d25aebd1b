"""The small zoo's splits as they are counted: judged anew from committed summaries, by today's packaged policy.

Between the zoo and the figures. The counting is that of `python -m benchmarks.efficacy table`. Of a split that no model
was measured on by today's policy, the results that were committed when it was are told, and that they are older.
"""

import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.anchors.figure import Counted, Figure, found_and_alarms, missing, of_models
from benchmarks.efficacy import peering, summaries
from benchmarks.efficacy.banking import task_of
from benchmarks.efficacy.judged import Judged, among, judged_by_policy
from benchmarks.efficacy.page import RESULTS
from benchmarks.efficacy.reached import Rows, counts
from benchmarks.efficacy.results import result_of
from benchmarks.efficacy.zoos import SEED, Measured, Zoo, measured
from benchmarks.real_zoo.table import small
from benchmarks.threats import BANKS
from benchmarks.zoo.recipe import Recipe, Split, draw
from benchmarks.zoo.splits import rows
from benchmarks.zoo.store import INDEX, Entry
from benchmarks.zoo.tasks import TASKS
from gate.records.bank import OpenBank
from gate.records.policy import Policy

COMMAND = "python -m benchmarks.efficacy table --split {split} --bank …"
PEERS_ELSEWHERE: Split = "fit"
"""Where a peer's answers are taken from while it was not asked about the split that is told of."""


@dataclass(frozen=True)
class Judgement:
    """A split's measured models judged in both ways, and what is not measured."""

    split: Split
    found: Measured
    rows: Rows
    evidence: Path
    policy: Policy


def zoo(index: Path = INDEX, evidence: Path = summaries.FOLDER) -> Zoo:
    """Return what is committed of the small zoo."""
    return Zoo(Entry, recipes, tuple(TASKS), "calibrate", index, evidence, BANKS)


def recipes(split: Split | None) -> Sequence[Recipe]:
    """Return the recipes of a split, or of all."""
    return [draw(row) for row in rows() if split in (None, row.split)]


def judged(
    zoo: Zoo, split: Split, policy: Policy, banks: Sequence[OpenBank], only: Collection[str] | None = None
) -> Judgement:
    """Judge a split's models, or some of them by name; about a second each, and as much for each of fit on *unseen*."""
    found, tasks = measured(zoo, split, policy), frozenset(task_of(one.bank) for one in banks)
    if only is not None:
        found = Measured([pair for pair in found.pairs if pair[0].name in only], found.left_out)
    # Fit is for the map from score to probability, which only the whole split is told with.
    fit = measured(zoo, "fit", policy).pairs if split == "unseen" and only is None else []
    beside, alone = judged_by_policy(found.pairs, policy, banks), judged_by_policy(found.pairs, policy)
    known = Rows(beside, alone, judged_by_policy(fit, policy, banks), tasks)
    return Judgement(split, found, known, summaries.path_of(split, zoo.evidence), policy)


def counted(judgement: Judgement, folder: Path = RESULTS) -> Counted | None:
    """Return a split as it is counted by today's policy, or else as it was committed; None where neither is."""
    split, found = judgement.split, judgement.found
    if not found.pairs:
        return committed(split, folder)
    told = counts(split, judgement.rows, found.left_out, seed=SEED)
    systems = (told.beside, told.alone)
    of = of_models(f"zoo, split `{split}`", found, judgement.policy)
    losses = (told.entropy, told.alone.cross_entropy)
    return Counted(systems, losses, of, COMMAND.format(split=split), (judgement.evidence,))


def committed(split: Split, folder: Path = RESULTS) -> Counted | None:
    """Return the results of a split that were committed by an earlier policy.

    None of *unseen*: its results beside a bank are in no such file apart from those of tasks without one.
    """
    path = folder / f"{split}.json"
    if split == "unseen" or not path.is_file():
        return None
    facts, systems = json.loads(path.read_text("utf-8")), tuple(small(split, folder))
    policy = facts["policy"]
    of = (
        f"zoo, split `{split}`, as kept in `{path.name}` by the policy of that day (`{policy['name']}`, "
        f"{policy['digest'][:19]}…, commit {facts['commit']}); by today's no model of it is measured"
    )
    losses = tuple(one.cross_entropy for one in systems)
    return Counted(systems, losses, of, COMMAND.format(split=split), (path,))


def peer(name: str, judgement: Judgement, folder: Path = summaries.FOLDER) -> Figure:
    """Return what a published detector said of a split's models, and the gate of the same ones.

    Models of a task without a bank, and those that today's policy did not measure, are left out of both.
    """
    path = peering.path_of(judgement.split, folder)
    answers = [row for row in peering.read(path) if row.peer == name]
    said = peering.judged(answers, [entry for entry, _ in judgement.found.pairs])
    rows = [row for row in said if row.task in judgement.rows.tasks]
    if rows:
        return _beside_peer(name, rows, judgement, path)
    command = f"python -m benchmarks.efficacy peers --split {judgement.split} --peers {name}"
    return missing(f"`{name}` gave no answers on split `{judgement.split}` that are kept", command)


def asked(split: Split, folder: Path = summaries.FOLDER) -> Split:
    """Return the split that peers' answers are taken from: this one, or *fit* while none was asked about it."""
    return split if peering.path_of(split, folder).is_file() else PEERS_ELSEWHERE


def _beside_peer(name: str, said: Sequence[Judged], judgement: Judgement, path: Path) -> Figure:
    names = {row.name for row in said}
    gate = Rows(
        among(judgement.rows.beside, names), among(judgement.rows.alone, names), judgement.rows.fitted,
        judgement.rows.tasks,
    )  # fmt: skip
    theirs = result_of(f"{name} (peer)", said, (), seed=SEED)
    told = counts(judgement.split, gate, (), seed=SEED)
    of = f"zoo, {len(names)} models of split `{judgement.split}`, the same for each; policy `{judgement.policy.name}`"
    command = f"python -m benchmarks.efficacy table --split {judgement.split}"
    systems = (theirs, told.beside, told.alone)
    return Counted(systems, (None,) * 3, of, command, (path, judgement.evidence)).told(found_and_alarms)

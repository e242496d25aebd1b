"""Runs published detectors over the same models as the gate, and keeps each answer by peer, revision, model and seed.

Beside `running`. Peers run in this process on the strict reader's program; a peer that fails leaves its error as its
answer. One that is very slow may be run on a stated random part: the order of models is drawn from a seed and the
split as it is written down, stratified by what they are, so that any beginning of it is such a part, and so are the
first few of each attack.
"""

import hashlib
import json
import random
import time
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import Field

from benchmarks.efficacy.judged import Judged, about
from benchmarks.efficacy.peer import Peer, PeerResult
from benchmarks.efficacy.truth import compare, truth_of
from benchmarks.zoo import splits
from benchmarks.zoo.recipe import CLEAN, Row
from benchmarks.zoo.store import Entry, Store, write_whole
from benchmarks.zoo.tasks import TASKS
from gate.records.errors import CannotFinishError
from gate.records.evidence import Location
from gate.records.record import Record

if TYPE_CHECKING:
    from torch import nn

DIGITS = 6


class PeerRow(Record):
    """One peer's answer on one model, as it is committed."""

    peer: str
    revision: int
    name: str
    exported: str
    """The digest of the model's program."""
    seed: int
    decision: bool | None = None
    targets: tuple[int, ...] = ()
    score: float | None = None
    statistics: dict[str, float] = Field(default_factory=dict)
    sample_passes: int = 0
    seconds: float = 0.0
    processor_seconds: float = 0.0
    note: str = ""
    error: str = ""


@dataclass(frozen=True)
class PeerCache:
    """The folder of peers' answers."""

    root: Path

    @classmethod
    def of(cls, store: Store) -> "PeerCache":
        """Return the cache that belongs to a zoo."""
        return cls(store.root / "efficacy" / "peers")

    def find(self, peer: Peer, entry: Entry, seed: int) -> PeerRow | None:
        """Return what the peer in this revision answered on this model."""
        path = self._path(peer, entry, seed)
        return PeerRow.from_file(path) if path.is_file() else None

    def add(self, peer: Peer, entry: Entry, row: PeerRow) -> None:
        """Keep an answer."""
        write_whole(self._path(peer, entry, row.seed), row.canonical_json())

    def forget(self, peer: Peer, entry: Entry, seed: int) -> None:
        """Drop an answer."""
        self._path(peer, entry, seed).unlink(missing_ok=True)

    def _path(self, peer: Peer, entry: Entry, seed: int) -> Path:
        key = json.dumps([peer.id, peer.revision, entry.files.exported, seed])
        return self.root / peer.id / f"{hashlib.sha256(key.encode()).hexdigest()[:32]}.json"


def in_strata(entries: Sequence[Entry], seed: int) -> list[Entry]:
    """Return a split's entries in a drawn order of which every beginning holds all arms in proportion."""
    by_name = {entry.name: entry for entry in entries}
    asked = {entry.recipe.row.split for entry in entries}
    order = drawn([row for row in splits.rows() if row.split in asked], seed)
    return [by_name[row.name] for row in order if row.name in by_name]


def drawn(written: Sequence[Row], seed: int) -> list[Row]:
    """Return the rows of a split in a drawn order that spreads its arms evenly.

    Drawn from all that is written down: which models are made by then, or count, moves none of the others.
    """
    rng = random.Random(seed)
    strata: dict[str, list[Row]] = {}
    for row in rng.sample(list(written), len(written)):
        strata.setdefault(arm_of(row), []).append(row)
    placed = [
        ((place + rng.random()) / len(members), row) for members in strata.values() for place, row in enumerate(members)
    ]
    return [row for _, row in sorted(placed, key=lambda pair: pair[0])]


def arm_of(row: Row) -> str:
    """Return the attack of a row, or `clean` with its task."""
    return row.attack if row.attack != CLEAN else f"{CLEAN} {row.task}"


def of_each(order: Iterable[Entry], count: int) -> list[Entry]:
    """Return the first so many of each arm, in the same order."""
    taken: Counter[str] = Counter()
    chosen = []
    for entry in order:
        arm = arm_of(entry.recipe.row)
        taken[arm] += 1
        if taken[arm] <= count:
            chosen.append(entry)
    return chosen


def run(store: Store, peer: Peer, entries: Sequence[Entry], seed: int) -> Iterator[PeerRow]:
    """Ask a peer about the models that it has not answered on, and yield each answer as it is kept."""
    cache = PeerCache.of(store)
    for entry in entries:
        if cache.find(peer, entry, seed) is None:
            row = ask(store, peer, entry, seed)
            cache.add(peer, entry, row)
            yield row


def ask(store: Store, peer: Peer, entry: Entry, seed: int) -> PeerRow:
    """Ask a peer about one model; whatever it raises is its answer."""
    from benchmarks.zoo.making import training_set

    task = TASKS[entry.recipe.row.task]
    model = read_module(store, entry)
    images = training_set(entry.recipe).images if peer.needs_training_set else task.scan
    common = {"peer": peer.id, "revision": peer.revision, "name": entry.name, "seed": seed}
    clock, processor = time.monotonic(), time.process_time()
    try:
        result = peer.measure(model, images.inputs, images.labels, task.classes, seed)
    except CannotFinishError:
        raise  # a package that is not installed says nothing about the model
    except Exception as error:  # noqa: BLE001  # a peer that breaks is an answer in the table, never the end of the run
        text = f"{type(error).__name__}: {error}"[:500]
        return PeerRow(**common, exported=entry.files.exported, error=text, seconds=round(time.monotonic() - clock, 1))
    spent = round(time.process_time() - processor, 1)
    return PeerRow(**common, exported=entry.files.exported, processor_seconds=spent, **_plain(result))


def _plain(result: PeerResult) -> dict[str, object]:
    statistics = {name: float(f"{value:.{DIGITS}g}") for name, value in result.statistics.items()}
    return {
        "decision": result.decision,
        "targets": result.targets,
        "score": result.score,
        "statistics": statistics,
        "sample_passes": result.sample_passes,
        "seconds": round(result.seconds, 1),
        "note": result.note[:300],
    }


def read_module(store: Store, entry: Entry) -> "nn.Module":
    """Return a model as the strict reader gives it: a module from (N, C, H, W) in [0, 1] to logits (N, K)."""
    from benchmarks.efficacy.reading import Read
    from gate.programs import batched, read_program

    program = read_program(store.get(entry.files.exported, ".pt2"))
    return Read(batched(program, TASKS[entry.recipe.row.task].scan.inputs[:4])).eval()


def path_of(split: str, folder: Path) -> Path:
    """Return the file of the peers' committed answers."""
    return folder / f"{split}-peers.jsonl"


def read(path: Path) -> list[PeerRow]:
    """Return the committed answers; a missing file holds none."""
    lines = path.read_text().splitlines() if path.is_file() else []
    return [PeerRow.from_json(line.encode(), what=path.name) for line in lines]


def collect(
    store: Store,
    peers: Iterable[Peer],
    entries: Sequence[Entry],
    seed: int,
    path: Path,
    elsewhere: Collection[str] = (),
) -> list[PeerRow]:
    """Write all kept answers of these peers on these models, beside those of other peers, and return them.

    Answers on programs that are `elsewhere`, by their digests in the index and not in this cache, stay.
    """
    asked = list(peers)
    cache, ids = PeerCache.of(store), {peer.id: peer.revision for peer in asked}
    found = [row for peer in asked for entry in entries if (row := cache.find(peer, entry, seed)) is not None]
    stay = (row for row in read(path) if row.exported in elsewhere or row.peer not in ids)
    rows = [*(row for row in stay if row.revision == ids.get(row.peer, row.revision)), *found]
    text = "".join(
        json.dumps(row.model_dump(mode="json", exclude_defaults=True), sort_keys=True) + "\n"
        for row in sorted(rows, key=lambda row: (row.peer, row.name))
    )
    write_whole(path, text.encode())
    return rows


def judged(rows: Iterable[PeerRow], entries: Iterable[Entry]) -> list[Judged]:
    """Return a peer's answers on these models in the form in which the gate's are counted."""
    by_digest = {entry.files.exported: entry for entry in entries}
    return [_judged(by_digest[row.exported], row) for row in rows if row.exported in by_digest]


def _judged(entry: Entry, row: PeerRow) -> Judged:
    places = [Location.of_class(target) for target in row.targets]
    named = compare(truth_of(entry), places)
    return Judged(
        **about(entry),
        flagged=row.decision,
        by_limit=bool(row.decision),
        score=row.score,
        targets=tuple(map(str, places)),
        has_target=bool(truth_of(entry).targets),
        any_right=named.any_right,
        all_right=named.all_right,
        seconds=row.seconds,
        processor_seconds=row.processor_seconds,
        sample_passes=row.sample_passes,
        note=row.error or row.note,
    )

"""Makes the banks: the gate's own `bank make`, trainers and scans in the jail, for each pair of a split.

A bank that is there and was made from the same program, data, samples and options is left alone; of one that was broken
off the gate keeps every finished copy and its evidence, so that the same command goes on.
"""

import hashlib
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from benchmarks.efficacy.scanning import Bench
from benchmarks.efficacy.subjects import manifest_digest, write_model_folder
from benchmarks.self_made.choosing import Pair, pairs_of, source_of
from benchmarks.zoo.recipe import Split
from benchmarks.zoo.store import Entry, Store
from benchmarks.zoo.tasks import TASKS, Images, Task
from gate import VERSION
from gate.banks.making import make
from gate.banks.sources import MakeRequest
from gate.check.evidence import ScanSettings
from gate.check.workers import Progress
from gate.policies.declared import option_digests
from gate.records.activity import Tell
from gate.records.artifact import file_sha256
from gate.records.bank import Bank, OpenBank, open_bank
from gate.records.errors import UnexaminableError, UsageError
from gate.records.policy import Policy
from gate.registries.contract import Registry
from gate.registries.directory import DirectoryRegistry

COUNT = 20
"""Copies a bank."""
IMAGES = 6000
"""Images that copies are trained on, of the 8,000 that the zoo's models are."""
_SEED = 20_221_129

Maker = Callable[[Registry, MakeRequest, Progress, Tell], Bank]
"""Trains, measures and writes a bank; a seam for tests, which have no hours."""


@dataclass(frozen=True)
class Made:
    """What became of one bank."""

    pair: Pair
    bank: Bank | None
    trouble: str = ""
    """Why there is none."""
    remaining_seconds: float | None = None
    """Expected for the banks that are left; None where nothing was made that tells."""


def bank_path(pair: Pair, store: Store) -> Path:
    """Return where a pair's bank lies."""
    return _folder(pair, store) / "bank.json"


def bank_of(pair: Pair, bench: Bench, count: int | None = None) -> OpenBank | None:
    """Return a pair's bank, if it is there and was made of today's program, data, samples and options."""
    try:
        found = open_bank(bank_path(pair, bench.store))
    except UsageError:
        return None
    return found if _same(found.bank, pair, bench, count) else None


def make_banks(
    bench: Bench, split: Split, jobs: int, count: int, progress: Progress, tell: Tell, *, maker: Maker = make
) -> Iterator[Made]:
    """Make the banks of a split that are missing and yield each; one with too few good copies does not end the rest."""
    there = {pair: bank_of(pair, bench, count) for pair in pairs_of(split)}
    yield from (Made(pair, found.bank) for pair, found in there.items() if found is not None)
    waiting, began = [pair for pair, found in there.items() if found is None], time.monotonic()
    for done, pair in enumerate(waiting, start=1):
        bank, trouble = None, ""
        try:
            bank = maker(DirectoryRegistry(), _request(pair, bench, jobs, count), progress, tell)
        except UnexaminableError as error:
            trouble = str(error)
        yield Made(pair, bank, trouble, (time.monotonic() - began) / done * (len(waiting) - done))


def trusted(task: Task, count: int = IMAGES) -> Images:
    """Return images of the zoo's training set, drawn by seed, none of them among those that are held out."""
    held = {_digest(image) for part in (task.scan, task.measure) for image in part.inputs}
    train = task.train
    order = torch.randperm(len(train), generator=torch.Generator().manual_seed(_SEED))
    kept = [row for row in order.tolist() if _digest(train.inputs[row]) not in held]
    return train.take(torch.tensor(kept[:count]))


def data_path(task: Task, store: Store) -> Path:
    """Return the file of a task's trusted data, written where it is not there."""
    path = store.root / "self-made" / f"{task.id}-{IMAGES}.npz"
    if not path.is_file():
        path.parent.mkdir(parents=True, exist_ok=True)
        images, temporary = trusted(task), path.with_suffix(f".{os.getpid()}.npz")
        np.savez_compressed(temporary, inputs=images.inputs.numpy(), labels=images.labels.numpy())
        temporary.replace(path)
    return path


def _digest(image: torch.Tensor) -> bytes:
    return hashlib.sha256(image.numpy().tobytes()).digest()


def _folder(pair: Pair, store: Store) -> Path:
    return store.root / "self-made" / pair.split / pair.name


def _request(pair: Pair, bench: Bench, jobs: int, count: int) -> MakeRequest:
    """Return what `gate bank make` would be asked, scans set as those of `benchmarks.efficacy`."""
    store, folder = bench.store, _folder(pair, bench.store)
    source = source_of(pair, store)
    return MakeRequest(
        uri=str(write_model_folder(source, store, folder / source.name)),
        policy=bench.policy,
        data=data_path(TASKS[pair.task], store),
        to=bank_path(pair, store),
        work=folder / "copies",
        name=f"self-made {pair.task} {pair.net}",
        settings=ScanSettings(seed=bench.policy.seed, device="cpu", threads=bench.threads),
        threads=bench.threads,
        samples=str(store.samples_path(pair.task).absolute()),
        count=count,
        jobs=jobs,
    )


def _same(bank: Bank, pair: Pair, bench: Bench, count: int | None) -> bool:
    """Tell whether a bank is the one that would be made today."""
    own, store = bank.self_made, bench.store
    if own is None or bank.samples is None or (count is not None and len(own.copies) != count):
        return False
    source: Entry = source_of(pair, store)
    data, samples = data_path(TASKS[pair.task], store), store.samples_path(pair.task)
    found = (own.candidate_digest, own.data_sha256, bank.samples.sha256, bank.seed, bank.gate_version)
    today = (manifest_digest(source, store), file_sha256(data), file_sha256(samples), bench.policy.seed, VERSION)
    return found == today and _same_options(bank, bench.policy)


def _same_options(bank: Bank, policy: Policy) -> bool:
    settings = option_digests(policy)
    return all(settings.get(name) == digest for name, digest in bank.settings.items())
